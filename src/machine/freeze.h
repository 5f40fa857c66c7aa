/* machine/freeze.h: a machine's state, out and in.
 *
 * What is frozen is the guest's whole world: harts, clock, firmware, devices, memory. Not what is
 * the host's: files, descriptors, threads, what is cached. So a frozen machine is thawed into one
 * that was opened with the same configuration, and goes on there as if nothing had happened; disks
 * must hold what they held.
 *
 * Format, little-endian: magic, version, then sections in a fixed order, each with its tag,
 * number, and length. The bytes are hostile: every length, place and register is checked.
 *
 * Between two calls of machine_run; the machine's own thread. */
#ifndef MACHINE_FREEZE_H
#define MACHINE_FREEZE_H

#include "machine/machine.h"

/* Owned by the caller: frozen_fini. */
struct frozen {
    uint8_t *bytes;
    size_t size, room;
};

/* NO_MEMORY; UNSUPPORTED when a device holds what cannot be kept (it says what). Devices finish
 * first what they have in flight. The machine is as before and may go on. */
cosm_status machine_freeze(struct machine *machine, struct frozen *out, struct cosm_error *err);
void frozen_fini(struct frozen *frozen, struct host *host);

/* BAD_IMAGE: malformed, or no state of such a machine; BAD_ARG: of a machine with other harts,
 * memory, clock or devices; NO_MEMORY. After a failure the machine must be closed. */
cosm_status machine_thaw(struct machine *machine, const uint8_t *bytes, size_t size,
                         struct cosm_error *err);

/* For tests, with the instruction clock: the run is INTERRUPTED at the first round of turns that
 * begins at or after this time of the guest, so that it goes on as if it had not been. And that
 * time: nanoseconds since the machine was opened. */
void machine_stop_at(struct machine *machine, uint64_t clock_ns);
uint64_t machine_clock_ns(const struct machine *machine);

/* For tests: fills everything that is frozen with noise. Only to be closed then. */
void machine_scramble(struct machine *machine, uint64_t seed);

/* For the test that every byte of the machine's own structs is described: calls back for each. */
struct field;
void machine_describe_state(void (*each)(void *ctx, const char *name, const struct field *fields,
                                         size_t bytes),
                            void *ctx);

#endif
