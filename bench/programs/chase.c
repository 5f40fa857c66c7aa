/* Latency of memory and of address translation: one cycle through all of 64 MiB in random
 * order, each load giving the address of the next. */
#include "bench.h"

#define BYTES (64u << 20)
#define NODES (BYTES / 64)

struct node {
    struct node *next;
    char rest_of_line[64 - sizeof(struct node *)];
};

int main(int argc, char **argv)
{
    unsigned steps = bench_rounds(argc, argv, 4000000);
    struct node *nodes = malloc(BYTES), *at;
    uint32_t *order = malloc(NODES * sizeof *order);
    uint64_t seed = 88172645463325252u;

    bench_need(nodes && order, "malloc");
    for (unsigned i = 0; i < NODES; i++)
        order[i] = i;
    for (unsigned i = NODES - 1; i > 0; i--) { /* Sattolo: one cycle */
        unsigned j = (unsigned)(bench_random(&seed) % i);
        uint32_t swap = order[i];

        order[i] = order[j];
        order[j] = swap;
    }
    for (unsigned i = 0; i < NODES; i++)
        nodes[order[i]].next = &nodes[order[(i + 1) % NODES]];
    at = nodes;
    for (unsigned i = 0; i < steps; i++)
        at = at->next;
    printf("%u\n", (unsigned)(at - nodes));
    return 0;
}
