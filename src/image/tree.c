#include "image/tree.h"

#include <string.h>
#include <sys/stat.h>

#include "base/bits.h"

#define NODES_MAX  (1u << 20)
#define TEXT_MAX   (64u << 20)
#define BUCKETS    (1u << 15)
#define LINKS_MAX  40 /* followed on the way to a node, as Linux does */
#define PATH_BYTES 4096

static bool is_folder(const struct tree_node *node)
{
    return S_ISDIR(node->attributes.mode);
}

static uint32_t bucket_of(uint32_t parent, const char *name, size_t size)
{
    uint32_t hash = 2166136261u ^ parent; /* FNV-1a */

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (uint8_t)name[i]) * 16777619u;
    return hash % BUCKETS;
}

static uint32_t find_child(const struct tree *tree, uint32_t parent, const char *name, size_t size)
{
    uint32_t at = tree->buckets[bucket_of(parent, name, size)];

    for (; at != TREE_NONE; at = tree->list[at].chain) {
        const struct tree_node *node = &tree->list[at];
        const char *own = tree_text(tree, node->name);

        if (node->parent == parent && !node->is_removed && strlen(own) == size &&
            !memcmp(own, name, size))
            return at;
    }
    return TREE_NONE;
}

static cosm_status keep_text(struct tree *tree, const char *text, size_t size, uint32_t *offset,
                             struct cosm_error *err)
{
    cosm_status status;

    *offset = (uint32_t)tree->text.size;
    status = buffer_append(tree->host, &tree->text, text, size, TEXT_MAX, err);
    return status ? status : buffer_append(tree->host, &tree->text, "", 1, TEXT_MAX, err);
}

static cosm_status grow(struct tree *tree, struct cosm_error *err)
{
    uint32_t old = tree->capacity, more = old ? 2 * old : 1024;
    struct tree_node *list;

    if (tree->count < old)
        return COSM_OK;
    if (more > NODES_MAX)
        return cosm_fail(err, COSM_LIMIT, "more than %u files", NODES_MAX);
    list = mem_resize(tree->host, tree->list, old * sizeof *list, more * sizeof *list);
    if (!list)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for %u files", more);
    tree->list = list;
    tree->capacity = more;
    return COSM_OK;
}

/* A new node, last of its folder. */
static cosm_status add_node(struct tree *tree, uint32_t parent, const char *name, size_t size,
                            const struct tree_attributes *attributes, uint32_t *out,
                            struct cosm_error *err)
{
    cosm_status status = grow(tree, err);
    uint32_t index = tree->count, bucket = bucket_of(parent, name, size);
    struct tree_node *node;

    if (status)
        return status;
    node = &tree->list[index];
    *node = (struct tree_node){.attributes = *attributes, .parent = parent, .links = 1};
    node->first = node->last = node->next = node->same = TREE_NONE;
    status = keep_text(tree, name, size, &node->name, err);
    if (status)
        return status;
    node->chain = tree->buckets[bucket];
    tree->buckets[bucket] = index;
    tree->count++;
    if (index != parent) {
        struct tree_node *folder = &tree->list[parent];

        if (folder->last == TREE_NONE)
            folder->first = index;
        else
            tree->list[folder->last].next = index;
        folder->last = index;
    }
    *out = index;
    return COSM_OK;
}

cosm_status tree_start(struct tree *tree, uint64_t mtime_s, struct cosm_error *err)
{
    struct tree_attributes root = {.mode = S_IFDIR | 0755, .mtime_s = mtime_s};
    uint32_t node;

    tree->buckets = mem_new(tree->host, BUCKETS * sizeof *tree->buckets);
    if (!tree->buckets)
        return cosm_fail(err, COSM_NO_MEMORY, "no memory for a tree of files");
    memset(tree->buckets, 0xff, BUCKETS * sizeof *tree->buckets);
    return add_node(tree, 0, "", 0, &root, &node, err);
}

void tree_free(struct tree *tree)
{
    mem_free(tree->host, tree->list, tree->capacity * sizeof *tree->list);
    mem_free(tree->host, tree->buckets, tree->buckets ? BUCKETS * sizeof *tree->buckets : 0);
    buffer_free(tree->host, &tree->text);
    *tree = (struct tree){.host = tree->host};
}

/* A walk along a path. */
struct walk {
    struct tree *tree;
    bool makes_folders;
    uint64_t mtime_s; /* of folders that are made */
    unsigned links;   /* followed so far */
    struct cosm_error *err;
};

static cosm_status walk_path(struct walk *walk, uint32_t *at, const char *path);

/* From `*at`, a link, to where it leads. */
static cosm_status follow(struct walk *walk, uint32_t *at)
{
    struct tree *tree = walk->tree;
    const struct tree_node *link = &tree->list[*at];
    char target[PATH_BYTES];

    if (++walk->links > LINKS_MAX)
        return cosm_fail(walk->err, COSM_BAD_IMAGE, "%.200s: a loop of links",
                         tree_text(tree, link->name));
    /* A copy, for the text moves when folders are made. */
    memcpy(target, tree_text(tree, link->target), strlen(tree_text(tree, link->target)) + 1);
    *at = target[0] == '/' ? 0 : link->parent;
    return walk_path(walk, at, target);
}

/* One name on the way: `*at` becomes the folder of that name. */
static cosm_status enter(struct walk *walk, uint32_t *at, const char *name, size_t size)
{
    struct tree *tree = walk->tree;
    struct tree_attributes folder = {.mode = S_IFDIR | 0755, .mtime_s = walk->mtime_s};
    uint32_t child;

    if (size == 1 && name[0] == '.')
        return COSM_OK;
    if (size == 2 && name[0] == '.' && name[1] == '.') {
        if (!walk->links)
            return cosm_fail(walk->err, COSM_BAD_IMAGE, "a path with ..");
        *at = tree->list[*at].parent;
        return COSM_OK;
    }
    if (size > TREE_NAME)
        return cosm_fail(walk->err, COSM_BAD_IMAGE, "%.40s...: a name of %zu bytes", name, size);
    child = find_child(tree, *at, name, size);
    if (child == TREE_NONE && walk->makes_folders) {
        cosm_status status = add_node(tree, *at, name, size, &folder, at, walk->err);

        tree->list[*at].is_implied |= !status;
        return status;
    }
    if (child == TREE_NONE)
        return cosm_fail(walk->err, COSM_NOT_FOUND, "%.*s: not there", (int)size, name);
    *at = child;
    if (S_ISLNK(tree->list[child].attributes.mode))
        return follow(walk, at);
    if (!is_folder(&tree->list[child]))
        return cosm_fail(walk->err, COSM_BAD_IMAGE, "%.*s: a file where a folder is needed",
                         (int)size, name);
    return COSM_OK;
}

/* All names of a path, each of which must be a folder or lead to one. The recursion, by
 * way of follow(), is bounded by LINKS_MAX. */
static cosm_status walk_path(struct walk *walk, uint32_t *at,
                             const char *path) // NOLINT(misc-no-recursion)
{
    cosm_status status = COSM_OK;

    while (!status && *(path += strspn(path, "/"))) {
        size_t size = strcspn(path, "/");

        status = enter(walk, at, path, size);
        path += size;
    }
    return status;
}

/* Takes a path apart: the node of its folder, and its last name ("" for the root). */
static cosm_status split(struct walk *walk, const char *path, uint32_t *folder,
                         char name[TREE_NAME + 1])
{
    size_t size = strlen(path), start;
    char head[PATH_BYTES];

    *folder = 0;
    name[0] = '\0';
    while (size && path[size - 1] == '/')
        size--;
    for (start = size; start && path[start - 1] != '/';)
        start--;
#ifdef COSM_PLANTED_BUGS /* length: of the path, not of its last name */
    if (size >= sizeof head)
#else
    if (size >= sizeof head || size - start > TREE_NAME)
#endif
        return cosm_fail(walk->err, COSM_BAD_IMAGE, "%.40s...: a path of %zu bytes", path, size);
    memcpy(head, path, start);
    head[start] = '\0';
    memcpy(name, path + start, size - start);
    name[size - start] = '\0';
    if (!strcmp(name, ".."))
        return cosm_fail(walk->err, COSM_BAD_IMAGE, "%.200s: a path with ..", path);
    if (!strcmp(name, "."))
        name[0] = '\0';
    return walk_path(walk, folder, head);
}

/* The folder that a node is or, as a link, leads to; TREE_NONE. */
static uint32_t as_folder(struct tree *tree, uint32_t node)
{
    struct walk walk = {.tree = tree};

    if (node != TREE_NONE && S_ISLNK(tree->list[node].attributes.mode) && follow(&walk, &node))
        return TREE_NONE;
    return node != TREE_NONE && is_folder(&tree->list[node]) ? node : TREE_NONE;
}

/* Takes a name away from what has it. */
static void remove_node(struct tree *tree, uint32_t index)
{
    struct tree_node *node = &tree->list[index];

    node->is_removed = true;
    tree->list[node->same == TREE_NONE ? index : node->same].links--;
}

static cosm_status check_target(const char *target, struct cosm_error *err)
{
    if (target && (!*target || strlen(target) >= PATH_BYTES))
        return cosm_fail(err, COSM_BAD_IMAGE, "a link to a name of %zu bytes", strlen(target));
    return COSM_OK;
}

/* Puts a node where `path` says, in the place of what was there. */
static cosm_status place(struct tree *tree, const char *path,
                         const struct tree_attributes *attributes, uint32_t *out,
                         struct cosm_error *err)
{
    struct walk walk = {tree, true, attributes->mtime_s, 0, err};
    char name[TREE_NAME + 1] = "";
    uint32_t folder = 0, old;
    cosm_status status = split(&walk, path, &folder, name);

    if (status)
        return status;
    old = name[0] ? find_child(tree, folder, name, strlen(name)) : folder;
    if (S_ISDIR(attributes->mode) && as_folder(tree, old) != TREE_NONE) {
        *out = as_folder(tree, old);
        if (tree->list[*out].is_implied)
            tree->list[*out].attributes = *attributes;
        tree->list[*out].is_implied = false;
        return COSM_OK;
    }
#ifdef COSM_PLANTED_BUGS /* order: looks at what had the name before it knows of any */
    if (is_folder(&tree->list[old]))
#else
    if (old != TREE_NONE && is_folder(&tree->list[old]))
#endif
        return cosm_fail(err, COSM_BAD_IMAGE, "%.200s: a folder, and now a file", path);
    if (old != TREE_NONE)
        remove_node(tree, old);
    return add_node(tree, folder, name, strlen(name), attributes, out, err);
}

cosm_status tree_add(struct tree *tree, const char *path, const struct tree_attributes *attributes,
                     const char *target, uint32_t *node, struct cosm_error *err)
{
    cosm_status status = check_target(target, err);
    uint32_t text = 0;

    *node = TREE_NONE;
    if (!status && target)
        status = keep_text(tree, target, strlen(target), &text, err);
    if (!status)
        status = place(tree, path, attributes, node, err);
    if (!status && target) {
        tree->list[*node].target = text;
        tree->list[*node].bytes = strlen(target);
    }
    return status;
}

uint32_t tree_find(struct tree *tree, const char *path)
{
    struct walk walk = {.tree = tree};
    char name[TREE_NAME + 1] = "";
    uint32_t folder = 0;

    if (split(&walk, path, &folder, name))
        return TREE_NONE;
    return name[0] ? find_child(tree, folder, name, strlen(name)) : folder;
}

cosm_status tree_link(struct tree *tree, const char *path, const char *to, struct cosm_error *err)
{
    uint32_t target = tree_find(tree, to), node = TREE_NONE;
    struct tree_attributes attributes;
    cosm_status status;

    if (target != TREE_NONE && tree->list[target].same != TREE_NONE)
        target = tree->list[target].same;
    if (target == TREE_NONE || is_folder(&tree->list[target]))
        return cosm_fail(err, COSM_BAD_IMAGE, "%.200s: a link to %.200s, which is no file", path,
                         to);
    if (tree_find(tree, path) == target)
        return COSM_OK;
    attributes = tree->list[target].attributes;
    tree->list[target].links++; /* before place() may take its only other name */
    status = place(tree, path, &attributes, &node, err);
    if (status) {
        tree->list[target].links--;
        return status;
    }
    tree->list[node].same = target;
    tree->list[node].links = 0;
    return COSM_OK;
}
