#include "textflag.h"

// FOLD multiplies the halves of x by those of V8, and adds next to their sum. It uses t.
#define FOLD(x, t, next) \
	VPMULL V8.D1, x.D1, t.Q1; \
	VPMULL2 V8.D2, x.D2, x.Q1; \
	VEOR t.B16, x.B16, x.B16; \
	VEOR next.B16, x.B16, x.B16

// func fold(x *[2]uint64, p *byte, n int, by *[4]uint64)
TEXT ·fold(SB), NOSPLIT, $0-32
	MOVD   x+0(FP), R0
	MOVD   p+8(FP), R1
	MOVD   n+16(FP), R2
	MOVD   by+24(FP), R3
	VLD1.P 16(R3), [V8.D2]
	VLD1   (R0), [V4.B16]
	VLD1.P 64(R1), [V0.B16, V1.B16, V2.B16, V3.B16]
	VEOR   V4.B16, V0.B16, V0.B16
	JMP    test

next:
	VLD1.P 64(R1), [V9.B16, V10.B16, V11.B16, V12.B16]
	FOLD(V0, V4, V9)
	FOLD(V1, V5, V10)
	FOLD(V2, V6, V11)
	FOLD(V3, V7, V12)

test:
	SUBS $64, R2
	BNE  next

	VLD1 (R3), [V8.D2]
	FOLD(V0, V4, V1)
	FOLD(V0, V4, V2)
	FOLD(V0, V4, V3)
	VST1 [V0.B16], (R0)
	RET
