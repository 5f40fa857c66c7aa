# shellcheck shell=sh disable=SC2154 # dir, cosm and status come from run.sh and lib.sh
# The terminal: raw while the guest runs, as before afterwards. script(1) gives one.

echo "# terminal"
if ! command -v script >/dev/null || ! script -qec true /dev/null >/dev/null 2>&1 </dev/null; then
    skip 'the terminal is given back' 'package bsdutils'
    return 0
fi

# type_keys KEYS: when the guest has the terminal, or after a second.
type_keys() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        [ -z "$1" ] || grep -q 'Ctrl-] ends it' "$dir/out" 2>/dev/null && break
        sleep 0.1
    done
    # shellcheck disable=SC2059
    printf "$1"
    [ -z "$1" ] || sleep 1
}

# on_terminal KEYS COMMAND: runs the shell command on a terminal of its own. The settings
# before and after, and its status, are in $dir/before, $dir/after, $dir/code. A signal
# that the terminal sends reaches the shell too: it must survive to look.
on_terminal() {
    rm -f "$dir/before" "$dir/during" "$dir/after" "$dir/out"
    : >"$dir/out"
    echo none >"$dir/code"
    cat >"$dir/command" <<END
trap : INT QUIT HUP
tty=\$(tty)
stty -a >"$dir/before"
$2
echo \$? >"$dir/code"
stty -a >"$dir/after"
END
    type_keys "$1" | timeout 60 script -qefc "sh $dir/command" /dev/null >"$dir/out" 2>"$dir/err"
}

# restored NAME STATUS
restored() {
    echo "# status $(cat "$dir/code"), want $2" >>"$dir/err"
    [ "$(cat "$dir/code")" = "$2" ] && cmp -s "$dir/before" "$dir/after"
    ok $? "$1"
}

# In the background of the shell: what happens to the guest, whose process is in $dir/pid.
guest_pid="sh -c 'echo \$\$ >$dir/pid; exec \"\$0\" \"\$@\"' $cosm"

on_terminal '\035' "$cosm run $dir/sleep.elf"
restored 'Ctrl-] leaves, and the terminal is given back' 130
grep -q 'Ctrl-] ends it' "$dir/out"
ok $? 'and the user was told how to leave'
on_terminal '' "$cosm run $dir/off.elf"
restored 'given back after power-off' 0
on_terminal '' "(sleep 0.5; stty -a <\$tty >$dir/during) & $cosm run $dir/loop.elf --timeout 1s"
restored 'given back after the time limit' 124
grep -q -- '-icanon' "$dir/during" && grep -q -- '-isig' "$dir/during"
ok $? 'raw while the guest ran'
on_terminal '' "$cosm run $dir/none"
restored 'untouched when there is no guest' 127
for signal in INT:130 TERM:143 HUP:129 QUIT:131 SEGV:139 ABRT:134 BUS:135 USR1:138 ALRM:142 PIPE:141; do
    name=${signal%:*}
    on_terminal '' "(sleep 0.5; kill -$name \$(cat $dir/pid)) & $guest_pid run $dir/sleep.elf"
    restored "given back after SIG$name" "${signal#*:}"
done
on_terminal '' "(sleep 0.5; kill -TSTP \$(cat $dir/pid); sleep 0.3; stty -a <\$tty >$dir/during
kill -CONT \$(cat $dir/pid); sleep 0.3; stty -a <\$tty >$dir/again) & $guest_pid run $dir/sleep.elf --timeout 2s"
restored 'given back after it was stopped' 124
cmp -s "$dir/before" "$dir/during"
ok $? 'given back while it was stopped'
grep -q -- '-icanon' "$dir/again"
ok $? 'and raw again when it continued'
on_terminal '\003\035' "$cosm run $dir/sleep.elf"
restored 'Ctrl-C is the key of the guest' 130
on_terminal '\003' "$cosm run --console none $dir/sleep.elf"
restored 'without a console, Ctrl-C ends the guest' 130
on_terminal '' "$cosm run $dir/sleep.elf --timeout 500ms | cat"
restored 'given back when the output is a pipe' 0

# More than a terminal's line, a key at a time for the guest, without a newline.
keys=$(seq -s , 2000)
on_terminal "${keys}q" "$cosm run $dir/echo.elf"
restored 'a guest that ends by a key' 0
grep -qF "${keys}q" "$dir/out"
ok $? 'every key reaches it, pasted by thousands'
