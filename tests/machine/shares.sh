#!/bin/sh
# What a Debian kernel does with shared folders and with the balloon.
#   shares.sh COSM CACHE [full]
# CACHE: where the Debian image is kept; pulled when it is not there, skipped without a mirror.
# full: more ways of mounting, and more rounds of what the host does meanwhile.
set -u
cosm=$1
COSM_CACHE=$2
export COSM_CACHE
full=${3-} rounds=40
[ -z "$full" ] || rounds=400
limit=600s # a hang, not a slow host
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
shared=$dir/in outside=$dir/out
count=0 failed=0

# result STATUS NAME
result() {
    count=$((count + 1))
    [ "$1" -eq 0 ] || { failed=$((failed + 1)); printf 'not '; }
    echo "ok $count - $2"
    [ "$1" -eq 0 ] || tail -n 15 "$dir/log" | cut -c1-200 | sed 's/^/# /'
}

# guest OPTIONS ARG...: mounts the folder on /mnt with OPTIONS and runs its script `guest.sh`
# there; its status is the guest's.
guest() {
    options=$1
    shift
    "$cosm" run debian-mini --timeout "$limit" --net none --append "console=ttyS0 quiet \
cosm.run=\"mount -t 9p -o trans=virtio,version=9p2000.L,$options share /mnt && cd /mnt && sh guest.sh\"" \
        "$@" </dev/null >"$dir/log" 2>&1
}

# A tree with files of many sizes, a symlink, a folder of many names.
make_tree() {
    rm -rf "$shared" "$outside"
    mkdir -p "$shared/src/sub" "$shared/big" "$outside"
    echo hidden words >"$outside/secret"
    for size in 0 1 4095 4096 4097 70000 500000 3000000; do
        head -c "$size" /dev/urandom >"$shared/src/sub/$size"
    done
    ln -s sub/4097 "$shared/src/link"
    (cd "$shared/big" && seq -f 'a file with a rather long name, number %05.0f' 3000 | xargs -d '\n' touch)
    (cd "$shared/src" && find . -type f -exec sha256sum {} +) >"$shared/sums"
}

script() { cat >"$shared/guest.sh"; }

copy_both_ways() { # OPTIONS
    make_tree
    script <<'GUEST'
set -e
sha256sum() { busybox sha256sum "$@"; }
cp -a src /tmp/src
(cd /tmp/src && sha256sum -c /mnt/sums >/dev/null)
[ "$(readlink /tmp/src/link)" = sub/4097 ]
cp -a /tmp/src back
mv back moved
mv moved/sub moved/other
mv moved/other moved/sub
cat moved/link >/dev/null
GUEST
    guest "$1" -v "$shared:share" && [ -L "$shared/moved/link" ] &&
        (cd "$shared/moved" && sha256sum -c ../sums >>"$dir/log" 2>&1)
    result $? "a tree is copied both ways ($1)"
}

names() { # OPTIONS
    make_tree
    script <<'GUEST'
set -e
exec 3<>open
echo one >&3
rm open
echo two >&3
[ "$(cat /proc/self/fd/3)" = "$(printf 'one\ntwo')" ]
exec 3>&-
[ ! -e open ]
long=$(head -c 255 /dev/zero | tr '\0' n)
echo text >$long
[ "$(cat $long)" = text ]
rm $long
mkdir many
i=0
while [ $i -lt 1000 ]; do echo $i >many/$i; i=$((i + 1)); done
[ "$(ls many | wc -l)" = 1000 ]
[ "$(cat many/* | sort -n | tail -n 1)" = 999 ]
rm -r many
[ "$(ls big | wc -l)" = 3000 ]
[ "$(ls big | sort -u | wc -l)" = 3000 ]
echo append >log; echo more >>log
[ "$(wc -l <log)" = 2 ]
truncate -s 3 log
[ "$(cat log)" = app ]
ln log hard
[ "$(stat -c %h hard)" = 2 ]
chmod 640 hard
[ "$(stat -c %a log)" = 640 ]
touch -d @1000000 log
[ "$(stat -c %Y hard)" = 1000000 ]
! chmod 4755 hard
! mkfifo fifo
! cat none
df . >/dev/null
GUEST
    guest "$1" -v "$shared:share" && [ "$(cat "$shared/hard")" = app ] && [ ! -e "$shared/fifo" ]
    result $? "names, sizes and attributes are what they were made ($1)"
}

read_only() {
    make_tree
    script <<'GUEST'
set -e
[ "$(ls big | wc -l)" = 3000 ]
! touch new
! sh -c 'echo x >src/sub/1'
! rm src/link
! mkdir folder
! mv src source
! chmod 777 src
GUEST
    (cd "$shared" && find . | sort) >"$dir/before"
    guest cache=none -v "$shared:share:ro" && (cd "$shared" && find . | sort) | cmp - "$dir/before"
    result $? 'a read-only folder refuses every change'
}

# Symlinks are followed in the guest, by the guest: the host's files stay out of reach.
symlinks() {
    make_tree
    ln -s "$outside" "$shared/way"
    ln -s ../out/secret "$shared/file"
    script <<'GUEST'
! cat way/secret file
! ls way/
! sh -c 'echo x >file'
ln -s /etc/passwd passwd && [ "$(readlink passwd)" = /etc/passwd ]
GUEST
    guest cache=none -v "$shared:share" && [ "$(cat "$outside/secret")" = "hidden words" ] &&
        [ "$(readlink "$shared/passwd")" = /etc/passwd ]
    result $? 'a symlink out of the folder leads nowhere'
}

# The host makes folders symlinks out, and folders again, while the guest walks and writes.
swap() {
    while [ ! -e "$dir/enough" ]; do
        mv "$shared/src/sub" "$shared/src/was"
        ln -s "$outside" "$shared/src/sub"
        rm "$shared/src/sub"
        mv "$shared/src/was" "$shared/src/sub"
    done
}

torture() {
    make_tree
    echo inside >"$shared/src/sub/secret"
    script <<GUEST
i=0
while [ \$i -lt $rounds ]; do
    cat src/sub/secret
    echo spoiled >src/sub/spoiled
    rm -f src/sub/spoiled
    ls src/sub
    mkdir src/sub/folder && rmdir src/sub/folder
    chmod 711 src/sub
    i=\$((i + 1))
done >seen 2>&1
true
GUEST
    rm -f "$dir/enough"
    swap &
    guest cache=none -v "$shared:share"
    status=$?
    : >"$dir/enough"
    wait
    grep -q inside "$shared/seen" || status=1
    ! grep -q hidden "$shared/seen" || status=1
    [ "$(ls -A "$outside")" = secret ] && [ "$(cat "$outside/secret")" = "hidden words" ] &&
        [ "$(stat -c %a "$outside")" = 755 ] || status=1
    result $status 'a host that swaps symlinks and folders gives nothing away'
}

disappears() {
    make_tree
    script <<'GUEST'
echo ready >ready
while touch new; do sleep 0.1; done
[ ! -e /mnt/src ] && ! ls /mnt/big && ! cat /mnt/sums
GUEST
    rm -f "$shared/ready"
    guest cache=none -v "$shared:share" &
    running=$!
    until [ -e "$shared/ready" ] || ! kill -0 $running 2>/dev/null; do sleep 0.1; done
    until rm -rf "$shared" 2>/dev/null; do :; done
    wait $running
    result $? 'a folder that disappears gives the guest errors, and no more'
    mkdir -p "$shared"
}

two_folders() {
    make_tree
    script <<'GUEST'
set -e
mkdir /tmp/second
mount -t 9p -o trans=virtio second /tmp/second
cp /tmp/second/secret copy
GUEST
    guest cache=none -v "$shared:share" -v "$outside:second:ro" && cmp "$shared/copy" "$outside/secret"
    result $? 'two folders are shared by their tags'
}

# resident PROCESS: MiB
resident() { awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$1/status" 2>/dev/null || echo 0; }

# await TEXT PROCESS
await() {
    until grep -q "^$1" "$dir/log"; do
        kill -0 "$2" 2>/dev/null || return 1
        sleep 0.2
    done
}

# The guest fills 256 MiB of its memory and frees them; the host has them back.
balloon() {
    "$cosm" run debian-mini -m 1G --timeout "$limit" --net none --append "console=ttyS0 quiet \
cosm.run=\"mount -o remount,size=400M /tmp; echo begun; sleep 1; dd if=/dev/zero of=/tmp/x bs=1M count=256; \
echo filled; sleep 1; rm /tmp/x; echo freed; sleep 600\"" </dev/null >"$dir/log" 2>&1 &
    running=$!
    await begun $running
    begun=$(resident $running)
    await filled $running
    filled=$(resident $running)
    await freed $running
    tries=0
    until [ "$(resident $running)" -lt $((begun + 64)) ] || [ $tries -gt 600 ]; do
        tries=$((tries + 1))
        sleep 0.2
    done
    freed=$(resident $running)
    kill $running
    wait $running
    echo "# resident MiB: $begun before, $filled with 256 MiB in use, $freed after they were freed"
    [ "$filled" -gt $((begun + 200)) ] && [ "$freed" -lt $((begun + 64)) ]
    result $? 'memory that the guest frees goes back to the host'
}

shrinks() {
    make_tree
    script <<'GUEST'
tries=0
until grep -q 'balloon_inflate 32768' /proc/vmstat; do
    tries=$((tries + 1))
    [ $tries -lt 1000 ] || exit 1
    sleep 0.1
done
GUEST
    guest cache=none -v "$shared:share" --balloon 128M
    result $? 'the balloon becomes as large as it should'
}

if "$cosm" images | grep -q '^debian-mini' || "$cosm" pull debian-mini >"$dir/log" 2>&1; then
    names cache=none
    copy_both_ways cache=mmap
    read_only
    disappears
    torture
    balloon
    if [ -n "$full" ]; then
        names cache=mmap
        names cache=loose
        copy_both_ways cache=none
        symlinks
        two_folders
        shrinks
    fi
else
    count=1
    echo "ok 1 - shared folders # SKIP a Debian mirror: $(tail -n 1 "$dir/log" | cut -c1-80)"
fi
echo "1..$count"
[ $failed -eq 0 ]
