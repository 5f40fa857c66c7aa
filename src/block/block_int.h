/* block/block_int.h: the formats, for block.c only. */
#ifndef BLOCK_BLOCK_INT_H
#define BLOCK_BLOCK_INT_H

#include "block/block.h"

cosm_status raw_open(struct block **out, struct host *host, const char *path, bool read_only,
                     struct cosm_error *err);

#endif
