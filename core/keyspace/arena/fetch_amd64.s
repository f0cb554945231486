#include "textflag.h"

// func fetch(at *Place, n int)
TEXT ·fetch(SB), NOSPLIT, $0-16
	MOVQ at+0(FP), AX
	MOVQ n+8(FP), CX
	JMP  test

next:
	MOVQ       (AX), BX
	PREFETCHT0 (BX)
	ADDQ       $8, AX
	DECQ       CX

test:
	TESTQ CX, CX
	JNZ   next
	RET

// func fetchLines(at Place, n int)
TEXT ·fetchLines(SB), NOSPLIT, $0-16
	MOVQ at+0(FP), AX
	MOVQ n+8(FP), CX

line:
	PREFETCHT0 (AX)
	ADDQ       $64, AX
	DECQ       CX
	JNZ        line
	RET
