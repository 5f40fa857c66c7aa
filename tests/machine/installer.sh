#!/bin/sh
# The way of real machines: OpenSBI, U-Boot, EFI, GRUB from a disk with a partition table, and
# Debian's installer up to its first question.
#
#   installer.sh COSM PEERS
#
# PEERS: what tools/peers.sh unpacked: firmware, boot loader, installer.
set -u
cosm=$1
lib=$2/root/usr/lib
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

opensbi=$lib/riscv64-linux-gnu/opensbi/generic/fw_jump.bin
u_boot_s=$lib/u-boot/qemu-riscv64_smode/u-boot.bin
u_boot_m=$lib/u-boot/qemu-riscv64/u-boot.bin
grub=$lib/grub/riscv64-efi/monolithic/gcdriscv64.efi
installer=$(echo "$lib"/debian-installer/images/*/riscv64/text/debian-installer)

skip_all() { # REASON
    echo 1..1
    echo "ok 1 - Debian's installer starts # SKIP $1"
    exit 0
}

for file in "$opensbi" "$u_boot_s" "$u_boot_m" "$grub" "$installer/riscv64/linux"; do
    [ -f "$file" ] || skip_all "tools/peers.sh of the packages in tools/packages.txt: ${file##*/}"
done
PATH=$PATH:/usr/sbin:/sbin
for program in sfdisk:fdisk mformat:mtools mcopy:mtools; do
    command -v "${program%:*}" >/dev/null || skip_all "package ${program#*:}"
done

# A GPT disk with one partition, the EFI system partition, from its second MiB on.
make_disk() {
    sectors=$((160 * 2048 - 4096))
    truncate -s 160M "$dir/disk"
    printf 'label: gpt\nstart=2048, size=%s, type=uefi\n' $sectors | sfdisk -q "$dir/disk"
    mkdir -p "$dir/esp/EFI/BOOT" "$dir/esp/boot/grub"
    cp "$grub" "$dir/esp/EFI/BOOT/BOOTRISCV64.EFI"
    cat >"$dir/esp/boot/grub/grub.cfg" <<EOF
set timeout=0
menuentry 'Install' {
    linux /debian-installer/riscv64/linux --- quiet
    initrd /debian-installer/riscv64/initrd.gz
}
EOF
    mformat -i "$dir/disk@@1M" -F -T $sectors -h 64 -s 32 :: &&
        mcopy -s -i "$dir/disk@@1M" "$dir/esp/EFI" "$dir/esp/boot" "$installer" ::
}

# reaches TEXT: it comes on the console; fifteen minutes on a slow host.
reaches() {
    tries=0
    until grep -aq -e "$1" "$dir/out"; do
        tries=$((tries + 1))
        [ $tries -lt 900 ] && kill -0 "$guest" 2>/dev/null || return 1
        sleep 1
    done
}

count=0 failed=0
result() { # STATUS NAME
    count=$((count + 1))
    [ "$1" -eq 0 ] || { failed=$((failed + 1)); printf 'not '; }
    echo "ok $count - $2"
    [ "$1" -eq 0 ] || tr -d '\r' <"$dir/out" | tail -n 20 | cut -c1-150 | sed 's/^/# /'
}

# start NAME ARG...: up to GRUB.
start() {
    name=$1
    shift
    cp --sparse=always "$dir/disk" "$dir/copy"
    rm -f "$dir/in"
    mkfifo "$dir/in"
    : >"$dir/out"
    "$cosm" run --timeout 30m -m 1G --net none --disk "$dir/copy" "$@" <"$dir/in" \
        >"$dir/out" 2>&1 &
    guest=$!
    exec 3>"$dir/in" # open, so that the console does not end
    # With no time to choose, the second is all that GRUB says.
    reaches 'U-Boot 20' && reaches 'Booting .Install'
    result $? "$name: GRUB comes from the EFI partition"
}

stop() { # NAME
    kill "$guest" 2>/dev/null
    wait "$guest"
    [ $? -eq 143 ]
    result $? "$1: ended by a signal"
    exec 3>&-
}

make_disk || { echo 'Bail out! no disk could be made'; exit 1; }
start 'OpenSBI and U-Boot' --firmware "$opensbi" --kernel "$u_boot_s"
# The installer's first question, by words that stand in one piece on its screen.
reaches 'Choose the language\|Select a language'
result $? "Debian's installer asks for a language"
stop 'OpenSBI and U-Boot'
# GRUB is as far as it goes: Linux calls the SBI, which nobody provides beneath this U-Boot.
start 'U-Boot in M-mode' --firmware "$u_boot_m"
stop 'U-Boot in M-mode'
echo "1..$count"
[ $failed -eq 0 ]
