#!/bin/busybox sh
# /init of an image pulled by cosm: the first process of the guest.
#
# It mounts what a program expects, loads the driver of every device there is, and then
#   root=DEV        on the kernel's command line: starts the system on that disk
#   cosm.run="CMD"  runs CMD, prints its exit status and powers off with it
#   otherwise       gives a shell on the console and powers off when it ends
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=vt100 PS1='\u@\h:\w\$ '
/bin/busybox --install -s
set -f # device names hold * and ? and are no patterns here

mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
mount -t devtmpfs -o nosuid,mode=0755 devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o nosuid,noexec,gid=5,mode=0620,ptmxmode=0666 devpts /dev/pts
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs /dev/shm
mount -t tmpfs -o nosuid,nodev,mode=0755 tmpfs /run
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs /tmp
ln -sf /proc/self/fd /dev/fd
ln -sf /proc/mounts /etc/mtab
hostname cosm

# The value of `$1=value` or `$1="value"` on the kernel's command line.
argument() {
    sed -n "s/\(^\|.* \)$1=\"\([^\"]*\)\".*/\2/p; t; s/\(^\|.* \)$1=\([^ ]*\).*/\2/p" /proc/cmdline
}

# A driver may bring new devices (virtio_mmio does), so until there are no new ones.
load_drivers() {
    known=
    while :; do
        # shellcheck disable=SC2046 # one word a file
        present=$(cat $(find /sys/devices -name modalias) 2>/dev/null | sort -u)
        [ "$present" = "$known" ] && break
        known=$present
        # shellcheck disable=SC2086 # one word a device
        modprobe -aq $present 2>/dev/null
    done
}

# How to power off with a status: the test device of the virt board takes it.
fail_machine() { # STATUS
    set +f
    for node in /proc/device-tree/soc/test@*; do
        grep -aq sifive,test "$node/compatible" 2>/dev/null || continue
        devmem "0x${node##*@}" 32 $(($1 << 16 | 0x3333)) 2>/dev/null
    done
}

stop() { # poweroff | reboot | halt [STATUS]
    trap '' USR1 USR2 TERM
    sync
    # Disks, the last one mounted first; /proc and /dev are still needed.
    for place in $(sed -n 's/^\/dev\/[^ ]* \([^ ]*\) .*/\1/p' /proc/mounts | tac); do
        umount -r "$place" 2>/dev/null
    done
    [ "${2:-0}" = 0 ] || fail_machine "$2"
    "$1" -f
}

start_network() {
    ip link set lo up
    [ -e /sys/class/net/eth0 ] || return
    ip link set eth0 up
    udhcpc -i eth0 -b -t 5 -T 2 -s /etc/udhcpc.script >/dev/null 2>&1 &
}

start_root() { # DEVICE
    tries=0
    while [ ! -b "$1" ] && [ $tries -lt 50 ]; do
        usleep 100000
        tries=$((tries + 1))
    done
    options=$(argument rootflags)
    if grep -qw rw /proc/cmdline; then mode=rw; else mode=ro; fi
    mount -o "$mode${options:+,$options}" "$1" /mnt || return
    init=$(argument init)
    for part in dev sys proc run; do mount -o move /$part /mnt/$part; done
    exec switch_root /mnt "${init:-/sbin/init}"
}

# Runs the words given on the console, as a session of its own with job control.
# In the background, so that signals from poweroff and reboot are heard meanwhile.
# When a session's leader ends, the terminal is hung up and forgets what it has not yet sent: so
# the leader sets the terminal's own settings again, which waits until all is sent.
run_session() {
    # shellcheck disable=SC2016 # the session's shell expands it
    setsid cttyhack sh -c '"$@"; status=$?; stty "$(stty -g)"; exit $status' session "$@" \
        </dev/console >/dev/console 2>&1 &
    session=$!
    wait $session
}

trap 'stop halt' USR1
trap 'stop poweroff' USR2
trap 'stop reboot' TERM
trap '' INT

load_drivers
root=$(argument root)
case $root in
/dev/*)
    start_root "$root"
    echo "cosm: cannot start from $root; here is a shell instead"
    ;;
esac
start_network

command=$(argument cosm.run)
if [ -n "$command" ]; then
    run_session sh -c "$command"
    status=$?
    echo "cosm.run: exit status $status"
    stop poweroff $status
fi

memory=$(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo)
echo
echo "Linux $(uname -r) on cosm: $(nproc) CPU, $((memory / 1024)) MiB. \`exit' powers off."
cd /root || cd /
run_session sh
stop poweroff
