/* covers: tree.c */
/*
 * Names of files as packages give them: each line of the input adds one to a tree.
 *
 *   d PATH   a folder      f PATH   a file      l PATH TARGET   a symbolic link
 *   h PATH OTHER   a second name of a file      ? PATH   looks it up
 *
 * Afterwards the tree is one: every node hangs in the folder that it names, once, and a
 * file has as many links as names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image/tree.h"
#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static void run_line(struct tree *tree, char *line)
{
    struct tree_attributes attributes = {.mode = S_IFREG | 0644};
    struct cosm_error err = {0};
    char *path = line + (line[0] != '\0'), *second;
    cosm_status status = COSM_OK;
    uint32_t node;

    path += *path == ' ';
    second = strchr(path, ' ');
    if (second)
        *second++ = '\0';
    switch (line[0]) {
    case 'd': attributes.mode = S_IFDIR | 0755; break;
    case 'l': attributes.mode = S_IFLNK | 0777; break;
    case 'h': status = tree_link(tree, path, second ? second : "", &err); break;
    case '?': tree_find(tree, path); return;
    case 'f': break;
    default: return;
    }
    if (line[0] != 'h')
        status = tree_add(tree, path, &attributes, line[0] == 'l' ? (second ? second : "x") : NULL,
                          &node, &err);
    must(!status || err.text[0], "a failure without a message");
}

/* Names that node `index` has, and that nothing hangs in two places. */
static void check_node(const struct tree *tree, uint32_t index, uint32_t *names)
{
    const struct tree_node *node = &tree->list[index];

    must(node->parent < tree->count, "a parent that is none");
    must(index == 0 || S_ISDIR(tree->list[node->parent].attributes.mode),
         "a file with files in it");
    must(strchr(tree_text(tree, node->name), '/') == NULL, "a name with a slash");
    must(!S_ISDIR(node->attributes.mode) || !node->is_removed, "a folder without a name");
    for (uint32_t at = node->first; at != TREE_NONE; at = tree->list[at].next) {
        must(tree->list[at].parent == index, "a child of another");
        names[tree->list[at].same == TREE_NONE ? at : tree->list[at].same] +=
            !tree->list[at].is_removed;
        names[at] += 1u << 16;
    }
}

static void check_tree(const struct tree *tree)
{
    uint32_t *names = calloc(tree->count, sizeof *names);

    must(names != NULL, "no memory");
    for (uint32_t i = 0; i < tree->count; i++)
        check_node(tree, i, names);
    for (uint32_t i = 1; i < tree->count; i++) {
        must(names[i] >> 16 == 1, "a node that hangs in no folder, or in two");
        must(tree->list[i].same != TREE_NONE || (names[i] & 0xffff) == tree->list[i].links,
             "links that are not counted");
    }
    free(names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fault fault = {.countdown = -1};
    struct host host = {.fault = &fault};
    struct tree tree = {.host = &host};
    char line[1024];

    must(!tree_start(&tree, 0, NULL), "no tree");
    for (size_t at = 0; at < size;) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        size_t some = end ? (size_t)(end - data) - at : size - at;
        size_t kept = some < sizeof line - 1 ? some : sizeof line - 1;

        memcpy(line, data + at, kept);
        line[kept] = '\0';
        run_line(&tree, line);
        at += some + 1;
    }
    check_tree(&tree);
    tree_free(&tree);
    must(atomic_load(&fault.live) == 0, "memory was lost");
    return 0;
}
