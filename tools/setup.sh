#!/bin/sh
# tools/setup.sh [--peers]: installs the packages of tools/packages.txt that are missing, by apt, as root
# or through sudo. Does nothing, and needs no rights and no network, when all are there.
#
# Without a network what is missing is named; it is an error only if the build needs it, since a
# test that misses a package says so itself and is skipped. --peers also unpacks the newer
# programs that some tests compare with; these cannot be an error.
set -eu
cd "$(dirname "$0")/.."

# Lines "NAME WHAT-FOR" of what dpkg does not know as installed.
list_missing() {
    grep -v -e '^#' -e '^$' -e ' peer ' tools/packages.txt | while read -r name what_for _; do
        case $(dpkg-query -W -f '${Status}' "$name" 2>/dev/null) in
        'install ok installed') ;;
        *) echo "$name $what_for" ;;
        esac
    done
}

unpack_peers() {
    # shellcheck disable=SC2046 # a list of names
    tools/peers.sh $(sed -n 's/ \{1,\}peer .*//p' tools/packages.txt) ||
        echo "setup: going on without peers; their tests will be skipped" >&2
}

if ! command -v dpkg-query >/dev/null; then
    echo "setup: this is no Debian; see tools/packages.txt for what is needed" >&2
    exit 0
fi
case ${1-} in
'') ;;
--peers) trap 'test $? != 0 || unpack_peers' EXIT ;;
*) echo "use: tools/setup.sh [--peers]" >&2; exit 2 ;;
esac
missing=$(list_missing)
[ -n "$missing" ] || exit 0

names=$(echo "$missing" | cut -d' ' -f1 | tr '\n' ' ')
sudo=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "setup: as root: apt-get install $names" >&2; exit 1; }
    sudo=sudo
fi
echo "setup: installing $names"
# Lists as old as the machine's image name versions that a mirror may have dropped since.
$sudo apt-get -qq update || echo "setup: apt-get update failed; going on with the old lists" >&2
# shellcheck disable=SC2086 # a list of names
if ! $sudo env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq -y --no-install-recommends install $names >/dev/null; then
    # One that cannot be had must not keep the others away.
    for name in $names; do
        $sudo env DEBIAN_FRONTEND=noninteractive \
            apt-get -qq -y --no-install-recommends install "$name" >/dev/null || true
    done
fi

missing=$(list_missing)
[ -z "$missing" ] || echo "setup: still missing: $(echo "$missing" | cut -d" " -f1 | tr "\n" " ")" >&2
case $missing in *' build'*) exit 1 ;; esac
