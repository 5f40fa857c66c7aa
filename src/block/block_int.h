/* block/block_int.h: the formats, for the files of this folder only. */
#ifndef BLOCK_BLOCK_INT_H
#define BLOCK_BLOCK_INT_H

#include "block/block.h"

cosm_status raw_open(struct block **out, struct host *host, const char *path, bool read_only,
                     struct cosm_error *err);
/* A disk of `bytes` in a file without a name, all zero. `of`: for messages. */
cosm_status raw_open_scratch(struct block **out, struct host *host, const char *of, uint64_t bytes,
                             struct cosm_error *err);
/* Owns `base` from now on, success or not. */
cosm_status overlay_open(struct block **out, struct block *base, struct cosm_error *err);

#endif
