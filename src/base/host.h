/* base/host.h: what cosm asks of the machine it runs on: memory, system calls, a
 * place for messages. One `struct host` is handed down to every module; it is the
 * one joint for allocators, fault injection, logging and tracing, so that nothing
 * here is global.
 *
 * Threads: any number may use one host; the callbacks must bear that. The fields are
 * set before the first use and not changed after (trace_mask excepted: a debugger
 * may set it at any time). */
#ifndef BASE_HOST_H
#define BASE_HOST_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Trace categories: TRACE(name, "what --trace=name shows"). */
#define TRACE_LIST(T)                                                                              \
    T(mmio, "device register accesses")                                                            \
    T(irq, "interrupt lines")                                                                      \
    T(trap, "guest traps and returns")                                                             \
    T(tlb, "address translation")                                                                  \
    T(sbi, "supervisor binary interface calls")                                                    \
    T(virtio, "virtqueues")                                                                        \
    T(insn, "every instruction executed (slow)")                                                   \
    T(jit, "compiled regions, and exits of compiled code")                                         \
    T(hart, "start, stop and sleep of harts")

enum trace_category {
#define TRACE_ENUM(name, help) TRACE_BIT_##name,
    TRACE_LIST(TRACE_ENUM)
#undef TRACE_ENUM
        TRACE_COUNT
};

/* Fault injection. The n-th allocation or host call that asks fails; -1 never.
 * `live` counts allocations not yet freed, so that a test sees every leak. */
struct fault {
    atomic_long countdown; /* calls left before the failure; below 0: never fails */
    atomic_long live;      /* allocations and mappings outstanding */
    atomic_long injected;  /* failures delivered so far */
    int errnum;            /* what a failed host call reports; 0 means EIO */
};

struct host {
    /* Like realloc: new_bytes == 0 frees. NULL means the C library. */
    void *(*alloc)(void *ctx, void *old, size_t old_bytes, size_t new_bytes);
    void *alloc_ctx;
    /* One call a line, no newline in it. NULL means silence. */
    void (*log)(void *ctx, enum log_level level, const char *line);
    void *log_ctx;
    enum log_level log_level; /* messages above this level are dropped */
    atomic_uint trace_mask;   /* 1u << TRACE_BIT_x */
    struct fault *fault;      /* NULL except in tests */
};

/* Memory. new: zeroed; returns NULL when out of memory (or injected). free: needs
 * the size that was asked for; NULL is a no-op. */
void *mem_new(struct host *host, size_t bytes);
void *mem_resize(struct host *host, void *old, size_t old_bytes, size_t new_bytes);
void mem_free(struct host *host, void *old, size_t bytes);
char *mem_strdup(struct host *host, const char *text); /* free with strlen + 1 */
#define MEM_NEW(host, type) ((type *)mem_new(host, sizeof(type)))
#define MEM_FREE(host, ptr) mem_free(host, ptr, sizeof *(ptr))

/* True when the present host call must fail: sets errno. Every function of os.h asks
 * this first. */
bool host_fault(struct host *host);
void host_live(struct host *host, long delta);

void host_log(struct host *host, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void trace_write(struct host *host, const char *category, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define TRACING(host, name)                                                                        \
    (atomic_load_explicit(&(host)->trace_mask, memory_order_relaxed) >> TRACE_BIT_##name & 1u)
#define TRACE(host, name, ...)                                                                     \
    (TRACING(host, name) ? trace_write(host, #name, __VA_ARGS__) : (void)0)

#endif
