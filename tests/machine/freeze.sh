#!/bin/sh
# A machine that is frozen, destroyed, rebuilt and thawed in the middle of its work does not notice.
#   freeze.sh FREEZE PEERS_BIN small     the guest determinism.c, on 1, 2, 4 and 8 harts
#   freeze.sh FREEZE PEERS_BIN debian    Debian's kernel and busybox with a disk, when pulled
# COSM_FULL moves each a hundred times.
set -eu
freeze=$1 bin=$2 what=$3
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failures=0
points=${COSM_FULL:+100}
seed=${SEED:-1}

moved() { # NUMBER ARGS...
    number=$1
    shift
    line=$(nice "$freeze" "${points:-10}" "$seed" "$@" 2>&1) || line="not ok - $line"
    echo "$line" | grep '^#' || true
    echo "$line" | grep -v '^#' | sed "s/^\(ok\|not ok\) /\1 $number /"
    case $line in
    ok*) ;;
    *) failures=$((failures + 1)); echo "# repeat with: $freeze ${points:-10} $seed $*" ;;
    esac
}

small() {
    cc=$bin/riscv64-linux-gnu-gcc
    [ -x "$cc" ] || cc=$(command -v riscv64-linux-gnu-gcc || true)
    if [ ! -x "$cc" ]; then
        echo 1..1
        echo "ok 1 - a moved machine goes on # SKIP package gcc-riscv64-linux-gnu"
        exit 0
    fi
    echo 1..4
    n=0
    for harts in 1 2 4 8; do
        n=$((n + 1))
        "$cc" -std=gnu17 -O2 -march=rv64gc -mabi=lp64d -mcmodel=medany -ffreestanding -fno-pic \
            -nostdlib -static -Wl,-T,"$here/../riscv/litmus.ld" -Wl,--build-id=none \
            -DHARTS="$harts" -DROUNDS=20000 "$here/determinism.c" -o "$dir/guest.elf" \
            2>"$dir/errors" || { sed 's/^/# /' "$dir/errors"; exit 1; }
        moved "$n" "$harts" "$dir/guest.elf"
    done
}

debian() {
    # Without points it only opens the guest.
    if ! "$freeze" 0 0 1 debian-mini >/dev/null 2>&1; then
        echo 1..1
        echo "ok 1 - a moved Debian goes on # SKIP cosm pull debian-mini"
        exit 0
    fi
    echo 1..4
    n=0
    # The initrd's own shell would wait for input, which comes when the host has it.
    # shellcheck disable=SC2016 # the guest's shell expands it
    script='export PATH=/bin; b=/bin/busybox; $b mount -t proc proc /proc; $b mount -t sysfs s /sys;
        $b mount -t devtmpfs d /dev; $b modprobe virtio_mmio; $b modprobe virtio_blk; $b sleep 1;
        $b sha256sum /dev/vda; for i in 1 2 3 4 5 6 7 8; do $b ls -l /bin & done; wait;
        $b head -c 99999 /dev/urandom | $b sha256sum | $b dd of=/dev/vda seek=3; $b sync;
        $b cat /proc/interrupts; $b poweroff -f'
    script=$(printf %s "$script" | tr -s '\n ' '  ')
    for harts in 1 4; do
        head -c 4194304 /dev/urandom >"$dir/disk"
        cp "$dir/disk" "$dir/copy"
        n=$((n + 1))
        moved "$n" "$harts" debian-mini \
            "console=ttyS0 rdinit=/bin/sh -- -c \"$script\"" "$dir/disk" "$dir/copy"
        n=$((n + 1))
        if cmp -s "$dir/disk" "$dir/copy"; then
            echo "ok $n - and the disks are the same"
        else
            failures=$((failures + 1))
            echo "not ok $n - and the disks are the same"
        fi
    done
}

case $what in
small | debian) "$what" ;;
*) echo "freeze.sh: $what is neither small nor debian" >&2; exit 2 ;;
esac
[ "$failures" -eq 0 ]
