#include "textflag.h"

// func split(flags, stack, local uintptr, h *helper, r role) (pid uintptr)
TEXT ·split(SB), NOSPLIT, $0-48
	MOVQ flags+0(FP), DI
	MOVQ stack+8(FP), SI
	MOVQ local+16(FP), R8
	MOVQ h+24(FP), R12
	MOVQ r+32(FP), R13
	XORL DX, DX
	XORL R10, R10
	MOVL $56, AX // clone
	SYSCALL
	TESTQ AX, AX
	JEQ  made
	MOVQ AX, pid+40(FP)
	RET
made:
	XORL BP, BP
	PUSHQ R13
	PUSHQ R12
	LEAQ ·begin(SB), R12 // not called by name: the linker takes the stack for the one that is left
	CALL R12
	INT  $3

// func onward(h *helper, r role)
TEXT ·onward(SB), NOSPLIT, $16-16
	MOVQ h+0(FP), R12
	MOVQ r+8(FP), R13
	MOVQ R12, 0(SP)
	MOVQ R13, 8(SP)
	LEAQ ·begin(SB), R12
	CALL R12
	INT  $3
