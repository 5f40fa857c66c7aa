#!/bin/sh
# tools/lint.sh [--deep]: everything that a machine can say about the text of the project. --deep
# adds clang's static analyzer, which takes more than a minute.
set -u
cd "$(dirname "$0")/.." || exit 2
# shellcheck source=tools/build.sh
. tools/build.sh

deep='' extra='' failed=''
case ${1-} in
'') ;;
--deep) deep=yes ;;
*) echo "use: tools/lint.sh [--deep]" >&2; exit 2 ;;
esac

check() { # NAME COMMAND...
    name=$1
    shift
    "$@" || { echo "lint: $name failed" >&2; failed="$failed $name"; }
}
# $1: a program. Says which package it comes with; a lint that is not done has not passed.
need() { command -v "$1" >/dev/null || { echo "lint: no $1; ./dev setup installs it" >&2; false; }; }

check_format() { need clang-format && tracked_c | xargs clang-format --dry-run -Werror; }

check_scripts() {
    # SC2187: a script for busybox's shell is checked as one for dash, which is what we want.
    # shellcheck disable=SC2046 # file names without blanks
    need shellcheck && shellcheck -x -S info -e SC2187 dev .ci/run $(git ls-files -- '*.sh')
}

# A mirror's or a registry's address is the user's business (apt's configuration, --mirror); one
# written down here would sooner or later be fetched from. The brackets keep this file clean.
check_hosts() {
    ! git grep -nIiE '(deb|ftp|security|snapshot)([.][a-z]+)?[.]debian[.]org|(archive|ports)[.]ubuntu[.]com|pypi[.]org|pythonhosted[.]org|registry[.]npmjs|npmjs[.]com|crates[.]io|proxy[.]golang|rubygems[.]org|docker[.]io|ghcr[.]io|quay[.]io|repo[1]?[.]maven'
}

# Checks that are our own and short: what they find is told in their message.
check_house_rules() {
    ! git grep -nwE 'TODO|FIXME|XXX' -- '*.c' '*.h' '*.def' '*.sh' '*.py' dev ':!tools/lint.sh' &&
        ! git grep -nP '\t' -- '*.c' '*.h' '*.def' '*.build' &&
        ! git grep -nP '[ \t]+$' -- '*.c' '*.h' '*.def' '*.sh' '*.py' '*.build' dev
}

# clang-tidy reads how a file is compiled from Meson's compile_commands.json, and wants what the
# build makes to be there.
check_tidy() {
    need clang-tidy && need clang || return
    cc=clang
    build debug || return
    dir=$(build_dir debug)
    # Only what is compiled: a file without a command would be checked with the wrong flags.
    # valist: a mistake of clang 14, which sees every va_list as uninitialized. security, padding:
    # Annex K functions that no C library has; order of members is for the reader.
    [ "$deep" ] && extra='--checks=clang-analyzer-*,-clang-analyzer-valist.*,-clang-analyzer-security.insecureAPI.*,-clang-analyzer-optin.performance.Padding'
    python3 -c 'import json, os, sys
for entry in json.load(open(sys.argv[1] + "/compile_commands.json")):
    print(os.path.relpath(os.path.join(entry["directory"], entry["file"])))' "$dir" | sort -u |
        xargs -P "$jobs" -n 2 clang-tidy -p "$dir" --quiet ${extra:+"$extra"} --warnings-as-errors='*' \
            2>out/build/tidy.log >out/build/tidy.out && return
    sed '/warnings generated/d' out/build/tidy.out
    return 1
}

# Information, no check: what may want to be cut in two. A function in this style begins with {
# and ends with } in the first column.
list_long_functions() {
    # shellcheck disable=SC2016 # awk's $, not the shell's
    tracked_c | xargs awk '
        /^[a-z].*\(/ { name = $0 }
        /^{/ { start = FNR }
        /^}/ { if (start && FNR - start > 61) { sub(/\(.*/, "", name); sub(/.*[ *]/, "", name)
                   printf "%5d lines: %s:%d: %s\n", FNR - start - 1, FILENAME, start, name }
               start = 0 }' | sort -rn | head -n 20
}

check layers tools/check_layers.sh
check format check_format
check scripts check_scripts
check hosts check_hosts
check house-rules check_house_rules
check clang-tidy check_tidy
echo "functions over 60 lines (for information):"
list_long_functions
[ -z "$failed" ] || { echo "lint: failed:$failed" >&2; exit 1; }
echo "lint: passed"
