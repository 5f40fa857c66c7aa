# tests/riscv/torture_runtime.S: what a torture program (torture.c) runs in: start-up, a
# trap handler that tells every trap on the serial port and skips the instruction,
# changes of mode between segments, and a dump of the state after each. Runs on any
# machine with the memory map of QEMU's virt board, in M-mode from 0x80000000.

.equ UART, 0x10000000
.equ SYSCON, 0x100000
.equ RA, 8
.equ SEGMENT, 32*8          # in the save area: pointer to the present segment's row

.option norelax
.section .text.start, "ax"
.globl _start
_start:
    csrr t0, mhartid
1:  bnez t0, 1b
    la t0, trap
    csrw mtvec, t0
    li t0, -1
    csrw pmpaddr0, t0
    li t0, 0x1f
    csrw pmpcfg0, t0
    csrw medeleg, zero
    csrw mideleg, zero
    csrw mie, zero
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

# Enters the segment whose row is in the save area: entry, end, mode, satp, menvcfg, mstatus
# bits to set. sp: save area.
enter:
    ld t0, SEGMENT(sp)
    ld t1, 0(t0)
    beqz t1, finish
    csrw mepc, t1
    ld t1, 24(t0)
    csrw satp, t1
    sfence.vma
    ld t1, 32(t0)
    csrw menvcfg, t1
    li t1, 0x1e1800             # MPP, MPRV, SUM, MXR, TVM
    csrc mstatus, t1
    ld t1, 16(t0)
    slli t1, t1, 11
    csrs mstatus, t1
    ld t1, 40(t0)
    csrs mstatus, t1
resume:
    .irp n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld x\n, (\n*8)(sp)
    .endr
    csrw mscratch, sp
    ld sp, 16(sp)
    mret

.balign 4
trap:
    csrrw sp, mscratch, sp
    .irp n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd x\n, (\n*8)(sp)
    .endr
    csrr t0, mscratch
    sd t0, 16(sp)
    li t0, 0x20000              # MPRV would bend our own loads
    csrc mstatus, t0
    ld s0, SEGMENT(sp)
    csrr s1, mepc
    ld t0, 8(s0)
    beq s1, t0, leave
    li a0, 't'
    call put_char
    csrr a0, mcause
    call put_hex
    csrr a0, mtval
    call put_hex
    mv a0, s1
    call put_hex
    call new_line
    csrr t0, mcause
    li t1, 12
    beq t0, t1, fetch_failed
    li t1, 1
    beq t0, t1, fetch_failed
    beqz t0, fetch_failed
    lhu t0, 0(s1)
    addi s1, s1, 2
    andi t0, t0, 3
    li t1, 3
    bne t0, t1, 1f
    addi s1, s1, 2
1:  csrw mepc, s1
    ld t1, 40(s0)
    li t0, 0x20000
    and t1, t1, t0
    csrs mstatus, t1
    j resume
fetch_failed:                   # the jump that led there left the way back in ra
    ld s1, RA(sp)
    j 1b

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
    addi s0, s0, 48
    sd s0, SEGMENT(sp)
    j enter

# All segments are done: a checksum of each page of data and tables, then power off.
finish:
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
