# tests/riscv/torture_runtime.S: what a torture program (torture.c) runs in: start-up,
# trap handlers that tell every trap on the serial port and skip the instruction,
# changes of mode between segments, and a dump of the state after each. Runs on any
# machine with the memory map of QEMU's virt board, in M-mode from 0x80000000.
#
# Lines: t and s, a trap taken in M- and S-mode: cause, tval, epc, the stacked modes;
# i and j, an interrupt taken there: its cause (where it was taken is nobody's promise);
# x, f: registers after a segment; and a checksum of each page of memory.

.equ UART, 0x10000000
.equ SYSCON, 0x100000
.equ CLINT, 0x2000000
.equ MTIMECMP, 0x2004000
.equ RA, 8
.equ SEGMENT, 32*8          # in the save area: pointer to the present segment's row

# A segment's row; torture.c: print_row.
.equ ROW_ENTRY, 0
.equ ROW_END, 8
.equ ROW_MODE, 16
.equ ROW_SATP, 24
.equ ROW_MENVCFG, 32
.equ ROW_MSTATUS, 40
.equ ROW_MEDELEG, 48
.equ ROW_MIDELEG, 56
.equ ROW_MIE, 64
.equ ROW_PMPCFG, 72
.equ ROW_PMPADDR, 80
.equ ROW_VECTORED, 112
.equ ROW_BYTES, 128

.equ STATUS_MODES, 0xe19aa  # SIE MIE SPIE MPIE SPP MPP MPRV SUM MXR
.equ STATUS_CLEARED, 0x1e19aa

.option norelax
.section .text.start, "ax"
.globl _start
_start:
    csrr t0, mhartid
    beqz t0, 2f
1:  wfi
    j 1b
2:
    la t0, trap
    csrw mtvec, t0
    li t0, -1
    csrw pmpaddr7, t0
    li t0, 7
    csrw mcounteren, t0
    csrw scounteren, t0
    li t0, 0x6000
    csrs mstatus, t0
    la t0, initial_f
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fld f\n, (\n*8)(t0)
    .endr
    csrw fcsr, zero
    li t0, 0x6000
    csrc mstatus, t0
    li t0, 0x2000
    csrs mstatus, t0
    la sp, area
    la t0, segments
    sd t0, SEGMENT(sp)
    csrw mscratch, sp

# Enters the segment whose row is in the save area. sp: save area. No interrupt is left
# pending from the one before.
enter:
    ld t0, SEGMENT(sp)
    ld t1, ROW_ENTRY(t0)
    beqz t1, finish
    csrw mepc, t1
    csrw mie, zero
    li t2, -1
    csrw stimecmp, t2
    li t1, MTIMECMP
    sd t2, 0(t1)
    li t1, CLINT
    sw zero, 0(t1)
    csrci mip, 2
    ld t1, ROW_SATP(t0)
    csrw satp, t1
    la t2, s_vectors
    beqz t1, 1f
    li t1, 0x40000000           # RAM's second image is S-mode's
    add t2, t2, t1
1:  ld t1, ROW_VECTORED(t0)
    or t2, t2, t1
    csrw stvec, t2
    .irp n, 0,1,2,3
    ld t1, (ROW_PMPADDR+\n*8)(t0)
    csrw pmpaddr\n, t1
    .endr
    ld t1, ROW_PMPCFG(t0)
    li t2, 0x1f << 56           # entry 7: everything
    or t1, t1, t2
    csrw pmpcfg0, t1
    sfence.vma
    ld t1, ROW_MENVCFG(t0)
    csrw menvcfg, t1
    ld t1, ROW_MEDELEG(t0)
    csrw medeleg, t1
    ld t1, ROW_MIDELEG(t0)
    csrw mideleg, t1
    li t1, STATUS_CLEARED
    csrc mstatus, t1
    ld t1, ROW_MODE(t0)
    slli t1, t1, 11
    csrs mstatus, t1
    ld t1, ROW_MSTATUS(t0)
    csrs mstatus, t1
    ld t1, ROW_MIE(t0)
    csrw mie, t1
resume:
    .irp n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld x\n, (\n*8)(sp)
    .endr
    csrw mscratch, sp
    ld sp, 16(sp)
    mret

# S-mode's handler asks M-mode's to do its work.
.option push
.option norvc
.balign 64
s_vectors:
    .rept 16
    j s_trap
    .endr
s_trap:
    ecall
    sret
.option pop

# s0: the segment's row. s1: epc, s2: cause, s3: tval, s4: whether S-mode took the trap.
.balign 4
trap:
    csrrw sp, mscratch, sp
    .irp n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd x\n, (\n*8)(sp)
    .endr
    csrr t0, mscratch
    sd t0, 16(sp)
    ld s0, SEGMENT(sp)
    csrr s1, mepc
    csrr s2, mcause
    csrr s3, mtval
    li s4, 0
    li t0, 9
    bne s2, t0, 1f
    la t0, s_trap
    xor t0, t0, s1
    slli t0, t0, 34             # either image
    bnez t0, 1f
    addi t0, s1, 4
    csrw mepc, t0
    csrr s1, sepc
    csrr s2, scause
    csrr s3, stval
    li s4, 1
1:  bltz s2, interrupt
    ld t0, ROW_END(s0)
    beq s1, t0, leave
    li a0, 't'
    sub a0, a0, s4
    call put_char
    mv a0, s2
    call put_hex
    mv a0, s3
    call put_hex
    mv a0, s1
    call put_hex
    csrr a0, mstatus
    li t0, STATUS_MODES
    and a0, a0, t0
    call put_hex
    call new_line
    li t0, 12
    beq s2, t0, fetch_failed
    li t0, 1
    bleu s2, t0, fetch_failed
    lhu t0, 0(s1)
    addi s1, s1, 2
    andi t1, t0, 3
    li t2, 3
    bne t1, t2, set_epc
    lhu t1, 0(s1)
    addi s1, s1, 2
    li t2, 2                    # an illegal one is not a failed lr
    beq s2, t2, set_epc
    slli t1, t1, 16
    or t0, t0, t1
    lui t1, 0xf8000
    addi t1, t1, 0x7f
    and t0, t0, t1
    li t1, 0x1000002f           # a failed lr: the sc two further on goes, too
    bne t0, t1, set_epc
    addi s1, s1, 8
set_epc:
    bnez s4, 1f
    csrw mepc, s1
    j resume
1:  csrw sepc, s1
    j resume
fetch_failed:                   # the jump that led there left the way back in ra
    ld s1, RA(sp)
    j set_epc

# Tells which, and takes away its reason: 1 and 5 are S-mode's, 3 and 7 the CLINT's.
interrupt:
    li a0, 'i'
    add a0, a0, s4
    call put_char
    mv a0, s2
    call put_hex
    call new_line
    andi t0, s2, 15
    li t1, 7
    beq t0, t1, 1f
    li t1, 5
    beq t0, t1, 2f
    li t1, 1
    beq t0, t1, 3f
    li t1, CLINT
    sw zero, 0(t1)
    j resume
1:  li t1, MTIMECMP
    li t0, -1
    sd t0, 0(t1)
    j resume
2:  li t0, -1
    csrw stimecmp, t0
    j resume
3:  csrci mip, 2
    j resume

# The segment is done: tell its state, go to the next.
leave:
    li a0, 'x'
    call put_char
    li s2, 1
1:  slli t0, s2, 3
    add t0, t0, sp
    ld a0, 0(t0)
    call put_hex
    addi s2, s2, 1
    li t0, 32
    bne s2, t0, 1b
    call new_line
    csrr a0, mstatus
    srli a0, a0, 13
    andi a0, a0, 3
    li t0, 0x6000
    csrs mstatus, t0
    mv s3, a0
    li a0, 'f'
    call put_char
    mv a0, s3
    call put_hex
    csrr a0, fcsr
    call put_hex
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fmv.x.d a0, f\n
    call put_hex
    .endr
    call new_line
    li t0, 0x6000
    csrc mstatus, t0
    slli t0, s3, 13
    csrs mstatus, t0
    addi s0, s0, ROW_BYTES
    sd s0, SEGMENT(sp)
    j enter

# All segments are done: a checksum of each page of data and tables, then power off.
finish:
    csrw pmpcfg0, zero          # an access that an entry covers in part fails in M-mode, too
    la s0, memory_begin
    la s1, memory_end
1:  beq s0, s1, 3f
    li a0, 0
    li t2, 512
2:  ld t0, 0(s0)
    slli t1, a0, 5
    srli a0, a0, 59
    or a0, a0, t1
    xor a0, a0, t0
    addi s0, s0, 8
    addi t2, t2, -1
    bnez t2, 2b
    call put_hex
    call new_line
    j 1b
3:  li t0, SYSCON
    li t1, 0x5555
    sw t1, 0(t0)
    j .

put_char:
    li t0, UART
1:  lbu t1, 5(t0)
    andi t1, t1, 0x20
    beqz t1, 1b
    sb a0, 0(t0)
    ret
new_line:
    li a0, '\n'
    j put_char
put_hex:                        # a blank and the 16 digits of a0
    mv t3, a0
    mv t4, ra
    li a0, ' '
    call put_char
    li t5, 60
1:  srl a0, t3, t5
    andi a0, a0, 15
    addi a0, a0, '0'
    li t0, '9'
    ble a0, t0, 2f
    addi a0, a0, 'a' - '0' - 10
2:  call put_char
    addi t5, t5, -4
    bgez t5, 1b
    mv ra, t4
    ret
