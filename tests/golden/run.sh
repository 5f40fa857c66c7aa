#!/bin/sh
# tests/golden/run.sh COSM FOLDER: what the command prints, as it stands in FOLDER/*.txt.
#
# A file's first line is the command, `$ cosm ARGUMENT...`; what follows is its output and, when
# that is not 0, its status. With COSM_BLESS set (./dev bless) the files are rewritten, to be
# reviewed as a diff: a changed row of a table shows all that follows from it. Prints TAP.
set -eu
cosm=$(realpath "$1") folder=$2
got=$(mktemp)
trap 'rm -f "$got"' EXIT

# The cache of whoever runs this must not be seen.
COSM_CACHE=/nonexistent
export COSM_CACHE

print_run() { # FILE
    first=$(head -n 1 "$1")
    echo "$first"
    status=0
    # The arguments are words for the shell, as written after the name.
    eval "\"\$cosm\" ${first#\$ cosm}" </dev/null 2>&1 || status=$?
    [ "$status" = 0 ] || echo "[status $status]"
}

number=0 is_bad=0
for file in "$folder"/*.txt; do
    number=$((number + 1))
    print_run "$file" >"$got"
    [ -z "${COSM_BLESS-}" ] || cp "$got" "$file"
    if cmp -s "$got" "$file"; then
        echo "ok $number - ${file##*/}"
    else
        diff -u "$file" "$got" | sed 's/^/# /'
        echo "not ok $number - ${file##*/}"
        echo "# repeat with: $0 $cosm $folder; if it is meant: ./dev bless golden"
        is_bad=1
    fi
done
echo "1..$number"
exit "$is_bad"
