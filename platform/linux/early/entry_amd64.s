#include "textflag.h"

DATA ·oneProcessor+0(SB)/8, $"GOMAXPRO"
DATA ·oneProcessor+8(SB)/8, $"CS=1\000\000\000\000"
GLOBL ·oneProcessor(SB), RODATA|NOPTR, $16

// keepersudo_entry is where the kernel starts the process (entry.go). What
// the runtime's own entry point looks at, to which it goes on, is as the kernel
// left it, but for one more variable, GOMAXPROCS=1: argc, argv and environment, which the stack
// pointer points to, and DX.
TEXT keepersudo_entry(SB), NOSPLIT|NOFRAME, $0
	MOVQ SP, R12
	SUBQ $64, SP
	MOVQ DX, 48(SP)
	MOVQ R12, 0(SP)
	// arch_prctl(ARCH_SET_FS, &local[2])
	MOVQ $0x1002, DI
	LEAQ ·local+16(SB), SI
	MOVQ $158, AX
	SYSCALL
	TESTQ AX, AX
	JNE  runtime
	LEAQ ·begin(SB), R12 // not called by name: the linker takes its stack for one of the runtime's
	CALL R12
runtime:
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
	MOVQ R13, ·Ignored(SB)
	// prlimit64(0, RLIMIT_NOFILE, nil, &fileLimit)
	MOVQ $0, DI
	MOVQ $7, SI
	MOVQ $0, DX
	LEAQ ·fileLimit(SB), R10
	MOVQ $302, AX
	SYSCALL
	TESTQ AX, AX
	JNE limited
	// prlimit64(0, RLIMIT_NOFILE, {3, fileLimit.Max}, nil)
	MOVQ $3, 0(SP)
	MOVQ ·fileLimit+8(SB), AX
	MOVQ AX, 8(SP)
	MOVQ $0, DI
	MOVQ $7, SI
	MOVQ SP, DX
	MOVQ $0, R10
	MOVQ $302, AX
	SYSCALL
limited:
	// prctl(PR_GET_TIMERSLACK)
	MOVQ $30, DI
	MOVQ $157, AX
	SYSCALL
	MOVQ AX, ·timerSlack(SB)
	// prctl(PR_SET_TIMERSLACK, 10000000)
	MOVQ $29, DI
	MOVQ $10000000, SI
	MOVQ $157, AX
	SYSCALL
	MOVQ ·memProfileRate(SB), AX
	MOVQ $0, 0(AX)
	MOVQ 48(SP), R15
	ADDQ $64, SP
	// Two words down with argc, argv, the NULL behind it, and the environment. The
	// stack pointer stays a multiple of 16, so there is room for the variable twice.
	MOVQ SP, SI
	LEAQ -16(SP), DI
	MOVQ 0(SP), CX
	ADDQ $2, CX
words:
	MOVQ 0(SI), AX
	MOVQ AX, 0(DI)
	ADDQ $8, SI
	ADDQ $8, DI
	DECQ CX
	JNE words
variables:
	MOVQ 0(SI), AX
	TESTQ AX, AX
	JEQ end
	MOVQ AX, 0(DI)
	ADDQ $8, SI
	ADDQ $8, DI
	JMP variables
end:
	LEAQ ·oneProcessor(SB), AX
	MOVQ AX, 0(DI)
	MOVQ AX, 8(DI)
	SUBQ $16, SP
	MOVQ R15, DX
	JMP _rt0_amd64_linux(SB)
