#!/bin/sh
# With --clock insn two runs of a guest are the same: what it prints, its traps and
# interrupts, and the number of instructions. The second run is frozen now and then.
#   determinism.sh COSM PEERS_BIN small    the guest determinism.c, on 1, 2, 4 and 8 harts
#   determinism.sh COSM PEERS_BIN debian   Debian's kernel and busybox with a disk, when pulled
set -eu
cosm=$1 bin=$2 what=$3
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# shellcheck source=tests/machine/repeatable.sh
. "$here/repeatable.sh"
number=0 failures=0

# The run with the number N leaves console.N, trace.N, count.N, disk.N, status.
run() { # N ARGS...
    n=$1
    shift
    if [ -f "$dir/disk" ]; then
        cp "$dir/disk" "$dir/disk.$n"
        set -- "$@" --disk "$dir/disk.$n"
    fi
    status=0
    "$cosm" run --clock insn --timeout 300s --trace=trap,irq --status "$dir/status.$n" "$@" \
        </dev/null >"$dir/console.$n" 2>"$dir/trace.$n" || status=$?
    grep '"instructions"' "$dir/status.$n" >"$dir/count.$n" || echo none >"$dir/count.$n"
    echo "$status" >"$dir/status"
}

freeze_now_and_then() { # PROCESS: the run's shell; its child is cosm
    while kill -0 "$1" 2>/dev/null; do
        sleep 0.2
        # shellcheck disable=SC2013 # words are what is wanted
        for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
            kill -STOP "$child" 2>/dev/null && sleep 0.1
            kill -CONT "$child" 2>/dev/null || true
        done
    done
}

# same NAME ARGS...: TAP for two runs.
same() {
    name=$1
    shift
    number=$((number + 1))
    differ=
    run 1 "$@"
    first=$(cat "$dir/status")
    run 2 "$@" &
    freeze_now_and_then $!
    wait $!
    for part in console count trace ${disk:+disk}; do
        cmp -s "$dir/$part.1" "$dir/$part.2" || differ="$differ $part"
    done
    if [ "$first" -eq 0 ] && [ "$(cat "$dir/status")" -eq 0 ] && [ -s "$dir/trace.1" ] &&
        [ -z "$differ" ]; then
        echo "ok $number - $name"
        return
    fi
    failures=$((failures + 1))
    echo "# statuses $first and $(cat "$dir/status"); these differ:${differ:- none}"
    diff "$dir/console.1" "$dir/console.2" | head -n 5 | cut -c1-200 | sed 's/^/#   /'
    diff "$dir/trace.1" "$dir/trace.2" | head -n 5 | cut -c1-200 | sed 's/^/#   /'
    echo "# repeat with: $cosm run --clock insn --trace=trap,irq $*"
    echo "not ok $number - $name"
}

small() {
    need_compiler "two runs are the same"
    echo 1..4
    disk=
    for harts in 1 2 4 8; do
        compile "$harts"
        same "two runs on $harts harts are the same" -m 64M -c "$harts" "$dir/guest$harts.elf"
    done
}

debian() {
    if ! "$cosm" images 2>/dev/null | grep -q '^debian-mini'; then
        skip_all "two boots of Debian are the same" "cosm pull debian-mini"
    fi
    echo 1..2
    disk=yes
    head -c 4194304 /dev/urandom >"$dir/disk"
    for harts in 1 4; do
        same "two boots of Debian on $harts harts are the same" debian-mini -c "$harts" --append \
            "$(debian_line)"
    done
}

case $what in
small | debian) "$what" ;;
*) echo "determinism.sh: $what is neither small nor debian" >&2; exit 2 ;;
esac
[ "$failures" -eq 0 ]
