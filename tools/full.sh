#!/bin/sh
# tools/full.sh [--restart]: ./dev test --full, the steps of tools/full.txt.
#
# What passed is remembered in out/full/TREE, where TREE names what was tested: the commit and,
# when the work tree differs from it, a hash of the difference. So a run that was stopped goes
# on where it was, and a change of one line begins anew. Logs lie beside the ledger.
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=tools/build.sh
. tools/build.sh
# shellcheck source=tools/check.sh
. tools/check.sh

# One step's work: every test of one preset, also those of the suite `full`.
if [ "${1-}" = --tests ]; then
    shift
    preset=$1
    shift
    begin_results "out/full/tests-$preset${CC:+-$CC}"
    check_preset "$preset" "$@"
    end_results
    exit
fi

tree=$(git rev-parse --short=12 HEAD)
change=$({ git diff HEAD; git ls-files --others --exclude-standard -z | xargs -0r sha1sum; } |
    sha1sum | cut -c1-12)
[ "$change" = da39a3ee5e6b ] || tree=$tree-$change # that is the hash of nothing
ledger=out/full/$tree
case ${1-} in
'') ;;
--restart) rm -rf "$ledger" ;;
*) echo "./dev: test --full has no option '$1': --restart" >&2; exit 2 ;;
esac
mkdir -p "$ledger"
touch "$ledger/passed"

export COSM_FULL=1
passed=0 failed=0 skipped=0
grep -v -e '^#' -e '^$' tools/full.txt >"$ledger/steps"
while IFS= read -r line <&3; do
    name=${line%%: *} command=${line#*: }
    log=$ledger/$(echo "$name" | tr ' ' '-').log
    if grep -qxF "$name" "$ledger/passed"; then
        echo "== $name: passed before"
    else
        echo "== $name: $command"
        if sh -c "$command" >"$log" 2>&1; then
            echo "$name" >>"$ledger/passed"
        else
            grep -e '^FAILED' -e 'repeat with' "$log" || tail -n 20 "$log"
            echo "FAILED: $name; repeat with: $command; all it said: $log"
            counted=$(sed -n 's/.* \([0-9]*\) failed, [0-9]* skipped$/\1/p' "$log" | tail -n 1)
            [ "${counted:-0}" -gt 0 ] || failed=$((failed + 1))
        fi
    fi
    # A step that counts its tests counts as they do; any other is one test.
    counts=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p' "$log" |
        tail -n 1)
    if [ -n "$counts" ]; then
        passed=$((passed + ${counts%% *})) skipped=$((skipped + ${counts##* }))
        counts=${counts#* }
        failed=$((failed + ${counts%% *}))
    elif grep -qxF "$name" "$ledger/passed"; then
        passed=$((passed + 1))
    fi
done 3<"$ledger/steps"
echo "$passed passed, $failed failed, $skipped skipped" | tee "$ledger/result"
[ "$failed" = 0 ]
