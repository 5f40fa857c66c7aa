# shellcheck shell=sh disable=SC2154 # dir, cosm and status come from run.sh and lib.sh
# What is wrong on the command line: status 125, what was found, what is wanted.

echo "# usage"
fails 'no verb is explained' 125 'verb missing: want one such as run' "$cosm"
fails 'and points to help' 125 "try 'cosm help'" "$cosm"
fails 'an unknown verb brings a suggestion' 125 "unknown verb 'rnu': did you mean run?" "$cosm" rnu
fails 'a far verb brings none' 125 "unknown verb 'zzzz'" "$cosm" zzzz
fails 'an option before the verb' 125 '--memory: want a verb first' "$cosm" --memory 1G run x
: >"$dir/afile"
fails 'a file as the verb' 125 "did you mean 'cosm run $dir/afile'?" "$cosm" "$dir/afile"

fails 'an unknown option brings a suggestion' 125 'unknown option --memroy: did you mean --memory?' \
    "$cosm" run --memroy 1G x
fails 'and points to the verb' 125 "try 'cosm help run'" "$cosm" run --memroy 1G x
fails 'a far option brings none' 125 'unknown option --xyzzy' "$cosm" run --xyzzy
fails 'an unknown letter' 125 'unknown option -Z' "$cosm" run -Z x
fails 'an option of another verb' 125 'unknown option --mirror' "$cosm" run --mirror x
fails 'a missing argument' 125 '--memory: argument missing: want a size' "$cosm" run x --memory
fails 'a missing argument of a letter' 125 '-m: argument missing: want a size' "$cosm" run x -m
fails 'an argument for a flag' 125 "--quiet: 'yes' given: want no argument" "$cosm" run --quiet=yes x
fails 'one operand too many' 125 "unexpected argument 'y': want [THING]" "$cosm" run x y
fails 'an operand where none is wanted' 125 "unexpected argument 'y': want none" "$cosm" version y
fails 'a missing operand' 125 'NAME missing' "$cosm" pull
fails 'nothing to run' 125 'nothing to run: want a THING' "$cosm" run

for bad in 0 1 512 1048576 65G 1T 99999999999999999999G; do
    fails "memory of $bad" 125 "--memory: '$bad' is too" "$cosm" run --memory "$bad" x
done
for bad in '' M -1 12Q '1 G' 0x10M 1.5 nan; do
    fails "memory of '$bad'" 125 "--memory: '$bad' is malformed: want a size from 2M to 64G" \
        "$cosm" run "--memory=$bad" x
done
for bad in 0 9 4294967297 18446744073709551616; do
    fails "harts: $bad" 125 "-c: '$bad' is too" "$cosm" run -c "$bad" x
done
fails 'harts in words' 125 "--harts: 'two' is malformed: want a whole number from 1 to 8" \
    "$cosm" run --harts two x
fails 'a timeout without unit' 125 "--timeout: '30' lacks a unit: want a time" "$cosm" run --timeout 30 x
fails 'a timeout of nothing' 125 "--timeout: '0s' is too small" "$cosm" run --timeout 0s x
fails 'a timeout in words' 125 "--timeout: 'soon' is malformed" "$cosm" run --timeout soon x
fails 'a timeout below zero' 125 "--timeout: '-1s' is malformed" "$cosm" run --timeout -1s x
fails 'a timeout beyond all' 125 "--timeout: '99999999h' is too large" "$cosm" run --timeout 99999999h x
fails 'an unknown clock' 125 "--clock: 'sun' is unknown: want one of host|insn" "$cosm" run --clock sun x
fails 'an unknown console' 125 'want one of serial|virtio|none' "$cosm" run --console tv x
fails 'an unknown trace' 125 "--trace: 'mmoi' is not traced" "$cosm" run --trace mmoi x
fails 'an unknown log level' 125 'want one of error|warn|info|debug' "$cosm" run --log-level loud x
fails 'a seed that is no number' 125 "--seed: 'x' is malformed" "$cosm" run --seed x x
fails 'an empty file name' 125 "--kernel: '' names no file" "$cosm" run --kernel '' x
fails 'a disk without name' 125 "disk: ',ro' names no file" "$cosm" run --disk ,ro x
fails 'seven disks' 125 'one too many: want at most 6' \
    "$cosm" run --disk a --disk b --disk c --disk d --disk e --disk f --disk g x
fails 'help for an unknown verb' 125 "unknown verb 'pul': did you mean pull?" "$cosm" help pul
fails 'completion for an unknown shell' 125 "'csh': want one of bash|zsh|fish" "$cosm" completion csh
fails 'a base address that is none' 125 "--base: 'x' is malformed" "$cosm" disasm --base x 4501
