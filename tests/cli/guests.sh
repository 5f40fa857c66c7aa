# shellcheck shell=sh disable=SC2154 # dir, cosm and status come from run.sh and lib.sh
# Guests of a few words: how they end becomes the exit status and the status file.

echo "# guests"
# cause NAME: the status file says so.
cause() {
    grep -q "\"cause\": \"$1\"" "$dir/status.json" && json "$dir/status.json"
}

# The syscon at 0x100000: 0x5555 powers off, 0x3333 | code << 16 fails.
guest 0x001002b7 0x00005337 0x55530313 0x0062a023 0x0000006f >"$dir/off.elf"
guest 0x001002b7 0x00053337 0x33330313 0x0062a023 0x0000006f >"$dir/fail5.elf"
guest 0x001002b7 0x00ff3337 0x33330313 0x0062a023 0x0000006f >"$dir/fail255.elf"
guest 0x0000006f >"$dir/loop.elf"
# Waits with every interrupt off.
guest 0x10500073 0xffdff06f >"$dir/halt.elf"
# Echoes the serial port until a q, then powers off.
guest 0x100002b7 0x0052c303 0x00137313 0xfe030ce3 0x0002c383 0x00728023 0x07100e13 0xffc394e3 \
    0x001002b7 0x00005337 0x55530313 0x0062a023 0x0000006f >"$dir/echo.elf"

passes 'power-off is success' timeout 60 "$cosm" run "$dir/off.elf" --status "$dir/status.json"
cause poweroff
ok $? 'the status file says poweroff'
grep -q '"exit_status": 0' "$dir/status.json"
ok $? 'and its exit status'
fails 'failure 5 is status 5' 5 'the guest reported failure, code 5' \
    timeout 60 "$cosm" run "$dir/fail5.elf" --status "$dir/status.json"
cause failed
ok $? 'the status file says failed'
run timeout 60 "$cosm" run -q "$dir/fail5.elf"
[ "$status" -eq 5 ] && [ ! -s "$dir/err" ]
ok $? 'quiet is quiet'
fails 'failure 255 is cut to 122' 122 'code 255' timeout 60 "$cosm" run "$dir/fail255.elf"
passes 'a guest by --kernel' timeout 60 "$cosm" run --kernel "$dir/off.elf"
passes 'options after the THING' timeout 60 "$cosm" run "$dir/off.elf" -m 64M -c 2 --clock insn
passes 'a guest without console' timeout 60 "$cosm" run --console none "$dir/off.elf"
fails 'the time limit is status 124' 124 'the time limit of 200ms was reached' \
    timeout 60 "$cosm" run "$dir/loop.elf" --timeout 200ms --status "$dir/status.json"
cause timeout
ok $? 'the status file says timeout'
fails 'a sleeping guest has a time limit too' 124 'time limit' \
    timeout 60 "$cosm" run "$dir/sleep.elf" --timeout 200ms

fails 'a guest that can never go on is status 134' 134 'interrupt that can never come' \
    timeout 60 "$cosm" run "$dir/halt.elf" --status "$dir/status.json"
cause stuck
ok $? 'the status file says stuck'

{ seq 20000 && printf q; } >"$dir/in"
timeout 60 "$cosm" run "$dir/echo.elf" <"$dir/in" >"$dir/out" 2>"$dir/err"
cmp -s "$dir/in" "$dir/out"
ok $? 'every byte of a file reaches the guest and comes back'
# shellcheck disable=SC2002
cat "$dir/in" | timeout 60 "$cosm" run "$dir/echo.elf" 2>"$dir/err" | cat >"$dir/out"
cmp -s "$dir/in" "$dir/out"
ok $? 'and of a pipe'
printf q | timeout 60 "$cosm" run "$dir/echo.elf" >/dev/full 2>"$dir/err"
grep -q 'console: cannot write' "$dir/err"
ok $? 'a full disk under the console is told'
{ timeout 60 "$cosm" run "$dir/loop.elf"; echo $? >"$dir/code"; } 2>"$dir/err" | true
[ "$(cat "$dir/code")" -eq 141 ]
ok $? 'a guest that nobody hears any more ends as by SIGPIPE'

# ended SIGNAL STATUS GUEST: the signal ends the guest.
ended() {
    timeout --preserve-status -s "$1" 1 "$cosm" run "$dir/$3" --status "$dir/status.json" \
        >"$dir/out" 2>"$dir/err" </dev/null
    status=$?
    echo "# status $status, want $2" >>"$dir/err"
    [ "$status" -eq "$2" ] && cause signal
    ok $? "SIG$1 ends $3 with $2"
}
ended INT 130 loop.elf
ended TERM 143 loop.elf
ended HUP 129 loop.elf
ended QUIT 131 loop.elf
ended TERM 143 sleep.elf

"$cosm" run "$dir/loop.elf" >"$dir/out" 2>"$dir/err" </dev/null &
pid=$!
sleep 0.5
kill -STOP $pid
kill -TERM $pid
kill -CONT $pid
wait $pid
[ $? -eq 143 ]
ok $? 'a stopped guest is ended after it continues'

fails 'a status file that cannot be made' 125 '--status: /nowhere/x' \
    "$cosm" run "$dir/off.elf" --status /nowhere/x
run timeout 60 "$cosm" run "$dir/off.elf" --status /dev/full
[ "$status" -eq 125 ] && grep -q 'No space left' "$dir/err"
ok $? 'a status file on a full disk is a failure'
timeout 60 "$cosm" run "$dir/off.elf" >&- 2>"$dir/err" </dev/null
[ $? -eq 125 ] && grep -q 'standard output is closed' "$dir/err"
ok $? 'a guest whose output is closed is not run'
timeout 60 "$cosm" run "$dir/off.elf" --console none >&- 2>"$dir/err" </dev/null
ok $? 'unless it has no console'
timeout 60 "$cosm" run "$dir/off.elf" <&- >"$dir/out" 2>"$dir/err"
ok $? 'a guest whose input is closed runs'
run "$cosm" run "$dir/none" --status "$dir/status.json"
cause error && grep -q '"status": "not found"' "$dir/status.json"
ok $? 'the status file tells of a guest that is not there'

run "$cosm" run "$dir/$(printf 'a\377\001"\\ \303\251')" --status "$dir/status.json"
cause error
ok $? 'a name that is no UTF-8 leaves the status file JSON'

passes 'the device tree is dumped' timeout 60 "$cosm" run "$dir/off.elf" --clock insn --dump-dtb "$dir/tree"
[ "$(head -c 4 "$dir/tree" | od -An -tx1 | tr -d ' ')" = d00dfeed ]
ok $? 'and is one'
passes 'to standard output too' timeout 60 "$cosm" run "$dir/off.elf" --clock insn --dump-dtb -
cmp -s "$dir/out" "$dir/tree"
ok $? 'and is the same'
fails 'a full disk under the device tree' 125 'No space left' \
    timeout 60 "$cosm" run "$dir/off.elf" --dump-dtb /dev/full
