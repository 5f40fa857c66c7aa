# shellcheck shell=sh disable=SC2154 # dir, cosm and status come from run.sh and lib.sh
# The network from outside: what is refused, and that it is said before the guest runs.

echo "# network"
fails 'an unknown network' 125 'want one of none|user|user+host' "$cosm" run --net tap x
for bad in '' 80 :80 80: 0:80 65536:1 a:b 1:2/sctp 1:2:3:4 ::1:80:80; do
    fails "the port '$bad'" 125 "publish '$bad': " "$cosm" run -p "$bad" x
done
many=''
for port in $(seq 65); do
    many="$many -p $((20000 + port)):$port"
done
# shellcheck disable=SC2086 # a list of options
fails '65 ports' 125 'one too many: want at most 64' "$cosm" run $many x
fails 'a port without a network' 125 "publish '1:2': the guest has no network" \
    "$cosm" run --net none -p 1:2 "$dir/off.elf"
fails 'a recording without a network' 125 'no network to record' \
    "$cosm" run --net none --pcap "$dir/pcap" "$dir/off.elf"
fails 'a network with counted time' 125 'a network with --clock insn' \
    "$cosm" run --clock insn --net user "$dir/off.elf"
passes 'counted time has none by itself' timeout 60 "$cosm" run --clock insn "$dir/off.elf"

if "$cosm" version --json | grep -q '"libslirp": true'; then
    # One of its own, so that no other test is in the way; the same twice is in use.
    port=$((20000 + $$ % 20000))
    fails 'a port in use' 125 "port $port of 127.0.0.1 is in use on this host" \
        "$cosm" run -p "$port:1" -p "$port:2" "$dir/off.elf"
    fails 'a port in use for datagrams' 125 "port $port/udp of 0.0.0.0 is in use on this host" \
        "$cosm" run -p "0.0.0.0:$port:1/udp" -p "0.0.0.0:$port:2/udp" "$dir/off.elf"
    passes 'a port is free again' timeout 60 "$cosm" run -p "$port:1" -p "$port:1/udp" "$dir/off.elf"
    fails 'an address of another host' 125 'the host has no address 192.0.2.1' \
        "$cosm" run -p "192.0.2.1:$port:1" "$dir/off.elf"
    first=$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start 2>/dev/null || echo 0)
    set -- "$cosm" run -p 80:80 "$dir/off.elf"
    [ "$(id -u)" -ne 0 ] || set -- setpriv --bounding-set -net_bind_service "$@"
    if [ "$first" -gt 80 ]; then
        fails 'a port that needs rights' 126 'port 80 of 127.0.0.1 needs rights' "$@"
    else
        skip 'a port that needs rights' 'this host lets everybody have port 80'
    fi
    passes 'a recording' timeout 60 "$cosm" run --pcap "$dir/pcap" "$dir/off.elf"
    [ "$(od -An -tx4 -N4 "$dir/pcap" | tr -d ' ')" = 0a0d0d0a ]
    ok $? 'is a section of pcapng'
    fails 'a recording nowhere' 125 "pcap $dir/none/pcap: cannot make the file" \
        "$cosm" run --pcap "$dir/none/pcap" "$dir/off.elf"
    fails 'a recording to a folder' 125 "pcap $dir: " "$cosm" run --pcap "$dir" "$dir/off.elf"
    set -- "$cosm" run --console virtio
    for disk in 0 1 2 3 4 5; do
        head -c 512 /dev/zero >"$dir/disk$disk"
        set -- "$@" --disk "$dir/disk$disk"
    done
    fails 'more devices than places' 125 'go without one (--net none' "$@" "$dir/off.elf"
    passes 'six disks and a console without a network' timeout 60 "$@" --net none "$dir/off.elf"
else
    fails 'a network that is not there' 126 'built without libslirp' \
        "$cosm" run --net user "$dir/off.elf"
    passes 'none by itself' timeout 60 "$cosm" run "$dir/off.elf"
fi
