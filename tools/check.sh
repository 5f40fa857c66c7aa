# shellcheck shell=sh disable=SC2154,SC2034 # cc and jobs are those of tools/build.sh
# tools/check.sh: running tests and counting what they say. Sourced by ./dev and tools/full.sh.
#
# A run collects its results in one directory: PRESET.json, Meson's log of one preset, and
# steps.tap, a line for every step that is no Meson test. tools/tally.py counts both, from the
# tests inside each program, and ends with the line `N passed, N failed, N skipped`.

begin_results() { # DIR
    results=$1
    rm -rf "$results"
    mkdir -p "$results"
    steps=0
}

end_results() { tools/tally.py ${CI:+--ci} ${pattern:+--pattern} "$results"; }

# Runs one command as one test; $is_good tells whether it passed.
step() { # NAME COMMAND [ARG...]
    name=$1
    shift
    steps=$((steps + 1))
    echo "== $name"
    # In a subshell: what the command changes or ends must not reach the steps after it.
    is_good=
    if ("$@"); then
        is_good=yes
        # That it compiles is no test of its own; that it does not is a failure.
        case $name in build*) ;; *) echo "ok $steps - $name" >>"$results/steps.tap" ;; esac
    else
        { echo "not ok $steps - $name"
          echo "# repeat with: ${repeat:-./dev ${name%% *}}"; } >>"$results/steps.tap"
    fi
    repeat=
}

# Builds a preset and runs some of its tests.
check_preset() { # PRESET [MESON-TEST-ARG...]
    preset=$1
    shift
    dir=$(build_dir "$preset")
    repeat="CC=$cc ./dev build $preset"
    step "build ${dir#out/build/}" build "$preset"
    [ "$is_good" ] || return 0
    echo "== tests of ${dir#out/build/}"
    rm -f "$dir"/meson-logs/testlog*
    # Its status is not asked for: the log tells more, and tally.py reads that.
    meson test -C "$dir" --no-rebuild --num-processes "$jobs" "$@" >"$results/${dir#out/build/}.out" \
        2>&1 || true
    cp "$dir/meson-logs/testlog.json" "$results/${dir#out/build/}.json" 2>/dev/null ||
        cat "$results/${dir#out/build/}.out"
}

# The guest that tests boot, before they run side by side and each wants to fetch it. Without a
# mirror they are skipped, as tests/skips.txt allows.
fetch_guest() {
    build release || return 0 # the next step says so
    COSM_CACHE=$PWD/out/cache out/cosm images | grep -q '^debian-mini' ||
        COSM_CACHE=$PWD/out/cache out/cosm pull debian-mini || true
}

# What CI runs. Guests are booted by gcc's release build alone; the others take the tests that
# need none. Each has its own way of dispatch: gcc goto, clang tail calls, sanitizers a loop.
check_all() {
    fetch_guest
    check_preset release --no-suite full --timeout-multiplier 3
    check_clang --suite unit --suite fuzz --timeout-multiplier 3
    check_preset asan --suite unit --suite fuzz --timeout-multiplier 8
    check_preset tsan --suite unit --timeout-multiplier 8
    check_preset stress --suite unit --timeout-multiplier 6
    repeat='./dev fuzz --short'
    step 'fuzz every target for 20 s' tools/fuzz.sh --short
}

check_clang() { # MESON-TEST-ARG...
    kept=$cc
    cc=clang
    check_preset release "$@"
    cc=$kept
}

# Tests whose name holds PATTERN, of the preset in PRESET; failing that, single tests in the
# unit test programs.
check_pattern() { # PATTERN
    pattern=$1
    preset=${PRESET:-release}
    build "$preset" || return # or the list of tests could be an old one
    dir=$(build_dir "$preset")
    names=$(meson test -C "$dir" --no-rebuild --list 2>/dev/null | sed 's/.* \/ //' |
        grep -e "$pattern" | sort -u || true)
    # shellcheck disable=SC2086 # test names hold no blanks
    if [ -n "$names" ]; then
        check_preset "$preset" --verbose $names
    else
        check_preset "$preset" --suite unit --test-args "$pattern"
    fi
}
