#include "textflag.h"

// func split(flags, stack, local uintptr, h *helper, r role) (pid uintptr)
TEXT ·split(SB), NOSPLIT, $32-48
	MOVD flags+0(FP), R0
	MOVD stack+8(FP), R1
	MOVD local+16(FP), R3
	MOVD h+24(FP), R19
	MOVD r+32(FP), R20
	MOVD ZR, R2
	MOVD ZR, R4
	MOVD $220, R8 // clone
	SVC
	CBZ  R0, made
	MOVD R0, pid+40(FP)
	RET
made:
	MOVD ZR, R29
	MOVD R19, 8(RSP)
	MOVD R20, 16(RSP)
	MOVD $·begin(SB), R10 // not called by name: the linker takes the stack for the one that is left
	BL   (R10)
	BRK

// func onward(h *helper, r role)
TEXT ·onward(SB), NOSPLIT, $32-16
	MOVD h+0(FP), R19
	MOVD r+8(FP), R20
	MOVD R19, 8(RSP)
	MOVD R20, 16(RSP)
	MOVD $·begin(SB), R10
	BL   (R10)
	BRK
