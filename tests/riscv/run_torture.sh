#!/bin/sh
# Random programs (torture.c) on cosm and on QEMU: everything they print must be equal.
#   run_torture.sh TORTURE COSM PEERS_BIN [FIRST_SEED] [COUNT] [SEGMENTS] [INSTRUCTIONS]
# QEMU gets a second hart, which sleeps: with one, its AMOs are a load and a store, and a
# page that may only be read tells. It translates one instruction at a time: its folding of
# constants loses some (QEMU 11.1: a written 0 before ebreak) and divides by 0 for others.
# COSM_RUN: more options of `cosm run`. A seed on which the oracle itself dies is told as unproved.
set -eu
torture=$1 cosm=$2 bin=$3 first=${4:-1} count=${5:-20} segments=${6:-8} instructions=${7:-400}
here=$(cd "$(dirname "$0")" && pwd)
qemu=$bin/qemu-system-riscv64 as=$bin/riscv64-linux-gnu-as ld=$bin/riscv64-linux-gnu-ld
[ -x "$as" ] || { as=$(command -v riscv64-linux-gnu-as || true); ld=$(command -v riscv64-linux-gnu-ld || true); }
echo 1..1
for need in "$qemu:qemu-system-riscv" "$as:binutils-riscv64-linux-gnu"; do
    if [ ! -x "${need%%:*}" ]; then
        echo "ok 1 - random programs run as on QEMU # SKIP package ${need##*:} (tools/peers.sh)"
        exit 0
    fi
done
echo "# $("$qemu" --version | head -n 1)"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0 unproved=0 seed=$first
while [ "$seed" -lt $((first + count)) ]; do
    "$torture" "$seed" "$segments" "$instructions" | cat "$here/torture_runtime.S" - >"$dir/program.S"
    "$as" -march=rv64gc "$dir/program.S" -o "$dir/program.o"
    "$ld" -T "$here/torture.ld" "$dir/program.o" -o "$dir/program.elf"
    status=0
    timeout 60 "$qemu" -M virt -cpu max -smp 2 -accel tcg,one-insn-per-tb=on -m 128 \
        -display none -serial "file:$dir/want" -monitor none -bios none -kernel "$dir/program.elf" >/dev/null 2>&1 || status=$?
    if [ "$status" -ne 0 ]; then
        echo "# seed $seed: unproved: the oracle ended with status $status"
        unproved=$((unproved + 1))
    else
        status=0
        # shellcheck disable=SC2086 # a list of options
        timeout 60 "$cosm" run ${COSM_RUN-} -m 128M "$dir/program.elf" >"$dir/got" 2>"$dir/errors" </dev/null || status=$?
        if [ "$status" -ne 0 ] || ! cmp -s "$dir/want" "$dir/got"; then
            failed=$((failed + 1))
            echo "# seed $seed: status $status; first difference (QEMU <, cosm >):"
            diff "$dir/want" "$dir/got" | head -n 6 | cut -c1-300 | sed 's/^/#   /'
            head -n 3 "$dir/errors" | sed 's/^/#   /'
            echo "# repeat with: tests/riscv/run_torture.sh $torture $cosm $bin $seed 1 $segments $instructions"
        fi
    fi
    seed=$((seed + 1))
done
echo "# $((count - failed - unproved)) equal, $failed different, $unproved unproved"
[ "$failed" -eq 0 ] || printf 'not '
echo "ok 1 - random programs run as on QEMU"
[ "$failed" -eq 0 ]
