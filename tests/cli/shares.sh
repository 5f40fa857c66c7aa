# shellcheck shell=sh disable=SC2154 # dir, cosm and status come from run.sh and lib.sh
# Shared folders and the balloon from outside: what is refused, before the guest runs.

echo "# shared folders"
mkdir -p "$dir/folder" "$dir/a:b"
for bad in '' / /tmp :tag /tmp: /tmp::ro; do
    fails "the volume '$bad'" 125 "volume: '$bad'" "$cosm" run -v "$bad" x
done
for tag in 'a b' 'a,b' 'a/b' 12345678901234567890123456789012; do
    fails "the tag '$tag'" 125 "the tag '$tag' is no word of 1 to 31" "$cosm" run -v "/tmp:$tag" x
done
fails 'one tag for two folders' 125 "the tag 'a' is taken already" \
    "$cosm" run -v /tmp:a -v /var:a:ro x
set -- "$cosm" run
for n in 1 2 3 4 5 6 7 8 9; do
    set -- "$@" -v "$dir/folder:tag$n"
done
fails 'nine volumes' 125 'one too many: want at most 8' "$@" x
fails 'a folder that is not there' 127 "$dir/none: cannot share it: No such file" \
    "$cosm" run -v "$dir/none:tag" "$dir/off.elf"
fails 'a file in its place' 125 "$dir/off.elf: not a folder" \
    "$cosm" run -v "$dir/off.elf:tag" "$dir/off.elf"
passes 'a folder' timeout 60 "$cosm" run -v "$dir/folder:tag" "$dir/off.elf"
passes 'folders, one with a colon, one read-only' timeout 60 \
    "$cosm" run -v "$dir/a:b:one:ro" -v "$dir/folder:two:rw" "$dir/off.elf"
passes 'a folder with counted time' timeout 60 \
    "$cosm" run --clock insn -v "$dir/folder:tag" "$dir/off.elf"
"$cosm" run -v "$dir/folder:tag" --dump-dtb - "$dir/off.elf" | grep -aq 'virtio_mmio@1000a000'
ok $? 'and has its place in the device tree'

for bad in '' big 1.5 -1; do
    fails "a balloon of '$bad'" 125 "balloon: '$bad': want a size, such as 256M, or off" \
        "$cosm" run "--balloon=$bad" x
done
fails 'a balloon larger than memory' 125 'a balloon of 512 MiB in 256 MiB of memory' \
    "$cosm" run -m 256M --balloon 512M "$dir/off.elf"
passes 'a balloon' timeout 60 "$cosm" run -m 256M --balloon 64M "$dir/off.elf"
"$cosm" run --balloon off --dump-dtb - "$dir/off.elf" | grep -aq 'virtio_mmio@10009000'
[ $? -eq 1 ]
ok $? 'no balloon has no place'
