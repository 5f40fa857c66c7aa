#!/bin/sh
# Every 32-bit instruction row, disassembled by cosm and assembled again by GNU as, must
# give the same word: an outside oracle for encodings and for the text.
#   run_asm.sh ASM_WORDS PEERS_BIN [COUNT] [SEED]
set -eu
program=$1 bin=$2 count=${3:-20} seed=${4:-1}
as=$bin/riscv64-linux-gnu-as objcopy=$bin/riscv64-linux-gnu-objcopy
march=rv64gc_zfh_zba_zbb_zbc_zbs_zbkb_zbkx_zicond_zicbom_zicboz_zicbop_zfa_zcb_zawrs_zacas_zimop_zcmop_svinval
echo 1..1
if [ ! -x "$as" ]; then
    echo "ok 1 - rows assemble to themselves # SKIP package binutils-riscv64-linux-gnu >= 2.44 (tools/peers.sh)"
    exit 0
fi
echo "# $("$as" --version | head -n 1)"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$program" "$dir/words" "$dir/text.s" "$count" "$seed"
if "$as" -march="$march" -o "$dir/text.o" "$dir/text.s" 2>"$dir/errors" &&
    "$objcopy" -O binary -j .text "$dir/text.o" "$dir/back" && cmp "$dir/words" "$dir/back" >"$dir/errors"; then
    echo "ok 1 - rows assemble to themselves"
    exit 0
fi
head -n 20 "$dir/errors" | sed 's/^/# /'
echo "not ok 1 - rows assemble to themselves"
echo "# repeat with: tests/riscv/run_asm.sh $program $bin $count $seed"
exit 1
