/* machine/tohost.c: how bare-metal test programs speak with the outside: two words of
 * memory at the symbols `tohost` and `fromhost`.
 *
 * Reference: riscv-tests, env/p/riscv_test.h and benchmarks/common/syscalls.c (facts
 * only). A written word has a device in bits 63:56, a command in 55:48 and a payload.
 * Device 0, command 0: odd: the end, with code payload >> 1; even: the address of a block
 * of 8 words, a system call. Device 1, command 1: print a character.
 *
 * The word is looked at between slices, by whichever hart gets there. */
#include <errno.h>

#include "base/os.h"
#include "base/status.h"
#include "machine/machine_int.h"

#define BLOCK_WORDS 8u
enum { CALL_WRITE = 64, CALL_EXIT = 93 }; /* Linux's numbers for RISC-V */

/* The guest reads and writes the words at the same time: no plain copies of them. */
static uint64_t *word_at(struct machine *machine, uint64_t address)
{
    return (uint64_t *)(void *)ram_at(&machine->ram, address, sizeof(uint64_t));
}

static void set_word(struct machine *machine, uint64_t address, uint64_t value)
{
    __atomic_store_n(word_at(machine, address), value, __ATOMIC_RELEASE);
    ram_mark_written(&machine->ram, address - machine->ram.base, sizeof value);
}

static void answer(struct machine *machine, uint64_t value)
{
    if (machine->boot.fromhost)
        set_word(machine, machine->boot.fromhost, value);
}

static void end_with(struct machine *machine, uint64_t code)
{
    machine_end(machine, code ? EVENT_FAILED : EVENT_POWEROFF, (unsigned)code);
}

static uint64_t write_call(struct machine *machine, const uint64_t *block)
{
    const uint8_t *bytes = ram_at(&machine->ram, block[2], block[3]);

    if (block[1] != 1 && block[1] != 2)
        return (uint64_t)-EBADF;
    if (!bytes)
        return (uint64_t)-EFAULT;
    for (uint64_t done = 0, some; done < block[3]; done += some) {
        uint8_t copy[256];

        some = block[3] - done < sizeof copy ? block[3] - done : sizeof copy;
        ram_copy_from(copy, bytes + done, some);
        guest_console_write(&machine->console, copy, some);
    }
    return block[3];
}

static void system_call(struct machine *machine, uint64_t address)
{
    uint64_t block[BLOCK_WORDS];

    if (!ram_read(&machine->ram, address, block, sizeof block))
        return; /* not an address: nobody waits for an answer */
    switch (block[0]) {
    case CALL_WRITE: block[0] = write_call(machine, block); break;
    case CALL_EXIT: end_with(machine, block[1]); return;
    default: block[0] = (uint64_t)-ENOSYS; break;
    }
    ram_write(&machine->ram, address, block, sizeof *block);
    answer(machine, 1);
}

static void obey(struct machine *machine, uint64_t command)
{
    uint64_t payload = bits_get(command, 0, 48);
    uint8_t byte = (uint8_t)payload;

    switch (command >> 48) {
    case 0x0000:
        if (payload & 1)
            end_with(machine, payload >> 1);
        else
            system_call(machine, payload);
        break;
    case 0x0101: guest_console_write(&machine->console, &byte, 1); break;
    default: break; /* no such device */
    }
}

void tohost_check(struct machine *machine)
{
    uint64_t *word, command;

    if (!machine->boot.tohost)
        return;
    word = word_at(machine, machine->boot.tohost);
    if (!__atomic_load_n(word, __ATOMIC_ACQUIRE) || pthread_mutex_trylock(&machine->tohost_lock))
        return;
    command = __atomic_load_n(word, __ATOMIC_ACQUIRE);
    if (command) {
        set_word(machine, machine->boot.tohost, 0);
        obey(machine, command);
    }
    pthread_mutex_unlock(&machine->tohost_lock);
}
