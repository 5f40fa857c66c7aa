# shellcheck shell=sh disable=SC2154 # dir, cosm, here and status come from run.sh and lib.sh
# tests/cli/programs.sh: programs for the accumulator machine, as a user runs them.

tiny() { # NAME TEXT
    printf '%s' "$2" >"$dir/$1.tiny"
}

examples=$here/../../examples/tiny
run "$cosm" run "$examples/double.tiny"
[ "$status" -eq 0 ] && [ "$(cat "$dir/out")" = ACC=2 ] && [ ! -s "$dir/err" ]
ok $? "a tiny program prints to standard output"

printf '1071\n462\n' >"$dir/in"
status=0
"$cosm" run "$examples/gcd.tiny" <"$dir/in" >"$dir/out" 2>"$dir/err" || status=$?
[ "$status" -eq 0 ] && [ "$(cat "$dir/out")" = 'a? b? 21' ]
ok $? "a tiny program reads standard input"

tiny code 'HALT 42'
run "$cosm" run "$dir/code.tiny" --status "$dir/status.json"
[ "$status" -eq 42 ] && grep -q '"cause": "exited"' "$dir/status.json" &&
    grep -q '"code": 42' "$dir/status.json"
ok $? "a program's code is the exit status, and the cause is in --status"

tiny trap 'LOAD 5
DIV 0'
fails "a trap says where and why, and ends with 134" 134 "trap.tiny:2: DIV 0: division by zero" \
    "$cosm" run "$dir/trap.tiny"
tiny wrong 'LOAD [999]'
fails "a wrong program is not runnable" 126 "wrong.tiny:1: there is no cell '999': want 0 to 255" \
    "$cosm" run "$dir/wrong.tiny"
fails "a machine's option is refused for a program" 125 "'memory' is no setting for a program" \
    "$cosm" run "$dir/code.tiny" -m 1G
tiny endless 'a: JMP a'
fails "a time limit ends an endless program" 124 "the time limit of 200ms was reached" \
    "$cosm" run "$dir/endless.tiny" --timeout 200ms

run "$cosm" run "$examples/ticks.tiny" --trace=insn
[ "$status" -eq 0 ] && grep -q 'pc=3 *acc=1 *HALT' "$dir/err"
ok $? "--trace=insn shows accumulator and program counter, step by step"

"$cosm" run "$dir/endless.tiny" >"$dir/out" 2>"$dir/err" &
child=$!
sleep 0.3
kill -TERM "$child"
status=0
wait "$child" || status=$?
[ "$status" -eq 143 ]
ok $? "a program ends when it is told to"
