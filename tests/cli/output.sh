# shellcheck shell=sh disable=SC2154 # dir, cosm and status come from run.sh and lib.sh
# What the command prints: well-formed, and never lost in silence.

echo "# output"
for verb in run pull images disasm doctor version help completion; do
    passes "$verb --help" "$cosm" "$verb" --help
    grep -q "^Usage: cosm $verb" "$dir/out" && cp "$dir/out" "$dir/help.$verb"
    ok $? "$verb --help shows its usage"
    "$cosm" help "$verb" | cmp -s - "$dir/help.$verb"
    ok $? "help $verb says the same"
done
awk 'length > 80 { exit 1 }' "$dir"/help.*
ok $? 'no line of help is wider than 80'
passes 'help' "$cosm" help
passes '--help' "$cosm" --help
passes '--version' "$cosm" --version
passes 'help of a verb without its operands' "$cosm" pull -h

passes 'the manual page is made' "$cosm" help --man
cp "$dir/out" "$dir/cosm.1"
if command -v groff >/dev/null; then
    groff -man -Tutf8 -ww "$dir/cosm.1" >"$dir/out" 2>"$dir/err"
    [ ! -s "$dir/err" ]
    ok $? 'groff has nothing to say about it'
elif command -v man >/dev/null; then
    MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$dir/cosm.1" >"$dir/out" 2>"$dir/err"
    [ ! -s "$dir/err" ]
    ok $? 'man has nothing to say about it'
else
    skip 'the manual page is well-formed' 'package groff'
fi
for option in kernel memory timeout status no-progress base man; do
    grep -qF -- "\\-\\-$(echo "$option" | sed 's/-/\\-/g')" "$dir/cosm.1"
    ok $? "the manual page has --$option"
done

for shell in bash zsh fish; do
    passes "completion for $shell is made" "$cosm" completion "$shell"
    cp "$dir/out" "$dir/completion.$shell"
    if ! command -v "$shell" >/dev/null; then
        skip "$shell reads it" "package $shell"
        continue
    fi
    "$shell" -n "$dir/completion.$shell" >"$dir/out" 2>"$dir/err"
    ok $? "$shell reads it"
done
if command -v bash >/dev/null; then
    # completes WORDS... : what bash offers for the last of them
    completes() {
        bash -c 'compopt() { :; }; source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _cosm; echo "${COMPREPLY[*]}"' \
            sh "$dir/completion.bash" "$@" >"$dir/out" 2>"$dir/err"
    }
    completes cosm ru
    [ "$(cat "$dir/out")" = run ]
    ok $? 'bash completes a verb'
    completes cosm run --mem
    [ "$(cat "$dir/out")" = --memory ]
    ok $? 'bash completes an option'
    completes cosm run --clock ''
    [ "$(cat "$dir/out")" = 'host insn' ]
    ok $? 'bash completes a choice'
    completes cosm completion f
    [ "$(cat "$dir/out")" = fish ]
    ok $? 'bash completes an operand'
fi

# json FILE: well-formed, by whatever can tell.
json() {
    if command -v python3 >/dev/null; then
        python3 -m json.tool "$1" >/dev/null 2>"$dir/err"
    elif command -v jq >/dev/null; then
        jq . "$1" >/dev/null 2>"$dir/err"
    else
        [ -s "$1" ]
    fi
}
for verb in version doctor images; do
    passes "$verb --json" "$cosm" "$verb" --json
    json "$dir/out"
    ok $? "$verb --json is JSON"
done
run "$cosm" images
[ "$status" -eq 0 ] && grep -q 'cosm pull debian' "$dir/err" && [ ! -s "$dir/out" ]
ok $? 'an empty cache is no failure, and says how to fill it'
fails 'removing what is not there' 127 'debian' "$cosm" images --remove debian
passes 'doctor' "$cosm" doctor

passes 'disassembling words' "$cosm" disasm 0x00a00513 4501
grep -q 'a0,zero,10' "$dir/out" || grep -q 'a0,10' "$dir/out"
ok $? 'and the text is right'
printf '\023\005\240\000\001' >"$dir/flat"
passes 'disassembling a flat binary' "$cosm" disasm --base 0x80000000 "$dir/flat"
grep -q '^80000000:.00a00513' "$dir/out" && grep -q '^80000004:.01  *.\.byte.0x1' "$dir/out"
ok $? 'at its address, to its last byte'
passes 'disassembling an ELF file' "$cosm" disasm "$dir/sleep.elf"
grep -q '^80000024:.10500073.*wfi' "$dir/out"
ok $? 'and finds its code'

for verb in help version doctor 'completion bash' 'help --man' 'images --json' 'disasm 4501'; do
    # shellcheck disable=SC2086
    "$cosm" $verb >/dev/full 2>"$dir/err"
    [ $? -eq 125 ] && grep -q 'cannot write standard output: No space left' "$dir/err"
    ok $? "$verb: a full disk is a failure"
    # shellcheck disable=SC2086
    "$cosm" $verb >&- 2>"$dir/err"
    [ $? -eq 125 ] && grep -q 'cannot write standard output' "$dir/err"
    ok $? "$verb: a closed output is a failure"
done
"$cosm" completion bash 2>"$dir/err" | head -1 >"$dir/out"
[ ! -s "$dir/err" ] && [ -s "$dir/out" ]
ok $? 'a reader that goes away early is fine'
"$cosm" version <&- >"$dir/out" 2>"$dir/err"
ok $? 'a closed input is fine'
"$cosm" rnu 2>&- >"$dir/out"
[ $? -eq 125 ]
ok $? 'a closed error output does not change the status'
