#include "textflag.h"

DATA ·oneProcessor+0(SB)/8, $"GOMAXPRO"
DATA ·oneProcessor+8(SB)/8, $"CS=1\000\000\000\000"
GLOBL ·oneProcessor(SB), RODATA|NOPTR, $16

// keepersudo_entry is what it is in entry_amd64.s.
TEXT keepersudo_entry(SB), NOSPLIT|NOFRAME, $0
	MOVD RSP, R1
	SUB $64, RSP
	MOVD R1, 8(RSP)
	MOVD $·begin(SB), R10 // not called by name: the linker takes its stack for one of the runtime's
	BL   (R10)
	MOVD $1, R19
	MOVD $0, R20
next:
	// rt_sigaction(R19, nil, RSP, 8)
	MOVD R19, R0
	MOVD $0, R1
	MOVD RSP, R2
	MOVD $8, R3
	MOVD $134, R8
	SVC
	MOVD 0(RSP), R4
	CMP $1, R4 // SIG_IGN
	BNE other
	SUB $1, R19, R5
	MOVD $1, R6
	LSL R5, R6, R6
	ORR R6, R20, R20
other:
	ADD $1, R19, R19
	CMP $32, R19
	BLT next
	MOVD R20, ·Ignored(SB)
	// prlimit64(0, RLIMIT_NOFILE, nil, &fileLimit)
	MOVD $0, R0
	MOVD $7, R1
	MOVD $0, R2
	MOVD $·fileLimit(SB), R3
	MOVD $261, R8
	SVC
	CBNZ R0, limited
	// prlimit64(0, RLIMIT_NOFILE, {3, fileLimit.Max}, nil)
	MOVD $3, R4
	MOVD R4, 0(RSP)
	MOVD ·fileLimit+8(SB), R4
	MOVD R4, 8(RSP)
	MOVD $0, R0
	MOVD $7, R1
	MOVD RSP, R2
	MOVD $0, R3
	MOVD $261, R8
	SVC
limited:
	// prctl(PR_GET_TIMERSLACK)
	MOVD $30, R0
	MOVD $167, R8
	SVC
	MOVD R0, ·timerSlack(SB)
	// prctl(PR_SET_TIMERSLACK, 10000000)
	MOVD $29, R0
	MOVD $10000000, R1
	MOVD $167, R8
	SVC
	MOVD ·memProfileRate(SB), R4
	MOVD ZR, 0(R4)
	ADD $64, RSP
	// Two words down with argc, argv, the NULL behind it, and the environment. The
	// stack pointer stays a multiple of 16, so there is room for the variable twice.
	MOVD RSP, R1
	SUB $16, R1, R2
	MOVD 0(R1), R3
	ADD $2, R3, R3
words:
	MOVD.P 8(R1), R4
	MOVD.P R4, 8(R2)
	SUB $1, R3, R3
	CBNZ R3, words
variables:
	MOVD 0(R1), R4
	CBZ R4, end
	ADD $8, R1, R1
	MOVD.P R4, 8(R2)
	B variables
end:
	MOVD $·oneProcessor(SB), R4
	MOVD R4, 0(R2)
	MOVD R4, 8(R2)
	SUB $16, RSP
	JMP _rt0_arm64_linux(SB)
