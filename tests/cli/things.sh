# shellcheck shell=sh disable=SC2154 # dir, cosm and status come from run.sh and lib.sh
# What is no guest, or not one for cosm: 127 when it is not there, 126 when it does not run.

echo "# things"
fails 'a missing file' 127 "$dir/none: No such file" "$cosm" run "$dir/none"
fails 'a missing name' 127 'nosuchthing: no such file, and no image' "$cosm" run nosuchthing
fails 'a missing kernel' 127 "$dir/none: No such file" "$cosm" run --kernel "$dir/none"
fails 'a missing firmware' 127 "$dir/none: No such file" "$cosm" run --firmware "$dir/none"
fails 'an image that was not pulled' 127 'cosm pull debian' "$cosm" run debian
fails 'a directory' 126 "$dir: a directory" "$cosm" run "$dir"
: >"$dir/empty"
fails 'an empty file' 126 "$dir/empty: the file is empty" "$cosm" run "$dir/empty"
mkfifo "$dir/fifo"
fails 'a pipe without writer does not hang' 126 'neither a regular file nor a disk' \
    timeout 10 "$cosm" run "$dir/fifo"
fails 'a device without end' 126 'neither a regular file nor a disk' "$cosm" run /dev/zero
if [ "$(id -u)" -eq 0 ]; then
    skip 'a file that may not be read' 'root may read everything'
else
    echo x >"$dir/locked"
    chmod 0 "$dir/locked"
    fails 'a file that may not be read' 126 'Permission denied' "$cosm" run "$dir/locked"
fi

elf 62 2 0x400000 0 >"$dir/x86"
fails 'a program for x86-64' 126 'an ELF file for x86-64: want RISC-V 64' "$cosm" run "$dir/x86"
elf 183 2 0x400000 0 >"$dir/arm"
fails 'a program for AArch64' 126 'an ELF file for AArch64' "$cosm" run "$dir/arm"
elf 243 1 0x80000000 0 >"$dir/rv32"
fails 'a program for RISC-V 32' 126 'an ELF file for RISC-V 32' "$cosm" run "$dir/rv32"
elf 243 2 0x10000 0x00000073 >"$dir/user"
fails 'a RISC-V Linux program' 126 'a RISC-V Linux program: cosm does not run these yet' \
    "$cosm" run "$dir/user"
head -c 40 "$dir/user" >"$dir/cut"
fails 'an ELF header cut off' 126 'ELF header cut off: 40 bytes, want 64' "$cosm" run "$dir/cut"
head -c 100 "$dir/user" >"$dir/cut"
fails 'ELF segments cut off' 126 'cut off' "$cosm" run "$dir/cut"
guest 0x10500073 0xffdff06f | head -c 132 >"$dir/cut"
fails 'ELF contents cut off' 126 'cut off: 132 bytes' "$cosm" run "$dir/cut"
printf '\177ELF\002\002\001' >"$dir/big"
zeros 64 >>"$dir/big"
fails 'a big-endian program' 126 'big-endian' "$cosm" run "$dir/big"

image 'ARM\144' 4096 >"$dir/Image.arm"
fails 'a kernel for AArch64' 126 'a Linux kernel for AArch64' "$cosm" run "$dir/Image.arm"
fails 'the same as --kernel' 126 'a Linux kernel for AArch64' "$cosm" run --kernel "$dir/Image.arm"
{ zeros 514 && printf HdrS && zeros 512; } >"$dir/bzImage"
fails 'a kernel for x86' 126 'a Linux kernel for x86' "$cosm" run "$dir/bzImage"

# An EFI program: MZ, the PE header at 64, one section of 8192 bytes at 4096.
pe() {
    printf 'MZ'
    zeros 54
    printf 'RSC\005'
    le 64 4
    printf 'PE\000\000'
    le "$1" 2
    le 1 2
    zeros 16
    zeros 16
    le 8192 4
    le 4096 4
    zeros 4096
}
pe $((0x5064)) >"$dir/Image.cut"
fails 'a truncated Image' 126 'cut off: 4208 bytes, its header says 12288' "$cosm" run "$dir/Image.cut"
pe $((0x8664)) >"$dir/efi"
fails 'an EFI kernel for x86-64' 126 'PE machine 0x8664' "$cosm" run "$dir/efi"

printf '\000asm\001\000\000\000' >"$dir/module.wasm"
fails 'a WebAssembly module' 126 'a WebAssembly module: cosm does not run these yet' \
    "$cosm" run "$dir/module.wasm"
{ zeros 446 && printf '\200' && zeros 3 && printf '\203' && zeros 3 && le 2048 4 && le 2048 4 &&
    zeros 48 && printf '\125\252'; } >"$dir/mbr"
fails 'a disk alone' 126 'a disk: cosm has no boot loader of its own yet' "$cosm" run "$dir/mbr"
fails 'a disk as the kernel' 126 'a disk, not a kernel: give it with --disk' \
    "$cosm" run --kernel "$dir/mbr"
{ zeros 512 && printf 'EFI PART' && zeros 4096; } >"$dir/gpt"
fails 'a GPT disk alone' 126 'give a kernel with --kernel' "$cosm" run "$dir/gpt"
{ zeros 32769 && printf 'CD001' && zeros 4096; } >"$dir/iso"
fails 'an ISO alone' 126 'a disk' "$cosm" run "$dir/iso"
{ printf 'QFI\373' && zeros 512; } >"$dir/qcow2"
fails 'a qcow2 disk' 126 'convert it with qemu-img convert -O raw' "$cosm" run "$dir/qcow2"
{ printf '\3757zXZ\000' && zeros 64; } >"$dir/xz"
fails 'a kernel compressed with xz' 126 'unpack it first with xz -d' "$cosm" run "$dir/xz"
{ printf '070701' && zeros 512; } >"$dir/initrd"
fails 'an initrd alone' 126 'an initial RAM disk: give it with --initrd' "$cosm" run "$dir/initrd"
{ printf '\320\015\376\355' && zeros 64; } >"$dir/dtb"
fails 'a device tree alone' 126 'a device tree: give it with --dtb' "$cosm" run "$dir/dtb"
echo 'some text' >"$dir/text"
fails 'a text' 126 'not recognized: want a RISC-V Linux Image' "$cosm" run "$dir/text"

# Sleeps on and on: the timer wakes it every tenth of a second.
guest 0x020042b7 0x0200c337 0xff830313 0x08000393 0x30439073 0x00033e03 0x000f4eb7 0x01de0e33 \
    0x01c2b023 0x10500073 0xfedff06f >"$dir/sleep.elf"
fails 'a signature in a folder that is not there' 125 "signature $dir/none/sig: No such file" \
    "$cosm" run "$dir/sleep.elf" --signature "$dir/none/sig"
fails 'two kernels' 125 'a second kernel' "$cosm" run "$dir/sleep.elf" --kernel "$dir/sleep.elf"
fails 'an initrd without a kernel' 125 'an initrd without a kernel' \
    "$cosm" run --firmware "$dir/sleep.elf" --initrd "$dir/initrd"

# Disks: what is none, or not to be had.
truncate -s 1M "$dir/disk"
zeros 1000 >"$dir/odd"
fails 'a disk that is not there' 127 "$dir/none: cannot open the disk: No such file" \
    "$cosm" run "$dir/sleep.elf" --disk "$dir/none"
fails 'a mode that is none' 125 "'epheral' is no mode: want ro or ephemeral" \
    "$cosm" run "$dir/sleep.elf" --disk "$dir/disk,epheral"
fails 'a folder as a disk' 125 "$dir: a directory, not a disk image" \
    "$cosm" run "$dir/sleep.elf" --disk "$dir"
fails 'an empty disk' 126 'empty: a raw disk has the size of its file' \
    "$cosm" run "$dir/sleep.elf" --disk "$dir/empty"
fails 'a disk of part sectors' 126 '1000 bytes: a raw disk is a multiple of 512' \
    "$cosm" run "$dir/sleep.elf" --disk "$dir/odd"
fails 'one disk twice' 125 "$dir/disk: in use by this or another process" \
    "$cosm" run "$dir/sleep.elf" --disk "$dir/disk" --disk "$dir/disk"
fails 'no folder for changes' 125 "no file for its changes in $dir/none: No such file" \
    env TMPDIR="$dir/none" "$cosm" run "$dir/sleep.elf" --disk "$dir/disk,ephemeral"
"$cosm" run "$dir/sleep.elf" --disk "$dir/disk" </dev/null >"$dir/first" 2>&1 &
first=$!
until grep -q "POSIX .* $first .*:$(stat -c %i "$dir/disk") " /proc/locks || ! kill -0 "$first"; do
    sleep 0.1
done
fails 'a disk in use' 125 "$dir/disk: in use by process $first, which writes it" \
    "$cosm" run "$dir/sleep.elf" --disk "$dir/disk,ro"
kill "$first"
wait "$first" 2>/dev/null

fails 'disassembling what is not there' 127 "$dir/none: No such file" "$cosm" disasm "$dir/none"
fails 'disassembling a pipe' 125 "$dir/fifo: not a regular file" "$cosm" disasm "$dir/fifo"
fails 'disassembling a folder' 125 "$dir: a directory: want a file" "$cosm" disasm "$dir"
fails 'disassembling an empty file' 126 'the file is empty' "$cosm" disasm "$dir/empty"
fails 'disassembling x86' 126 'an ELF file for x86-64' "$cosm" disasm "$dir/x86"
fails 'disassembling a file and a word' 125 "unexpected argument '4501'" "$cosm" disasm "$dir/text" 4501
