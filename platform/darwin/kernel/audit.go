package kernel

import "encoding/binary"

// struct auditpinfo_addr (bsm/audit.h): pid, audit user, two masks, a terminal of
// 24 bytes, the audit session, and flags.
const (
	auditInfoSize   = 56
	offAuditPID     = 0
	offAuditSession = 40
)

// AuditQuestion is the structure by which auditon(2) is asked about a process
// (A_GETPINFO_ADDR), and in which it answers.
func AuditQuestion(pid int) []byte {
	b := make([]byte, auditInfoSize)
	binary.LittleEndian.PutUint32(b[offAuditPID:], uint32(pid))
	return b
}

// AuditSession is the audit session in the answer, 0 for none.
func AuditSession(b []byte) uint32 { return binary.LittleEndian.Uint32(b[offAuditSession:]) }
