#!/bin/sh
# tests/cli/run.sh COSM SOURCE: the command from outside, every way to use it wrongly
# first. Prints TAP.
set -u

cosm=$1
here=$(dirname "$0")
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM HUP
export COSM_CACHE="$dir/cache"
unset XDG_CACHE_HOME
LC_ALL=C
export LC_ALL

. "$here/lib.sh"
. "$here/usage.sh"
. "$here/things.sh"
. "$here/output.sh"
. "$here/guests.sh"
. "$here/terminal.sh"

echo "1..$number"
[ "$failures" -eq 0 ]
