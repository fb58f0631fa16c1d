package kernel

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Offsets in struct kinfo_proc of a 64-bit kernel (sys/sysctl.h, sys/proc.h).
// process_darwin.go holds them to those of golang.org/x/sys.
const (
	ProcessSize    = 648 // sizeof(struct kinfo_proc)
	offStartSec    = 0   // kp_proc.p_starttime
	offStartMicros = 8
	offState       = 36  // kp_proc.p_stat
	offPID         = 40  // kp_proc.p_pid
	offName        = 243 // kp_proc.p_comm
	offRealUser    = 392 // kp_eproc.e_pcred.p_ruid
	offSavedUser   = 396 // kp_eproc.e_pcred.p_svuid
	offRealGroup   = 400 // kp_eproc.e_pcred.p_rgid
	offSavedGroup  = 404 // kp_eproc.e_pcred.p_svgid
	offUser        = 420 // kp_eproc.e_ucred.cr_uid
	offGroupCount  = 424 // kp_eproc.e_ucred.cr_ngroups
	offGroups      = 428 // kp_eproc.e_ucred.cr_groups
	offParent      = 560 // kp_eproc.e_ppid
	offGroup       = 564 // kp_eproc.e_pgid
	offTerminal    = 572 // kp_eproc.e_tdev
)

// nameSize is that of p_comm, MAXCOMLEN and a NUL (sys/param.h).
const nameSize = 17

// stateZombie is SZOMB (sys/proc.h).
const stateZombie = 5

// Process is one process as sysctl kern.proc describes it.
type Process struct {
	PID, Parent, Group        int
	Start                     uint64 // microseconds since 1970
	User, RealUser, SavedUser uint32
	RealGroup, SavedGroup     uint32
	Terminal                  uint32 // device of the controlling terminal; NoTerminal
	Name                      string // the beginning of its program's name
	Zombie                    bool
	// Session is the pid of its session's leader, which kinfo_proc does not
	// have (getsid(2)); 0 is unknown.
	Session int
}

// NoTerminal is NODEV, the terminal of a process without one.
const NoTerminal = 1<<32 - 1

// ParseProcess reads one struct kinfo_proc.
func ParseProcess(b []byte) (Process, error) {
	if len(b) != ProcessSize {
		return Process{}, fmt.Errorf("kernel: a kinfo_proc of %d bytes, expected %d", len(b), ProcessSize)
	}
	word := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	p := Process{
		PID: int(int32(word(offPID))), Parent: int(int32(word(offParent))), Group: int(int32(word(offGroup))),
		Start: binary.LittleEndian.Uint64(b[offStartSec:])*1_000_000 + uint64(word(offStartMicros)),
		User:  word(offUser), RealUser: word(offRealUser), SavedUser: word(offSavedUser),
		RealGroup: word(offRealGroup), SavedGroup: word(offSavedGroup),
		Terminal: word(offTerminal), Zombie: b[offState] == stateZombie,
		Name: string(bytes.SplitN(b[offName:offName+nameSize], []byte{0}, 2)[0]),
	}
	if p.PID < 0 {
		return Process{}, fmt.Errorf("kernel: a kinfo_proc of process %d", p.PID)
	}
	return p, nil
}

// ParseProcesses reads what sysctl kern.proc.all answers: one after the other.
func ParseProcesses(b []byte) ([]Process, error) {
	if len(b)%ProcessSize != 0 {
		return nil, fmt.Errorf("kernel: a process table of %d bytes, expected a multiple of %d", len(b), ProcessSize)
	}
	all := make([]Process, 0, len(b)/ProcessSize)
	for ; len(b) > 0; b = b[ProcessSize:] {
		p, err := ParseProcess(b[:ProcessSize])
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// maxGroups is NGROUPS (sys/syslimits.h), the most that the kernel keeps itself.
const maxGroups = 16

// ParseGroups reads the groups out of one struct kinfo_proc: the effective one is
// the first.
func ParseGroups(b []byte) ([]uint32, error) {
	if len(b) != ProcessSize {
		return nil, fmt.Errorf("kernel: a kinfo_proc of %d bytes, expected %d", len(b), ProcessSize)
	}
	count := int(binary.LittleEndian.Uint16(b[offGroupCount:]))
	if count > maxGroups {
		return nil, fmt.Errorf("kernel: a kinfo_proc with %d groups, expected at most %d", count, maxGroups)
	}
	groups := make([]uint32, count)
	for i := range groups {
		groups[i] = binary.LittleEndian.Uint32(b[offGroups+4*i:])
	}
	return groups, nil
}

// Is reports whether every identity that p has is user.
func (p Process) Is(user uint32) bool {
	return p.User == user && p.RealUser == user && p.SavedUser == user
}
