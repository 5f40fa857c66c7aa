#!/bin/sh
# tools/fuzz.sh: what ./dev fuzz does.
#
#   fuzz.sh TARGET [SECONDS]     fuzz, starting from tests/fuzz/corpus/TARGET
#   fuzz.sh --short | --long     every target, 20 s or 600 s each, two at a time
#   fuzz.sh --coverage [TARGET]  lines reached by the corpus; under 80 % is a failure
#   fuzz.sh --planted [TARGET]   both planted bugs must be found within a minute
#
# Inputs that are new to the fuzzer stay in out/fuzz/TARGET/corpus and are a start for the next
# run; copy a good one to tests/fuzz/corpus/TARGET by hand (--coverage says whether it helps).
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=tools/build.sh
. tools/build.sh
corpus=tests/fuzz/corpus

list_targets() {
    for source in tests/fuzz/fuzz_*.c; do
        [ -f "$source" ] || continue
        name=${source##*/fuzz_}
        echo "${name%.c}"
    done
}

need_target() { # TARGET
    [ -f "tests/fuzz/fuzz_$1.c" ] && return
    echo "fuzz: no target '$1':" "$(list_targets | tr '\n' ' ')" >&2
    exit 2
}

# An input over a second is a hang; over 2 GiB of memory a leak.
# $1: preset (fuzz or planted), $2: target, $3: seconds, then more of libFuzzer's arguments.
run_fuzzer() {
    binary=$(build_dir "$1")/tests/fuzz/fuzz_$2
    target=$2 seconds=$3
    shift 3
    mkdir -p "out/fuzz/$target/corpus" "$corpus/$target"
    UBSAN_OPTIONS=print_stacktrace=1 "$binary" -max_total_time="$seconds" ${seed:+-seed="$seed"} -timeout=1 \
        -rss_limit_mb=2048 -artifact_prefix="out/fuzz/$target/" -print_final_stats=1 "$@" \
        "out/fuzz/$target/corpus" "$corpus/$target"
}

fuzz_one() { # TARGET SECONDS
    need_target "$1"
    build fuzz fuzz_programs
    run_fuzzer fuzz "$1" "$2"
}

# One target among others: quiet, and told in one line.
fuzz_quietly() { # TARGET SECONDS
    mkdir -p "out/fuzz/$1"
    if run_fuzzer fuzz "$1" "$2" >"out/fuzz/$1/log" 2>&1; then
        echo "fuzz: $1: clean, $(sed -n 's/^stat::number_of_executed_units: *//p' \
            "out/fuzz/$1/log") inputs in $2 s"
    else
        grep -E '^==.*ERROR|^ *#[0-9]+ 0x|^SUMMARY|runtime error|Test unit' "out/fuzz/$1/log" |
            head -n 25
        echo "fuzz: $1: FAILED; repeat with: ./dev fuzz $1 $2"
        return 1
    fi
}

fuzz_all() { # SECONDS
    targets=$(list_targets)
    [ -n "$targets" ] || { echo "fuzz: no targets" >&2; return 1; }
    build fuzz fuzz_programs
    echo "$targets" | xargs -P "$jobs" -I '{}' tools/fuzz.sh --quietly '{}' "$1"
}

# Prints a line for each file that the target's first line names: covers: a.c b.c
cover_one() { # TARGET
    need_target "$1"
    covers=$(sed -n '1s|^/\* covers: \(.*\) \*/$|\1|p' "tests/fuzz/fuzz_$1.c")
    if [ -z "$covers" ]; then
        echo "fuzz: fuzz_$1.c: the first line must be /* covers: FILE.c ... */" >&2
        return 1
    fi
    build coverage fuzz_programs
    binary=$(build_dir coverage)/tests/fuzz/replay_$1
    profile=out/fuzz/$1/coverage
    mkdir -p "out/fuzz/$1"
    LLVM_PROFILE_FILE=$profile.raw "$binary" "$1" "$corpus/$1" >"$profile.log" ||
        { cat "$profile.log"; return 1; }
    llvm-profdata merge -o "$profile.data" "$profile.raw"
    llvm-cov export -summary-only -instr-profile "$profile.data" "$binary" >"$profile.json"
    # shellcheck disable=SC2086 # a list of file names
    python3 tools/coverage.py "$1" "$profile.json" $covers
}

# A planted bug is known by the function of ours that the sanitizer names (helpers of base/ do
# not count: both could end there). Fork mode goes on after a crash.
find_planted() { # TARGET
    need_target "$1"
    build planted fuzz_programs
    binary=$(build_dir planted)/tests/fuzz/fuzz_$1
    folder=out/fuzz/$1/planted
    rm -rf "$folder"
    mkdir -p "$folder/corpus"
    UBSAN_OPTIONS=print_stacktrace=1 "$binary" -fork="$jobs" -ignore_crashes=1 -ignore_timeouts=1 \
        -ignore_ooms=1 -max_total_time=60 -timeout=1 -artifact_prefix="$folder/" \
        "$folder/corpus" "$corpus/$1" >"$folder/log" 2>&1 &
    fuzzer=$!
    trap 'kill "$fuzzer" 2>/dev/null || true' EXIT
    found=0
    while [ "$found" -lt 2 ] && kill -0 "$fuzzer" 2>/dev/null; do
        sleep 2
        found=$(count_places "$binary" "$folder")
    done
    kill "$fuzzer" 2>/dev/null || true
    wait "$fuzzer" 2>/dev/null || true
    found=$(count_places "$binary" "$folder")
    sed "s/^/fuzz: $1: planted bug found: /" "$folder/places"
    [ "$found" -ge 2 ] && return
    echo "fuzz: $1: FAILED: $found of 2 planted bugs found in a minute; see $folder/log" >&2
    return 1
}

# Replays crashes not seen before; the file `places` has a line for each function they lead to.
count_places() { # BINARY FOLDER
    touch "$2/places"
    for crash in "$2"/crash-* "$2"/timeout-* "$2"/oom-*; do
        if [ ! -f "$crash" ] || [ -f "$2/seen.${crash##*/}" ]; then continue; fi
        touch "$2/seen.${crash##*/}"
        UBSAN_OPTIONS=print_stacktrace=1 "$1" -timeout=1 "$crash" 2>&1 |
            sed -n 's|^ *#[0-9]* 0x[0-9a-f]* in \([A-Za-z0-9_]*\) .*/src/\([^ :]*\).*|\1, \2|p' |
            grep -v ' base/' | head -n 1 >>"$2/places"
    done
    sort -u -o "$2/places" "$2/places"
    wc -l <"$2/places"
}

each_or_one() { # COMMAND [TARGET]
    command=$1
    if [ $# -gt 1 ]; then "$command" "$2"; return; fi
    bad=0
    # Each in a process of its own: traps and early exits end one target, not all.
    for target in $(list_targets); do tools/fuzz.sh "--$command" "$target" || bad=1; done
    return "$bad"
}

case ${1-} in
# CI judges a change: the same inputs each time, as far as time allows. --long hunts.
--short) export seed=1; fuzz_all 20 ;;
--long) fuzz_all 600 ;;
--quietly) fuzz_quietly "$2" "$3" ;;
--coverage | --cover_one) shift; each_or_one cover_one "$@" ;;
--planted | --find_planted) shift; each_or_one find_planted "$@" ;;
-* | '') sed -n 's/^#   \(fuzz.sh\)/use: \1/p' "$0" >&2; exit 2 ;;
*) fuzz_one "$1" "${2:-60}" ;;
esac
