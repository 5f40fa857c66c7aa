/* tiny/lower.h: op.def read as calls to the IR builder. */
#ifndef TINY_LOWER_H
#define TINY_LOWER_H

#include "ir/ir.h"
#include "tiny/tiny_int.h"

/* Builds everything that can be reached from instruction `head` without input, output or the end
 * as one region. The state block is the struct tiny. A program with more than a few thousand
 * instructions breaks `ir`: it is interpreted. */
void tiny_lower(struct ir *ir, struct host *host, const struct tiny_program *program,
                uint32_t head);

#endif
