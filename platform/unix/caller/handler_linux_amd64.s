#include "textflag.h"

// noted is a signal handler: write(noteEnd, siginfo, 128). The sender's session
// is looked up here, since whoever sends one may be gone when it is read, and
// goes where the kernel has an errno that kill does not set.
TEXT ·noted(SB), NOSPLIT|NOFRAME, $0
	MOVL 16(SI), DI // getsid(siginfo.pid)
	MOVQ $124, AX
	SYSCALL
	MOVL AX, 4(SI)
	MOVLQSX ·noteEnd(SB), DI
	MOVQ $128, DX
	MOVQ $1, AX
	SYSCALL
	RET

// back is where a handler returns to: rt_sigreturn().
TEXT ·back(SB), NOSPLIT|NOFRAME, $0
	MOVQ $15, AX
	SYSCALL
	INT $3

// func handler() (noted, back uintptr)
TEXT ·handler(SB), NOSPLIT, $0-16
	LEAQ ·noted(SB), AX
	MOVQ AX, noted+0(FP)
	LEAQ ·back(SB), AX
	MOVQ AX, back+8(FP)
	RET

// func grow()
TEXT ·grow(SB), 0, $12288-0
	RET
