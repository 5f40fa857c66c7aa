#!/bin/sh
# tools/demo.sh: what ./dev demo shows: an unmodified Debian kernel and busybox, fetched from a
# Debian mirror once, booted to a shell. Without a terminal on standard input nobody could type,
# so this does: two commands, and the guest powered off.
set -eu
cd "$(dirname "$0")/.."

out/cosm images | grep -q '^debian-mini' || out/cosm pull debian-mini
if [ -t 0 ]; then
    echo "Booting Debian's kernel; Ctrl-] leaves."
    exec out/cosm run debian-mini
fi

# What is typed before the guest's terminal is ready is lost, as on any serial line; so the
# console is watched for the shell's greeting.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkfifo "$folder/in"
exec 3<>"$folder/in"
{ out/cosm run debian-mini --timeout 170s <"$folder/in" 3>&-; echo $? >"$folder/status"; } |
    tee "$folder/console" &
while [ ! -s "$folder/status" ] && ! grep -qs 'built-in shell' "$folder/console"; do sleep 1; done
sleep 1
printf 'uname -a\nnproc\npoweroff -f\n' >&3
wait
exit "$(cat "$folder/status")"
