#include "textflag.h"

// noted is what it is in handler_linux_amd64.s. The kernel has put where to return into
// the link register.
TEXT ·noted(SB), NOSPLIT|NOFRAME, $0
	MOVW 16(R1), R0 // getsid(siginfo.pid)
	MOVD $156, R8
	SVC
	MOVW R0, 4(R1)
	MOVW ·noteEnd(SB), R0
	MOVD $128, R2
	MOVD $64, R8
	SVC
	RET

// func handler() (noted, back uintptr)
TEXT ·handler(SB), NOSPLIT, $0-16
	MOVD $·noted(SB), R0
	MOVD R0, noted+0(FP)
	MOVD ZR, back+8(FP)
	RET

// func grow()
TEXT ·grow(SB), 0, $12288-0
	RET
