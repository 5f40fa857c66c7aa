# shellcheck shell=sh disable=SC2154,SC2034 # bin, here and dir come from the caller
# tests/machine/repeatable.sh: guests whose output tells of any difference between two runs under
# the instruction clock. Sourced by determinism.sh and freeze.sh.

# Sets $cc; without a compiler the test NAME is skipped.
need_compiler() { # NAME
    cc=$bin/riscv64-linux-gnu-gcc
    [ -x "$cc" ] || cc=$(command -v riscv64-linux-gnu-gcc || true)
    [ -x "$cc" ] || skip_all "$1" "package gcc-riscv64-linux-gnu"
}

skip_all() { # NAME REASON
    echo 1..1
    echo "ok 1 - $1 # SKIP $2"
    exit 0
}

# determinism.c for so many harts, as $dir/guestHARTS.elf.
compile() { # HARTS
    "$cc" -std=gnu17 -O2 -Wall -Wextra -march=rv64gc -mabi=lp64d -mcmodel=medany -ffreestanding \
        -fno-pic -nostdlib -static -Wl,-T,"$here/../riscv/litmus.ld" -Wl,--build-id=none \
        -DHARTS="$1" -DROUNDS=20000 "$here/determinism.c" -o "$dir/guest$1.elf" 2>"$dir/errors" ||
        { sed 's/^/# /' "$dir/errors"; exit 1; }
}

# The kernel's command line for debian-mini: works on the disk, starts processes, powers off.
# The initrd's own shell would wait for input, which comes when the host has it.
debian_line() {
    # shellcheck disable=SC2016 # the guest's shell expands it
    script='export PATH=/bin; b=/bin/busybox; $b mount -t proc proc /proc; $b mount -t sysfs s /sys;
        $b mount -t devtmpfs d /dev; $b modprobe virtio_mmio; $b modprobe virtio_blk; $b sleep 1;
        $b sha256sum /dev/vda; for i in 1 2 3 4 5 6 7 8; do $b ls -l /bin & done; wait;
        $b head -c 99999 /dev/urandom | $b sha256sum | $b dd of=/dev/vda seek=3; $b sync;
        $b cat /proc/interrupts; $b poweroff -f'
    echo "console=ttyS0 rdinit=/bin/sh -- -c \"$(printf %s "$script" | tr -s '\n ' '  ')\""
}
