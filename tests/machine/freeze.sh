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
# shellcheck source=tests/machine/repeatable.sh
. "$here/repeatable.sh"
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
    need_compiler "a moved machine goes on"
    echo 1..4
    n=0
    for harts in 1 2 4 8; do
        n=$((n + 1))
        compile "$harts"
        moved "$n" "$harts" "$dir/guest$harts.elf"
    done
}

debian() {
    # Without points it only opens the guest.
    if ! "$freeze" 0 0 1 debian-mini >/dev/null 2>&1; then
        skip_all "a moved Debian goes on" "cosm pull debian-mini"
    fi
    echo 1..4
    n=0
    for harts in 1 4; do
        head -c 4194304 /dev/urandom >"$dir/disk"
        cp "$dir/disk" "$dir/copy"
        n=$((n + 1))
        moved "$n" "$harts" debian-mini \
            "$(debian_line)" "$dir/disk" "$dir/copy"
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
