#!/bin/sh
# Unmodified guests from start to power-off: Debian's kernel with busybox, OpenSBI, U-Boot.
#   guests.sh COSM PEERS CACHE
# PEERS: what tools/peers.sh unpacked (firmware); CACHE: where the Debian image is kept. The
# image is pulled when it is not there; without a mirror its tests are skipped.
set -u
cosm=$1 peers=$2
COSM_CACHE=$3
export COSM_CACHE
limit=300s # a hang, not a slow host
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
count=0 failed=0

# result STATUS NAME
result() {
    count=$((count + 1))
    [ "$1" -eq 0 ] || { failed=$((failed + 1)); printf 'not '; }
    echo "ok $count - $2"
    [ "$1" -eq 0 ] || tail -n 15 "$dir/out" | sed 's/^/# /'
}

skip() { # NAME REASON
    count=$((count + 1))
    echo "ok $count - $1 # SKIP $2"
}

# debian COMMAND ARG...: boots the image, runs COMMAND in it as its whole session.
debian() {
    command=$1
    shift
    "$cosm" run debian-mini --timeout "$limit" --append "console=${console:-ttyS0} cosm.run=\"$command\"" \
        "$@" </dev/null >"$dir/out" 2>&1
}

# The guest writes 2 MiB that the host knows, syncs, reads them back past its cache.
disk_of() { # NAME ARG...
    name=$1
    shift
    truncate -s 16M "$dir/disk"
    debian "seq 300000 >/tmp/a; dd if=/tmp/a of=/dev/vda conv=fsync; \
echo 3 >/proc/sys/vm/drop_caches; head -c 1988895 /dev/vda | cmp - /tmp/a" \
        --disk "$dir/disk" "$@" && seq 300000 | cmp -n 1988895 - "$dir/disk"
    result $? "$name"
}

with_debian() {
    for harts in 1 2 4; do
        disk_of "Debian on $harts hart(s) writes and reads a disk" -c "$harts"
    done
    # shellcheck disable=SC2016 # the guest's shell expands it
    debian 'test $(nproc) -eq 4' -c 4
    result $? 'Debian sees its four harts'
    console=hvc0 debian 'hostname' --console virtio
    status=$?
    grep -q '^cosm' "$dir/out" || status=1
    result $status 'Debian speaks through the virtio console'
    console=
    debian 'exit 7'
    [ $? -eq 7 ]
    result $? "a session's status is cosm's"
    chmod a-w "$dir/disk"
    debian '! dd if=/dev/zero of=/dev/vda count=1' --disk "$dir/disk,ro"
    result $? 'a read-only disk is not written'
    if [ -f "$opensbi" ]; then
        debian 'true' --firmware "$opensbi" -c 2
        status=$?
        grep -q 'OpenSBI v' "$dir/out" || status=1
        result $status 'Debian boots through OpenSBI'
    else
        skip 'Debian boots through OpenSBI' 'package opensbi (tools/peers.sh)'
    fi
}

# await TEXT: it has come on the console.
await() {
    tries=0
    until grep -q -e "$1" "$dir/out"; do
        tries=$((tries + 1))
        [ $tries -lt 600 ] && kill -0 "$guest" 2>/dev/null || return 1
        sleep 0.5
    done
}

# u_boot NAME ARG...: to its prompt, one command, off by another.
u_boot() {
    name=$1
    shift
    rm -f "$dir/in"
    mkfifo "$dir/in"
    : >"$dir/out"
    "$cosm" run --timeout "$limit" "$@" <"$dir/in" >"$dir/out" 2>&1 &
    guest=$!
    exec 3>"$dir/in"
    await 'stop autoboot' && echo >&3
    await '^=> ' && printf 'version\n' >&3
    await '^U-Boot .*' && printf 'poweroff\n' >&3
    wait "$guest"
    result $? "$name"
    exec 3>&-
}

firmware=$peers/root/usr/lib
opensbi=$firmware/riscv64-linux-gnu/opensbi/generic/fw_jump.bin
if "$cosm" images | grep -q '^debian-mini' || "$cosm" pull debian-mini >"$dir/out" 2>&1; then
    with_debian
else
    skip "Debian's kernel" "a Debian mirror: $(tail -n 1 "$dir/out" | cut -c1-80)"
fi
if [ -f "$opensbi" ] && [ -f "$firmware/u-boot/qemu-riscv64_smode/u-boot.bin" ]; then
    u_boot 'OpenSBI starts U-Boot' --firmware "$opensbi" \
        --kernel "$firmware/u-boot/qemu-riscv64_smode/u-boot.bin"
    u_boot 'U-Boot runs in M-mode' --firmware "$firmware/u-boot/qemu-riscv64/u-boot.bin"
else
    skip 'U-Boot' 'packages opensbi and u-boot-qemu (tools/peers.sh)'
fi
echo "1..$count"
[ $failed -eq 0 ]
