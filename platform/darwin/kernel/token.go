package kernel

import (
	"encoding/binary"
	"fmt"
)

// TokenSize is sizeof(audit_token_t), in bytes (mach/message.h).
const TokenSize = 32

// Token is an audit_token_t: who a process is, and which of all that have had
// its pid. The words are in the order of audit_token_to_au32(3) (bsm/libbsm.h).
type Token struct {
	AuditUser             uint32 // of the login; NoAuditUser for none
	User, Group           uint32 // effective
	RealUser, RealGroup   uint32
	PID                   int
	Session, ExecsVersion uint32 // audit session; moves with every exec and every reuse of the pid
}

// NoAuditUser is AU_DEFAUDITID, the audit user of what no login has started.
const NoAuditUser = 1<<32 - 1

// ParseToken reads an audit token.
func ParseToken(b []byte) (Token, error) {
	if len(b) != TokenSize {
		return Token{}, fmt.Errorf("kernel: an audit token of %d bytes, expected %d", len(b), TokenSize)
	}
	word := func(i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }
	t := Token{
		AuditUser: word(0), User: word(1), Group: word(2), RealUser: word(3), RealGroup: word(4),
		PID: int(int32(word(5))), Session: word(6), ExecsVersion: word(7),
	}
	if t.PID <= 0 {
		return Token{}, fmt.Errorf("kernel: an audit token of process %d", t.PID)
	}
	return t, nil
}
