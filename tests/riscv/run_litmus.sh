#!/bin/sh
# The guest litmus.c on HARTS harts: what it prints is TAP.
#   run_litmus.sh COSM PEERS_BIN [HARTS] [ROUNDS]
# COSM_RUN: more options of `cosm run`.
set -eu
cosm=$1 bin=$2 harts=${3:-2} rounds=${4:-20000}
here=$(cd "$(dirname "$0")" && pwd)
cc=$bin/riscv64-linux-gnu-gcc
[ -x "$cc" ] || cc=$(command -v riscv64-linux-gnu-gcc || true)
if [ ! -x "$cc" ]; then
    echo 1..1
    echo "ok 1 - litmus programs # SKIP package gcc-riscv64-linux-gnu (tools/peers.sh)"
    exit 0
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$cc" -std=c17 -O2 -Wall -Wextra -march=rv64gc -mabi=lp64d -mcmodel=medany -ffreestanding \
    -fno-pic -fno-builtin -fno-tree-loop-distribute-patterns -nostdlib -static \
    -Wl,-T,"$here/litmus.ld" -Wl,--build-id=none \
    -DHARTS="$harts" -DROUNDS="$rounds" "$here/litmus.c" -o "$dir/litmus.elf" 2>"$dir/errors" || {
    sed 's/^/# /' "$dir/errors"
    echo "not ok 1 - litmus programs compile"
    exit 1
}
echo "# $harts harts, $rounds rounds, $("$cc" --version | head -n 1)"
status=0
# shellcheck disable=SC2086 # a list of options
"$cosm" run ${COSM_RUN-} -c "$harts" -m 64M "$dir/litmus.elf" </dev/null >"$dir/said" || status=$?
tr -d '\r' <"$dir/said"
[ "$status" -eq 0 ] && grep -q '^1\.\.' "$dir/said" && exit 0
echo "# status $status; repeat with: tests/riscv/run_litmus.sh $cosm $bin $harts $rounds"
exit 1
