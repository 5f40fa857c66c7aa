#!/bin/sh
# Disks as Debian's kernel uses them: several queues, flushes and a killed cosm, holes, growth,
# overlays, a full host, files that change underneath.
#   disk.sh COSM CACHE
# CACHE: where the Debian image is kept. It is pulled when it is not there; without a mirror all
# is skipped.
set -u
cosm=$1
COSM_CACHE=$2
export COSM_CACHE
here=$(cd "$(dirname "$0")" && pwd)
limit=300s # a hang, not a slow host
dir=$(mktemp -d)
guest=
trap '[ -z "$guest" ] || kill -9 "$guest" 2>/dev/null; rm -rf "$dir"' EXIT
count=0 failed=0

# result STATUS NAME
result() {
    count=$((count + 1))
    [ "$1" -eq 0 ] || { failed=$((failed + 1)); printf 'not '; }
    echo "ok $count - $2"
    [ "$1" -eq 0 ] || tail -n 15 "$dir/out" | sed 's/^/# /'
}

skip_all() { # REASON
    echo "1..1"
    echo "ok 1 - disks # SKIP $1"
    exit 0
}

# session COMMAND: the kernel's command line for a guest that runs it. One line. What a session
# has printed last is lost when its terminal goes before it is sent, hence the second.
session() {
    # shellcheck disable=SC2016 # the guest's shell expands it
    printf 'console=ttyS0 cosm.run="{ %s; }; s=$?; sleep 1; exit $s"' "$1" | tr -s '\n ' '  '
}

# start COMMAND ARG...: a guest whose session is COMMAND, in the background.
start() {
    command=$1
    shift
    : >"$dir/out"
    "$cosm" run debian-mini --timeout "$limit" --net none --append "$(session "$command")" "$@" \
        </dev/null >"$dir/out" 2>&1 &
    guest=$!
}

# finish: waits for it; its status.
finish() {
    wait "$guest"
    status=$?
    guest=
    return "$status"
}

debian() { # COMMAND ARG...
    start "$@"
    finish
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

says() { # TEXT: the last guest, or cosm
    grep -q -e "$1" "$dir/out" && return
    echo "# not said: $1"
    return 1
}

kilobytes() { # FILE: what it takes on the host
    du -k "$1" | cut -f 1
}

fetch_program='cat /dev/vdb >/tmp/disk; chmod +x /tmp/disk'

queues() {
    truncate -s 16M "$dir/disk"
    for clock in host insn; do
        debian "ls /sys/block/vda/mq; $fetch_program; /tmp/disk verify /dev/vda 4 200" -c 4 \
            --clock "$clock" --disk "$dir/disk" --disk "$dir/program,ro" &&
            says '0  1  2  3' && says '^verified'
        result $? "four queues, written, flushed and read at once (clock $clock)"
    done
}

# Block N was flushed when the guest said so: in each word N in the upper half, 1 in the lower.
check_flushed() { # LAST
    n=0
    while [ $n -le "$1" ]; do
        want=$(printf '%016x' $((n << 32 | 1)))
        od -An -v -tx8 -w8 -j $((n * 4096)) -N 4096 "$dir/disk" | grep -qv " $want" &&
            { echo "# block $n is not what was flushed"; return 1; }
        n=$((n + 1))
    done
}

killed() {
    rm -f "$dir/disk"
    truncate -s 16M "$dir/disk"
    start "$fetch_program; /tmp/disk flush /dev/vda 4000" --disk "$dir/disk" \
        --disk "$dir/program,ro"
    await '^flushed 40' && kill -9 "$guest"
    status=$?
    wait "$guest" 2>/dev/null
    guest=
    last=$(tr -d '\r' <"$dir/out" | sed -n 's/^flushed \([0-9]*\)$/\1/p' | tail -n 1)
    [ $status -eq 0 ] && [ "${last:-0}" -ge 40 ] && check_flushed "$last"
    result $? 'killed at any moment, cosm loses nothing that was flushed'
}

in_use() {
    truncate -s 16M "$dir/disk"
    start 'echo waiting; until [ -f /never ]; do sleep 1; done' --disk "$dir/disk"
    await '^waiting'
    status=$?
    for mode in '' ,ro ,ephemeral; do
        "$cosm" run debian-mini --disk "$dir/disk$mode" </dev/null >"$dir/second" 2>&1
        [ $? -eq 125 ] || { status=1; echo "# $mode: not refused with 125"; }
        grep -q "$dir/disk: in use by process $guest" "$dir/second" ||
            { status=1; sed 's/^/# /' "$dir/second"; }
    done
    kill "$guest"
    wait "$guest"
    guest=
    result $status 'a disk in use is refused, and its holder named'
}

grown() {
    rm -f "$dir/disk"
    truncate -s 16M "$dir/disk"
    # shellcheck disable=SC2016 # the guest's shell expands it
    start 'echo waiting; while [ $(cat /sys/block/vda/size) -eq 32768 ]; do sleep 1; done;
        cat /sys/block/vda/size; echo end | dd of=/dev/vda seek=49151 conv=fsync' --disk "$dir/disk"
    await '^waiting' && truncate -s 24M "$dir/disk"
    status=$?
    finish && [ $status -eq 0 ] && says '^49152' && tail -c 512 "$dir/disk" | grep -q '^end'
    result $? 'a file that grows is a larger disk at once'
}

sparse() {
    rm -f "$dir/disk"
    truncate -s 64M "$dir/disk"
    debian 'dd if=/dev/urandom of=/dev/vda bs=1M count=8 conv=fsync;
        dd if=/dev/zero of=/dev/vda bs=1M seek=16 count=16 conv=fsync' --disk "$dir/disk"
    status=$?
    full=$(kilobytes "$dir/disk")
    debian 'dd if=/dev/zero of=/dev/vda bs=1M count=4 conv=fsync;
        dd if=/dev/vda bs=1M count=4 | cmp -n 4194304 - /dev/zero;
        blkdiscard -o 4194304 -l 2097152 /dev/vda' --disk "$dir/disk" || status=1
    left=$(kilobytes "$dir/disk")
    echo "# $full KiB, then $left"
    [ $status -eq 0 ] && [ "$full" -ge 8192 ] && [ "$full" -lt 9000 ] && [ "$left" -lt 2500 ]
    result $? 'zeros and discarded sectors take no space'
}

ephemeral() {
    seq 100000 | head -c 524288 >"$dir/disk"
    cp "$dir/disk" "$dir/copy"
    chmod a-w "$dir/disk"
    write='dd if=/dev/urandom of=/tmp/a bs=1k count=512; dd if=/tmp/a of=/dev/vda conv=fsync;
        echo 3 >/proc/sys/vm/drop_caches; cmp /tmp/a /dev/vda'
    "$cosm" run debian-mini --timeout "$limit" --net none --append "$(session "$write")" \
        --disk "$dir/disk,ephemeral" </dev/null >"$dir/other" 2>&1 &
    other=$!
    debian "$write" --disk "$dir/disk,ephemeral"
    status=$?
    wait "$other" || { status=1; tail -n 5 "$dir/other" | sed 's/^/# /'; }
    cmp -s "$dir/disk" "$dir/copy" || { status=1; echo "# the file was changed"; }
    rm -f "$dir/disk"
    result $status 'two guests change one ephemeral disk, and its file stays as it is'
}

# small COMMAND...: on a file system of 8 MiB, which only this process and its children see.
small() {
    as_root=-r
    [ "$(id -u)" -ne 0 ] || as_root=
    # shellcheck disable=SC2016,SC2086 # the inner shell expands it; no word without an option
    unshare $as_root -m sh -c 'mount -t tmpfs -o size=8M small "$0" && cd "$0" && exec "$@"' \
        "$dir/small" "$@"
}

full_host() {
    mkdir "$dir/small"
    if ! small true 2>/dev/null; then
        count=$((count + 1))
        echo "ok $count - a full host disk # SKIP a host that lets us mount"
        return
    fi
    # The first two MiB are flushed before the host is full, and must stay.
    command='dd if=/dev/urandom of=/tmp/a bs=1M count=2; dd if=/tmp/a of=/dev/vda bs=1M conv=fsync &&
        ! dd if=/dev/urandom of=/dev/vda bs=1M seek=2 count=30 conv=fsync && echo refused;
        echo 3 >/proc/sys/vm/drop_caches; cmp -n 2097152 /tmp/a /dev/vda && echo kept'
    cosm=$(realpath "$cosm") COSM_CACHE=$(realpath "$COSM_CACHE")
    # shellcheck disable=SC2016 # the inner shell expands it
    small sh -c 'truncate -s 64M disk && exec "$@"' sh "$cosm" run debian-mini --timeout "$limit" \
        --net none --append "$(session "$command")" --disk disk </dev/null >"$dir/out" 2>&1 &&
        says '^refused' && says '^kept' && says 'disk: cannot be written: No space left on device'
    result $? 'a full host disk is an I/O error of the guest, and nothing is lost'
}

vanished() {
    seq 1000000 | head -c 4194304 >"$dir/disk"
    start 'echo waiting; until dd if=/dev/vda of=/tmp/a skip=8000 count=100 2>/tmp/e; [ -s /tmp/e ] &&
        grep -q error /tmp/e; do echo 3 >/proc/sys/vm/drop_caches; sleep 1; done; echo noticed;
        dd if=/dev/vda of=/tmp/a count=1 && echo alive' --disk "$dir/disk"
    await '^waiting' && truncate -s 64k "$dir/disk" && rm "$dir/disk"
    status=$?
    finish && [ $status -eq 0 ] && says '^noticed' && says '^alive' &&
        says 'cannot be read: its file has become shorter'
    result $? 'a file that is cut and removed is an I/O error of the guest, where it is cut'
}

cc=$(command -v riscv64-linux-gnu-gcc) || skip_all 'package gcc-riscv64-linux-gnu'
"$cosm" images | grep -q '^debian-mini' || "$cosm" pull debian-mini >"$dir/out" 2>&1 ||
    skip_all "a Debian mirror: $(tail -n 1 "$dir/out" | cut -c1-80)"
"$cc" -D_GNU_SOURCE -std=c17 -O2 -Wall -Wextra -static -pthread "$here/disk.c" -o "$dir/program" ||
    exit 1
truncate -s %512 "$dir/program" # a disk is how the guest gets it
queues
killed
in_use
grown
sparse
ephemeral
full_host
vanished
echo "1..$count"
[ $failed -eq 0 ]
