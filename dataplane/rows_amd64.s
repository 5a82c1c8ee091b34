//go:build !race

#include "go_asm.h"
#include "textflag.h"

// The loops of rows.go. Offsets in flow, Packet, Burst and Outer are numbers that rows_asm_unsafe.go has the compiler
// check. The first-level cache holds all that they touch, so their instructions are what they cost.

// Packet: BufAddr 0, DataOff 16, PktLen 36, DataLen 40. Burst: Key 0, Hash 2048, Outer 3072. Outer, of 12: Src 0, TOS 8.
// flow, of 64: key 0, packets 32, bytes 40, action 48, seen 52, epoch 56, srcCell 60, dstCell 62.

// What the loops over rows have in common: R8 place in the burst, R9 row, R10 actions, SI packets, DI where the
// next one is staged, CX its size. AX is the action, BX the packet, DX its length.
#define ROW_BEGIN \
	MOVQ r+0(FP), R15 \
	MOVQ row_pkts(R15), SI \
	MOVQ row_actions(R15), R10 \
	MOVQ row_burst(R15), R12 \
	MOVQ row_first(R15), AX \
	MOVQ row_tx(R15), DI \
	LEAQ (DI)(AX*8), DI \
	MOVQ row_sizes(R15), CX \
	LEAQ (CX)(AX*4), CX \
	MOVQ row_id(R15), R9 \
	MOVQ row_at(R15), R8 \
	XORL R13, R13

// The next packet, at the label other unless it belongs to the row.
#define ROW_NEXT \
	MOVQ row_known(R15), R14 \
	CMPQ R8, row_pkts+8(R15) \
	JGE  done \
	MOVL (R14)(R8*4), AX \
	MOVQ (SI)(R8*8), BX \
	SHLQ $6, AX \
	MOVL 36(BX), DX \
	ADDQ R10, AX \
	CMPQ R9, fastAction_row(AX) \
	JNE  other \
	MOVWLZX fastAction_maxLen(AX), R14 \
	CMPL DX, R14 \
	JHI  other

// Stages packet BX with length DX.
#define ROW_STAGE \
	MOVQ BX, (DI) \
	MOVL DX, (CX) \
	ADDQ $8, DI \
	ADDQ $4, CX \
	ADDQ DX, R13 \
	INCQ R8

#define ROW_END \
other: \
	MOVQ row_unknown(R15), AX \
	BTQ  R8, AX \
	JCC  done \
	INCQ R8 \
	JMP  packet \
done: \
	MOVQ R8, row_at(R15) \
	MOVQ R13, row_bytes(R15) \
	MOVQ row_first(R15), AX \
	MOVQ row_tx(R15), BX \
	LEAQ (BX)(AX*8), BX \
	SUBQ BX, DI \
	SHRQ $3, DI \
	MOVQ DI, row_staged(R15) \
	RET

// func lookAsm(l *firstLook)
TEXT ·lookAsm(SB), NOSPLIT, $0-8
	MOVQ l+0(FP), R15
	MOVQ firstLook_pkts(R15), SI
	MOVQ firstLook_slots(R15), R10
	MOVQ firstLook_actions(R15), R14
	MOVQ firstLook_burst(R15), DI
	MOVQ firstLook_cells(R15), R13
	MOVQ firstLook_known(R15), BX
	MOVQ firstLook_mask(R15), R12
	MOVQ firstLook_plain(R15), R11
	XORL R8, R8                       // place in the burst
	XORL R9, R9                       // elsewhere
	JMP  test

packet:
	BTQ  R8, R11
	JCC  skip
	MOVQ 2048(DI)(R8*8), AX
	MOVQ R8, DX
	ANDQ R12, AX
	SHLQ $5, DX
	SHLQ $6, AX
	MOVOU (DI)(DX*1), X0
	ADDQ R10, AX
	MOVOU 16(DI)(DX*1), X1
	PXOR (AX), X0
	PXOR 16(AX), X1
	MOVWLZX 60(AX), DX
	MOVWLZX 62(AX), CX
	POR  X1, X0
	PTEST X0, X0
	JNE  elsewhere
	MOVL (R13)(DX*4), DX
	ADDL (R13)(CX*4), DX
	CMPL DX, 56(AX)
	JNE  elsewhere
	MOVL 48(AX), DX
	TESTQ R14, R14
	JNE  uplink

found:
	MOVL DX, (BX)(R8*4)
	MOVQ (SI)(R8*8), CX
	MOVL 36(CX), CX
	INCQ 32(AX)
	ADDQ CX, 40(AX)
	MOVL firstLook_tick(R15), CX
	MOVL CX, 52(AX)
	INCQ R8

test:
	CMPQ R8, firstLook_pkts+8(R15)
	JLT  packet
	MOVQ R9, firstLook_elsewhere(R15)
	RET

uplink:
	MOVQ AX, X2
	MOVL DX, CX
	LEAQ (R8)(R8*2), AX
	SHLQ $6, CX
	MOVL 3072(DI)(AX*4), AX           // Outer.Src
	CMPL AX, fastAction_peer(R14)(CX*1)
	MOVQ X2, AX
	JEQ  found

elsewhere:
	BTSQ R8, R9

skip:
	MOVL $0, (BX)(R8*4)
	INCQ R8
	JMP  test

// func forwardAsm(r *row)
TEXT ·forwardAsm(SB), NOSPLIT, $0-8
	ROW_BEGIN

packet:
	ROW_NEXT
	ROW_STAGE
	JMP packet
	ROW_END

// func decapAsm(r *row)
TEXT ·decapAsm(SB), NOSPLIT, $0-8
	ROW_BEGIN

packet:
	ROW_NEXT
	LEAQ (R8)(R8*2), AX
	MOVWLZX 16(BX), R14
	MOVBLZX 3080(R12)(AX*4), AX       // Outer.TOS
	ADDQ (BX), R14
	XORB 15(R14), AX
	TESTB $3, AX                      // ECN
	JNE  done
	ROW_STAGE
	JMP packet
	ROW_END

// func encapsulateAsm(r *row)
TEXT ·encapsulateAsm(SB), NOSPLIT, $0-8
	ROW_BEGIN
	MOVQ $0x2a0000002a, R11           // what PktLen and DataLen grow by, in one word

packet:
	ROW_NEXT
	MOVWLZX 16(BX), R14
	SUBL $42, R14
	JLT  done
	MOVOU fastAction_header(AX), X0
	MOVOU fastAction_header+16(AX), X1
	MOVOU fastAction_header+26(AX), X2
	MOVL fastAction_sum(AX), AX
	MOVQ BX, (DI)
	MOVW R14, 16(BX)
	ADDQ (BX), R14                    // the outer header
	ADDQ R11, 36(BX)
	ADDL $42, DX
	MOVL DX, (CX)
	ADDQ DX, R13
	ADDQ $8, DI
	ADDQ $4, CX
	MOVBLZX 57(R14), BX               // TOS of the inner header
	PINSRB $15, 2055(R12)(R8*8), X2   // highest byte of the hash: FlowID
	SUBL $14, DX                      // total length
	PINSRB $15, BX, X0
	ADDL DX, AX
	ADDL BX, AX
	MOVOU X2, 26(R14)
	ROLW $8, DX
	MOVL AX, BX
	SHRL $16, AX
	PINSRW $0, DX, X1
	ADDL BX, AX
	MOVOU X0, (R14)
	NOTL AX
	ROLW $8, AX
	INCQ R8
	PINSRW $4, AX, X1
	MOVOU X1, 16(R14)
	JMP packet
	ROW_END

// APPLY_DELTA is packet.ApplyDelta of the checksum in BX and the delta in AX, whose lower half counts (RFC 1624).
#define APPLY_DELTA \
	XORL $0xffff, BX \
	ADDL AX, BX \
	MOVL BX, DX \
	SHRL $16, DX \
	ADDL DX, BX \
	XORL $0xffff, BX

// func rewriteAsm(r *row)
TEXT ·rewriteAsm(SB), NOSPLIT, $0-8
	ROW_BEGIN

packet:
	ROW_NEXT
	ROW_STAGE
	MOVWLZX 16(BX), R14
	ADDQ (BX), R14
	MOVQ fastAction_header(AX), X0
	MOVL fastAction_header+8(AX), DX
	MOVQ fastAction_header+26(AX), X1
	MOVWLZX fastAction_delta(AX), AX
	MOVQ X0, (R14)
	MOVL DX, 8(R14)
	MOVQ X1, 26(R14)
	ROLW $8, AX                       // a one's complement sum is the same in any byte order (RFC 1071)
	MOVWLZX 24(R14), BX               // checksum of the IP header
	APPLY_DELTA
	MOVW BX, 24(R14)
	CMPB 23(R14), $6
	JNE  udp
	MOVWLZX 50(R14), BX
	APPLY_DELTA
	MOVW BX, 50(R14)
	JMP  packet

udp:
	MOVWLZX 40(R14), BX
	TESTL BX, BX
	JEQ  packet                       // without a checksum (RFC 768)
	APPLY_DELTA
	MOVL $0xffff, DX
	ANDL DX, BX
	CMOVLEQ DX, BX                    // one of 0 shows as 0xffff
	MOVW BX, 40(R14)
	JMP  packet
	ROW_END
