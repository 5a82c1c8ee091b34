#include "textflag.h"

// ParsePlain in 70 instructions a packet; the compiler needs 110. SSE4.1 is enough, and DPDK asks for more.
// Offsets are those of Packet and Burst (plain_asm_unsafe.go has the compiler check them).

// Bytes 12 to 27 of a frame: EtherType, version and header length, and fragment must be as in want.
DATA plainMask<>+0(SB)/8, $0x0000000000ffffff
DATA plainMask<>+8(SB)/8, $0x000000000000ff3f
GLOBL plainMask<>(SB), RODATA|NOPTR, $16
DATA plainWant<>+0(SB)/8, $0x0000000000450008
DATA plainWant<>+8(SB)/8, $0
GLOBL plainWant<>(SB), RODATA|NOPTR, $16

// Of the same bytes TOS and protocol become bytes 2 and 3 of the key; DSCP is kept and the code of IPv4 put in.
DATA keyLowFrom<>+0(SB)/8, $0x808080800b038080
DATA keyLowFrom<>+8(SB)/8, $0x8080808080808080
GLOBL keyLowFrom<>(SB), RODATA|NOPTR, $16
DATA keyLowMask<>+0(SB)/8, $0x00000000fffc0000
DATA keyLowMask<>+8(SB)/8, $0
GLOBL keyLowMask<>(SB), RODATA|NOPTR, $16
DATA keyLowCode<>+0(SB)/8, $0x0000000000010000
DATA keyLowCode<>+8(SB)/8, $0
GLOBL keyLowCode<>(SB), RODATA|NOPTR, $16

// Of bytes 26 to 41 ports and addresses become bytes 4 to 15 of the key's second half.
DATA keyHighFrom<>+0(SB)/8, $0x0b0a090880808080
DATA keyHighFrom<>+8(SB)/8, $0x0706050403020100
GLOBL keyHighFrom<>(SB), RODATA|NOPTR, $16

// The multiplier of finish.
DATA hashFinish<>+0(SB)/8, $0x9e3779b97f4a7c15
GLOBL hashFinish<>(SB), RODATA|NOPTR, $8

// func parsePlainAsm(b *Burst, pkts **Packet, n int, among, seed, s1, s2, s3 uint64) (plain uint64, bytes uint64)
TEXT ·parsePlainAsm(SB), NOSPLIT, $0-80
	MOVQ b+0(FP), DI
	MOVQ pkts+8(FP), SI
	MOVQ n+16(FP), CX
	MOVQ among+24(FP), R11
	LEAQ ·plainHeader(SB), R15
	MOVOU plainMask<>(SB), X15
	MOVOU plainWant<>(SB), X14
	MOVOU keyLowFrom<>(SB), X13
	MOVOU keyLowMask<>(SB), X12
	MOVOU keyLowCode<>(SB), X11
	MOVOU keyHighFrom<>(SB), X10
	XORL R8, R8                       // place in the burst
	XORL R9, R9                       // plain
	XORL R10, R10                     // bytes

packet:
	MOVQ (SI)(R8*8), AX
	BTQ  R8, R11
	JCC  next
	MOVL 36(AX), DX                   // PktLen
	ADDQ DX, R10
	MOVWLZX 40(AX), R12               // DataLen
	CMPL 18(AX), $0x10001             // RefCnt and NbSegs
	JNE  next
	TESTB $0x60, 31(AX)               // OlFlags: external, indirect
	JNE  next
	SUBL $34, R12                     // room for the IPv4 payload
	CMPL R12, $20
	JLT  next
	MOVWLZX 16(AX), BX                // DataOff
	ADDQ 0(AX), BX                    // BufAddr
	MOVOU 12(BX), X0
	MOVO X14, X1
	PXOR X0, X1
	PTEST X15, X1
	JNE  next
	MOVWLZX 16(BX), DX                // total length
	ROLW $8, DX
	SUBL $20, DX                      // of the IPv4 payload
	CMPL DX, R12
	JGT  next
	MOVBLZX 23(BX), R13               // protocol
	MOVBLZX (R15)(R13*1), R14         // shortest header
	TESTL R14, R14
	JEQ  next
	MOVBLZX 46(BX), AX                // TCP: data offset
	SHRL $2, AX
	ANDL $0x3c, AX
	MOVWLZX 38(BX), R13               // UDP: length
	ROLW $8, R13
	CMPL R14, $8
	CMOVLNE AX, R13
	CMPL R13, R14
	JLT  next
	CMPL R13, DX
	JGT  next
	MOVQ 6(BX), AX                    // source MAC: group, or zero
	TESTB $1, AX
	JNE  next
	SHLQ $16, AX
	JEQ  next
	MOVOU 26(BX), X2
	PSHUFB X13, X0
	PSHUFB X10, X2
	PAND X12, X0
	PINSRD $0, 8(BX), X2
	POR  X11, X0
	MOVQ R8, R12
	SHLQ $5, R12
	PINSRD $1, 2560(DI)(R8*8), X0
	PINSRQ $1, 0(BX), X0
	MOVOU X2, 16(DI)(R12*1)
	MOVOU X0, (DI)(R12*1)
	MOVQ X0, AX                       // hash: finish(fold(k0^seed, k1^s1) ^ fold(k2^s2, k3^s3))
	MOVQ 0(BX), DX
	XORQ seed+32(FP), AX
	XORQ s1+40(FP), DX
	MULQ DX
	XORQ AX, DX
	MOVQ DX, R12
	MOVQ X2, AX
	MOVQ 26(BX), DX
	XORQ s2+48(FP), AX
	XORQ s3+56(FP), DX
	MULQ DX
	XORQ AX, DX
	XORQ R12, DX
	IMULQ hashFinish<>(SB), DX
	RORQ $32, DX
	MOVQ DX, 2048(DI)(R8*8)
	MOVQ 3848(DI), R12                // the table, if its places need fetching
	TESTQ R12, R12
	JEQ  found
	ANDQ 3856(DI), DX
	SHLQ $6, DX
	PREFETCHT0 (R12)(DX*1)

found:
	BTSQ R8, R9

next:
	INCQ R8
	CMPQ R8, CX
	JLT  packet
	MOVQ R9, plain+64(FP)
	MOVQ R10, bytes+72(FP)
	RET
