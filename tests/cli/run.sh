#!/bin/sh
# tests/cli/run.sh COSM: the command from outside, every way to use it wrongly
# first. Prints TAP.
set -u

# shellcheck disable=SC2034 # used by what is sourced
cosm=$1
here=$(dirname "$0")
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM HUP
export COSM_CACHE="$dir/cache"
unset XDG_CACHE_HOME
# A sanitizer would turn the signals that the tests send into reports.
quiet=handle_segv=0:handle_sigbus=0:handle_abort=0
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}$quiet"
export TSAN_OPTIONS="${TSAN_OPTIONS:+$TSAN_OPTIONS:}$quiet"
LC_ALL=C
export LC_ALL

# shellcheck source=tests/cli/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/cli/usage.sh
. "$here/usage.sh"
# shellcheck source=tests/cli/things.sh
. "$here/things.sh"
# shellcheck source=tests/cli/programs.sh
. "$here/programs.sh"
# shellcheck source=tests/cli/output.sh
. "$here/output.sh"
# shellcheck source=tests/cli/guests.sh
. "$here/guests.sh"
# shellcheck source=tests/cli/net.sh
. "$here/net.sh"
# shellcheck source=tests/cli/shares.sh
. "$here/shares.sh"
# shellcheck source=tests/cli/terminal.sh
. "$here/terminal.sh"

# shellcheck disable=SC2154 # counted in lib.sh
echo "1..$number"
[ "$failures" -eq 0 ]
