#!/bin/sh
# run_testfloat.sh DIR TESTFLOAT [LEVEL [PATTERN]]: Berkeley TestFloat against riscv/fp.h.
#
# DIR holds testfloat_gen, built with SPECIALIZE_TYPE=RISCV; TESTFLOAT is the program
# built from testfloat.c. LEVEL 1 (default): 96 million vectors, half a minute; 2: many
# more, hours. PATTERN (grep): only these of `TESTFLOAT --list`. Prints TAP, a line for
# each function and rounding mode. No run at all is a failure.
set -eu

if [ $# -lt 2 ] || [ ! -x "$1/testfloat_gen" ] || [ ! -x "$2" ]; then
    echo "run_testfloat.sh: want a folder with testfloat_gen, and the testfloat program" >&2
    exit 2
fi
generate=$1/testfloat_gen judge=$2 level=${3:-1} pattern=${4:-.}

# A generator that dies leaves a line that is no vector.
vectors() { "$generate" -tininessafter -exact -level "$level" "-$2" "$1" || echo "generator failed"; }

"$judge" --list | grep -e "$pattern" | {
    runs=0 failed=0 total=0
    while read -r function mode; do
        runs=$((runs + 1))
        said=$(vectors "$function" "$mode" </dev/null | "$judge" "$function" "$mode") ||
            failed=$((failed + 1))
        echo "$said"
        count=${said##*: } # "... f64_add rmin: 46464 vectors, 0 differences"
        case $count in [0-9]*" vectors, "*) total=$((total + ${count%% *})) ;; esac
    done
    echo "1..$runs"
    echo "# TestFloat level $level: $runs runs, $total vectors, $failed runs failed"
    [ "$runs" -gt 0 ] && [ "$failed" -eq 0 ]
}
