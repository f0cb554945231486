#include "textflag.h"

// FOLD multiplies the halves of x by those of X8, and adds next to their sum. It uses t.
#define FOLD(x, t, next) \
	MOVO x, t; \
	PCLMULQDQ $0x00, X8, x; \
	PCLMULQDQ $0x11, X8, t; \
	PXOR t, x; \
	PXOR next, x

// func fold(x *[2]uint64, p *byte, n int, by *[4]uint64)
TEXT ·fold(SB), NOSPLIT, $0-32
	MOVQ  x+0(FP), DI
	MOVQ  p+8(FP), SI
	MOVQ  n+16(FP), CX
	MOVQ  by+24(FP), DX
	MOVOU (DX), X8
	MOVOU (DI), X4
	MOVOU (SI), X0
	PXOR  X4, X0
	MOVOU 16(SI), X1
	MOVOU 32(SI), X2
	MOVOU 48(SI), X3
	JMP   test

next:
	MOVOU (SI), X9
	MOVOU 16(SI), X10
	MOVOU 32(SI), X11
	MOVOU 48(SI), X12
	FOLD(X0, X4, X9)
	FOLD(X1, X5, X10)
	FOLD(X2, X6, X11)
	FOLD(X3, X7, X12)

test:
	ADDQ $64, SI
	SUBQ $64, CX
	JNZ  next

	MOVOU 16(DX), X8
	FOLD(X0, X4, X1)
	FOLD(X0, X4, X2)
	FOLD(X0, X4, X3)
	MOVOU X0, (DI)
	RET
