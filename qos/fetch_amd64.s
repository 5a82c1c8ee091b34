#include "textflag.h"

// func fetchList(next *uint32, ents *entity, rings *ring, last, id uint32, steps int) uint32
TEXT ·fetchList(SB), NOSPLIT, $0-44
	MOVQ next+0(FP), AX
	MOVQ ents+8(FP), BX
	MOVQ rings+16(FP), CX
	MOVL last+24(FP), R8
	MOVL id+28(FP), DX
	MOVQ steps+32(FP), SI

step:
	TESTL DX, DX
	JEQ   done
	MOVL  (AX)(DX*4), DX
	MOVQ  DX, DI
	SHLQ  $6, DI
	PREFETCHT0 (BX)(DI*1)
	CMPL  DX, R8
	JHI   group
	PREFETCHT0 (CX)(DI*1)

group:
	DECQ SI
	JNE  step

done:
	MOVL DX, ret+40(FP)
	RET

// func fetchEach(to *Queue, n int, ents *entity, rings *ring)
TEXT ·fetchEach(SB), NOSPLIT, $0-32
	MOVQ to+0(FP), AX
	MOVQ n+8(FP), SI
	MOVQ ents+16(FP), BX
	MOVQ rings+24(FP), CX

each:
	MOVL (AX), DI
	SHLQ $6, DI
	PREFETCHT0 (BX)(DI*1)
	PREFETCHT0 (CX)(DI*1)
	ADDQ $4, AX
	DECQ SI
	JNE  each
	RET
