#include "machine/dtb_given.h"

#include <libfdt.h>
#include <string.h>

#include "base/status.h"

/* A node, three properties and their names, far less than this. */
#define ROOM_FOR_CHOSEN 1024u

/* libfdt 1.6 runs off trees of versions before 17 (their header does not tell the length of
 * the structure); dtc has written 17 since 2005. */
static int check_tree(const void *bytes, size_t size)
{
    if (fdt_magic(bytes) == FDT_MAGIC && fdt_version(bytes) < 17)
        return -FDT_ERR_BADVERSION;
    return fdt_check_full(bytes, size);
}

static int check(const void *bytes, size_t size)
{
#ifdef COSM_PLANTED_BUGS /* order: reads the header before it knows that it is there */
    if (fdt_totalsize(bytes) > size && size < sizeof(struct fdt_header))
        return -FDT_ERR_TRUNCATED;
    return check_tree(bytes, fdt_totalsize(bytes)); /* length: believes the header's */
#else
    return size < sizeof(struct fdt_header) ? -FDT_ERR_TRUNCATED : check_tree(bytes, size);
#endif
}

cosm_status dtb_check(const void *bytes, size_t size, const char *name, struct cosm_error *err)
{
    int error = check(bytes, size);

    if (error == -FDT_ERR_BADMAGIC)
        return cosm_fail(err, COSM_BAD_IMAGE, "%s: is no flattened device tree (make one with dtc)",
                         name);
    if (error)
        return cosm_fail(err, COSM_BAD_IMAGE, "%s: damaged device tree: %s", name,
                         fdt_strerror(error));
    return COSM_OK;
}

size_t dtb_room(size_t size, const struct dtb_chosen *chosen)
{
    return size + ROOM_FOR_CHOSEN + (chosen->append ? strlen(chosen->append) : 0);
}

static int fill_chosen(void *fdt, const struct dtb_chosen *chosen)
{
    int node = fdt_path_offset(fdt, "/chosen"), error = 0;

    if (node == -FDT_ERR_NOTFOUND)
        node = fdt_add_subnode(fdt, 0, "chosen");
    if (node < 0)
        return node;
    if (chosen->append)
        error = fdt_setprop(fdt, node, "bootargs", chosen->append, (int)strlen(chosen->append) + 1);
    if (!error && chosen->initrd_end)
        error = fdt_setprop_u64(fdt, node, "linux,initrd-start", chosen->initrd_start);
    if (!error && chosen->initrd_end)
        error = fdt_setprop_u64(fdt, node, "linux,initrd-end", chosen->initrd_end);
    return error;
}

cosm_status dtb_complete(void *to, size_t room, const void *bytes, size_t size,
                         const struct dtb_chosen *chosen, const char *name, struct cosm_error *err)
{
    cosm_status status = dtb_check(bytes, size, name, err);
    int error;

    if (status != COSM_OK)
        return status;
    memcpy(to, bytes, fdt_totalsize(bytes));
    error = fdt_open_into(to, to, (int)room);
    if (!error)
        error = fill_chosen(to, chosen);
    if (!error) /* names that lay just behind a short string table are gone by now */
        error = check_tree(to, room);
    if (error)
        return cosm_fail(err, COSM_BAD_IMAGE, "%s: cannot complete /chosen: %s", name,
                         fdt_strerror(error));
    return COSM_OK;
}
