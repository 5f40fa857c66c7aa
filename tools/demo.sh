#!/bin/sh
# tools/demo.sh: what ./dev demo shows: an unmodified Debian kernel and busybox, fetched from a
# Debian mirror once, booted to a shell. Without a terminal on standard input nobody could type,
# so a short command is typed instead, and the guest powered off.
set -eu
cd "$(dirname "$0")/.."

out/cosm images | grep -q '^debian' || out/cosm pull debian
if [ -t 0 ]; then
    echo "Booting Debian's kernel; Ctrl-] leaves."
    exec out/cosm run debian
fi
# The guest's terminal keeps what is typed before its shell asks for it; poweroff needs no init.
printf 'uname -a; cat /proc/cpuinfo; poweroff -f\n' | out/cosm run debian --timeout 170s
