# shellcheck shell=sh disable=SC2154 # dir, cosm and status come from run.sh and lib.sh
# tests/cli/lib.sh: TAP, and guests made of a few words, for run.sh.

number=0
failures=0

# ok STATUS NAME: one test result; 0 is success. Shows what was printed when it failed.
ok() {
    number=$((number + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $number - $2"
        return
    fi
    failures=$((failures + 1))
    echo "not ok $number - $2"
    sed 's/^/# out: /' "$dir/out" | head -20
    sed 's/^/# err: /' "$dir/err" | head -20
}

# skip NAME REASON
skip() {
    number=$((number + 1))
    echo "ok $number - $1 # SKIP $2"
}

# run COMMAND...: its exit status is in $status, what it printed in $dir/out and $dir/err.
run() {
    status=0
    "$@" >"$dir/out" 2>"$dir/err" </dev/null || status=$?
}

# fails NAME STATUS TEXT COMMAND...: the status, and a line of stderr that holds TEXT;
# nothing on stdout.
fails() {
    name=$1 want=$2 text=$3
    shift 3
    run "$@"
    echo "# status $status, want $want" >>"$dir/err"
    [ "$status" -eq "$want" ] && grep -qF -- "$text" "$dir/err" && [ ! -s "$dir/out" ]
    ok $? "$name"
}

# passes NAME COMMAND...: status 0, nothing on stderr.
passes() {
    name=$1
    shift
    run "$@"
    [ "$status" -eq 0 ] && [ ! -s "$dir/err" ]
    ok $? "$name"
}

# le VALUE BYTES: little-endian.
le() {
    le_value=$1 le_left=$2
    while [ "$le_left" -gt 0 ]; do
        # shellcheck disable=SC2059
        printf "\\$(printf %03o $((le_value & 255)))"
        le_value=$((le_value >> 8)) le_left=$((le_left - 1))
    done
}

# zeros COUNT
zeros() {
    head -c "$1" /dev/zero
}

# elf MACHINE CLASS ADDRESS WORD...: an ELF file with one segment of instruction words.
elf() {
    elf_machine=$1 elf_class=$2 elf_address=$3
    shift 3
    printf '\177ELF'
    le "$elf_class" 1
    printf '\001\001'
    zeros 9
    le 2 2
    le "$elf_machine" 2
    le 1 4
    le "$elf_address" 8
    le 64 8 # program headers
    le 0 8  # section headers
    le 0 4
    le 64 2
    le 56 2
    le 1 2
    le 0 6
    le 1 4 # PT_LOAD
    le 5 4 # read, execute
    le 128 8
    le "$elf_address" 8
    le "$elf_address" 8
    le $((4 * $#)) 8
    le $((4 * $#)) 8
    le 4 8
    zeros 8
    for elf_word; do
        le "$elf_word" 4
    done
}

# guest WORD...: a bare-metal RISC-V program at the start of memory.
guest() {
    elf 243 2 0x80000000 "$@"
}

# image MAGIC BYTES: 64 bytes of a Linux Image header with MAGIC at 56, then zeros up to
# BYTES.
image() {
    zeros 56
    # shellcheck disable=SC2059
    printf "$1"
    zeros $(($2 - 60))
}
