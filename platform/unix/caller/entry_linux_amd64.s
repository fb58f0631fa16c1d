#include "textflag.h"

// keepersudo_entry is where the kernel starts the process (entry_linux.go). It may
// change nothing that the runtime's own entry point looks at, to which it goes
// on: the stack pointer, what that points to, and DX.
TEXT keepersudo_entry(SB), NOSPLIT|NOFRAME, $0
	MOVQ DX, R15
	SUBQ $64, SP
	MOVQ $1, R12
	MOVQ $0, R13
next:
	// rt_sigaction(R12, nil, SP, 8)
	MOVQ R12, DI
	MOVQ $0, SI
	MOVQ SP, DX
	MOVQ $8, R10
	MOVQ $13, AX
	SYSCALL
	CMPQ 0(SP), $1 // SIG_IGN
	JNE other
	MOVQ R12, CX
	DECQ CX
	MOVQ $1, AX
	SHLQ CX, AX
	ORQ AX, R13
other:
	INCQ R12
	CMPQ R12, $32
	JLT next
	MOVQ R13, ·ignored(SB)
	ADDQ $64, SP
	MOVQ R15, DX
	JMP _rt0_amd64_linux(SB)

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
