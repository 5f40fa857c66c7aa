#!/bin/sh
# tools/check_layers.sh [TREE]: whether every #include points down, as tools/layers.txt says.
#
# A file of src/FOLDER/ (nested folders too) may include "FOLDER/...", the folders of its line
# and <system headers>; "cosm/..." is the public interface and open to all. A public header may
# include public headers only.
set -eu
tree=${1:-$(dirname "$0")/..}
cd "$tree"

# shellcheck disable=SC2016 # awk's $, not the shell's
find src include -name '*.[ch]' -o -name '*.def' -path 'src/*' | sort | xargs awk '
    FILENAME == "tools/layers.txt" {
        if ($0 ~ /^#/ || $0 !~ /:/)
            next
        from = $1
        sub(/:$/, "", from)
        known[from] = 1
        for (i = 2; i <= NF; i++)
            allow[from, $i] = 1
        next
    }
    function complain(text) {
        printf "%s:%d: %s\n", FILENAME, FNR, text
        bad = 1
    }
    FNR == 1 {
        split(FILENAME, path, "/")
        from = path[1] == "include" ? "include/cosm" : path[2]
        if (path[1] == "src" && !(from in known))
            complain("tools/layers.txt has no line for src/" from "/")
    }
    match($0, /^[ \t]*#[ \t]*include[ \t]*"[^"]*"/) {
        name = substr($0, RSTART, RLENGTH)
        gsub(/^[^"]*"|"$/, "", name)
        if (name ~ /\.inc$/)
            next # made by the build, found beside what is built from it
        if (name !~ /\//)
            complain("\"" name "\": say from which folder, \"" from "/" name "\"")
        else if (name ~ /(^|\/)\.\.(\/|$)/)
            complain("\"" name "\": no way up")
        else {
            to = name
            sub(/\/.*/, "", to)
            if (to != "cosm" && to != from && !((from, to) in allow))
                complain(from "/ may not include " to "/")
        }
    }
    END { exit bad }' tools/layers.txt
