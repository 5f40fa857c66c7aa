#!/bin/sh
# shellcheck disable=SC2016 # the guest's shell expands what stands in quotes
# A whole Debian, made and lived in: pulled, logged in to, written to, started again.
#
#   debian.sh COSM CACHE
#
# CACHE: where images are kept; the Debian is made there when it is missing, which takes
# minutes. Without a mirror the tests are skipped. What is done to a machine's disk is gone
# at the end.
set -u
cosm=$1
COSM_CACHE=$2
dir=$(mktemp -d)
COSM_DATA=$dir/data
export COSM_CACHE COSM_DATA
trap 'rm -rf "$dir"' EXIT
count=0 failed=0

# result STATUS NAME
result() {
    count=$((count + 1))
    [ "$1" -eq 0 ] || { failed=$((failed + 1)); printf 'not '; }
    echo "ok $count - $2"
    [ "$1" -eq 0 ] || tr -d '\r' <"$dir/out" | tail -n 25 | sed 's/^/# /'
}

skip() { # NAME REASON
    count=$((count + 1))
    echo "ok $count - $1 # SKIP $2"
}

# await TEXT: it has come on the console; ten minutes on a slow host.
await() {
    tries=0
    until grep -q -e "$1" "$dir/out"; do
        tries=$((tries + 1))
        [ $tries -lt 1200 ] && kill -0 "$guest" 2>/dev/null || return 1
        sleep 0.5
    done
}

# start ARG...: runs the Debian up to a shell of root's.
start() {
    rm -f "$dir/in"
    mkfifo "$dir/in"
    : >"$dir/out"
    "$cosm" run debian --timeout 60m "$@" <"$dir/in" >>"$dir/out" 2>&1 &
    guest=$!
    exec 3>"$dir/in"
    number=0
    await 'debian login: ' && echo root >&3 && await 'root@debian:~# '
}

# inside COMMAND: its exit status, as the guest's shell has it. What it prints is in `out`.
inside() {
    number=$((number + 1))
    printf '%s; echo "=$?= %s"\n' "$1" $number >&3
    await "=[0-9][0-9]*= $number" || return 125
    return "$(sed -n "s/.*=\([0-9][0-9]*\)= $number.*/\1/p" "$dir/out" | tail -n 1)"
}

# stop: powers off; the status of cosm.
stop() {
    echo poweroff >&3
    wait "$guest"
    off=$?
    exec 3>&-
    return $off
}

# A package without a compiler, in a repository on a disk of its own.
make_repository() {
    mkdir -p "$dir/repo/root/DEBIAN" "$dir/repo/root/usr/share/cosm-test" "$dir/tree" || return
    printf 'Package: cosm-test\nVersion: 1\nArchitecture: all\nMaintainer: nobody <a@b.c>\nDescription: test\n' \
        >"$dir/repo/root/DEBIAN/control"
    echo content >"$dir/repo/root/usr/share/cosm-test/file"
    dpkg-deb --root-owner-group -b "$dir/repo/root" "$dir/tree/cosm-test.deb" >/dev/null || return
    { sed '/^$/d' "$dir/repo/root/DEBIAN/control"
      echo "Filename: ./cosm-test.deb"
      echo "Size: $(wc -c <"$dir/tree/cosm-test.deb")"
      echo "SHA256: $(sha256sum <"$dir/tree/cosm-test.deb" | cut -d' ' -f1)"; } >"$dir/tree/Packages"
    truncate -s 16M "$dir/repo.img"
    mke2fs -q -F -t ext4 -d "$dir/tree" "$dir/repo.img" >/dev/null 2>&1
}

first_run() {
    start -c 1 --name one
    result $? 'Debian boots to a login on one hart'
    inside 'test -z "$(systemctl --failed --no-legend)"'
    result $? 'no unit of systemd failed'
    inside 'test "$(stat -c %a:%U:%G /usr/bin/passwd /usr/bin/chage | tr "\n" " ")" = "4755:root:root 2755:root:shadow "'
    result $? 'set-user and set-group programs are as in their packages'
    inside 'test -z "$(dpkg --audit)" && ! dpkg -l | grep -v ^ii | grep ^[a-z]'
    result $? 'every package is installed'
    inside "test \$(date +%s) -ge $(($(date +%s) - 60)) && test \$(date +%s) -le $(($(date +%s) + 3600))"
    result $? 'the clock is right'
    inside 'seq 300000 >/root/kept && sync'
    result $? 'files are written'
}

packages() {
    inside 'mkdir /mnt/repo && mount -o ro /dev/vdb /mnt/repo'
    result $? 'a second disk is mounted'
    inside 'rm -f /etc/apt/sources.list.d/*; echo "deb [trusted=yes] file:/mnt/repo ./" >/etc/apt/sources.list; apt-get -q update && apt-get -q -y install cosm-test'
    result $? 'apt installs a package of a local repository'
    inside 'grep -q content /usr/share/cosm-test/file && dpkg -V cosm-test'
    result $? 'and its files are there'
}

# The guest's clock against the host's, after minutes.
clock() {
    inside 'sleep 120'
    # Both are read at about the same time, and minutes of delay are a slow host's.
    asked=$(date +%s)
    inside 'echo "clock=$(date +%s)"'
    answered=$(date +%s)
    seen=$(sed -n 's/.*clock=\([0-9][0-9]*\).*/\1/p' "$dir/out" | tail -n 1)
    [ "${seen:-0}" -ge $((asked - 2)) ] && [ "${seen:-0}" -le $((answered + 2)) ]
    result $? 'the clock is right after minutes'
}

second_run() {
    start -c 4 --name one --disk "$dir/repo.img,ro"
    result $? 'it boots again on four harts'
    inside 'test $(nproc) = 4 && seq 300000 | cmp - /root/kept'
    result $? 'what was written is there'
    inside 'test -z "$(systemctl --failed --no-legend)"'
    result $? 'no unit failed on four harts'
    packages
    clock
    reboot_inside
    stop
    result $? 'power off is success'
}

# The machine restarts inside cosm. `exec`, or the old shell would show its prompt once more.
reboot_inside() {
    : >"$dir/out"
    echo exec reboot >&3
    await 'debian login: ' && echo root >&3 && await 'root@debian:~# ' && inside 'dpkg -s cosm-test | grep -q "install ok"'
    result $? 'a reboot comes back, with what was installed'
}

with_debian() {
    base=$(echo "$COSM_CACHE"/debian-trixie.*/disk)
    before=$(sha256sum "$base")
    first_run
    stop
    result $? 'power off is success'
    if make_repository; then
        second_run
    else
        skip 'apt and dpkg' 'packages dpkg, e2fsprogs'
    fi
    [ "$before" = "$(sha256sum "$base")" ]
    result $? "the image's own disk was not written"
    "$cosm" run debian:sid </dev/null >"$dir/out" 2>&1
    [ $? -eq 127 ] && grep -q 'run: cosm pull debian:sid' "$dir/out"
    result $? 'another suite is not there'
}

if "$cosm" pull --no-progress debian >"$dir/out" 2>&1; then
    with_debian
else
    case $(tail -n 1 "$dir/out") in
    *'second stage'* | *malformed* | *missing*) result 1 'a Debian is made' ;;
    *) skip 'a whole Debian' "a Debian mirror: $(tail -n 1 "$dir/out" | cut -c1-80)" ;;
    esac
fi
echo "1..$count"
[ $failed -eq 0 ]
