//go:build windows

package windows

import (
	"fmt"
	"strconv"
	"unsafe"

	"golang.org/x/sys/windows"

	"kpm/core"
)

// holder is what a token says about whose it is.
type holder struct {
	user    core.UserID
	logon   windows.LUID // of the logon that it came from: an elevated token has another one
	session core.SessionID
	// groups are those that count, for any access: not those that only deny, and
	// neither the session's own nor the level of integrity.
	groups        []string
	administrator bool
	// confined says what its processes are denied that others of the same user
	// are not.
	confined string
}

// tokenStatistics is TOKEN_STATISTICS (winnt.h).
type tokenStatistics struct {
	token, logon               windows.LUID
	expires                    int64
	kind, level, charged, free uint32
	groups, privileges         uint32
	modified                   windows.LUID
	_                          [4]byte
}

// holderOf reads a token (learn.microsoft.com, "GetTokenInformation").
func holderOf(t windows.Token) (holder, error) {
	var h holder
	var err error
	if h.user, err = tokenUser(t); err != nil {
		return holder{}, err
	}
	var statistics tokenStatistics
	if err := tokenInfo(t, windows.TokenStatistics, unsafe.Pointer(&statistics), unsafe.Sizeof(statistics)); err != nil {
		return holder{}, fmt.Errorf("logon of a token: %w", err)
	}
	h.logon = statistics.logon
	var session uint32
	if err := tokenInfo(t, windows.TokenSessionId, unsafe.Pointer(&session), unsafe.Sizeof(session)); err != nil {
		return holder{}, fmt.Errorf("session of a token: %w", err)
	}
	h.session = core.SessionID(strconv.FormatUint(uint64(session), 10))
	groups, err := t.GetTokenGroups()
	if err != nil {
		return holder{}, fmt.Errorf("groups of a token: %w", err)
	}
	inAdministrators := false
	for _, g := range groups.AllGroups() {
		const passing = windows.SE_GROUP_USE_FOR_DENY_ONLY | windows.SE_GROUP_INTEGRITY
		if g.Attributes&windows.SE_GROUP_ENABLED == 0 || g.Attributes&(passing) != 0 || g.Attributes&windows.SE_GROUP_LOGON_ID == windows.SE_GROUP_LOGON_ID {
			continue
		}
		id := g.Sid.String()
		h.groups = append(h.groups, id)
		inAdministrators = inAdministrators || core.UserID(id) == administrators
	}
	// Attack: a protected administrator's everyday token names Administrators as
	// well, and only denies by it.
	h.administrator = h.user == localSystem || inAdministrators && t.IsElevated()
	h.confined, err = confinement(t)
	return h, err
}

// tokenInfo asks a token for something of a fixed size.
func tokenInfo(t windows.Token, class uint32, into unsafe.Pointer, size uintptr) error {
	var n uint32
	return windows.GetTokenInformation(t, class, (*byte)(into), uint32(size), &n)
}

// tokenIsAppContainer is of TOKEN_INFORMATION_CLASS, and missing in x/sys.
const tokenIsAppContainer = 29

// mediumIntegrity is what processes of people have ([MS-DTYP], section 2.4.2.4,
// ML_MEDIUM).
const mediumIntegrity = 0x2000

// confinement says how a token is weaker than its user's others; "" if it is not
// (learn.microsoft.com, "IsTokenRestricted", "TOKEN_INFORMATION_CLASS",
// "Mandatory Integrity Control").
//
// Attack: a sandboxed part of a browser asks for a process outside of its
// sandbox.
func confinement(t windows.Token) (string, error) {
	// ERROR_INVALID_FUNCTION is Wine's, which has no such tokens.
	if restricted, err := t.IsRestricted(); restricted || err != nil && err != windows.ERROR_INVALID_FUNCTION {
		return "a restricted token", err
	}
	var contained uint32
	if err := tokenInfo(t, tokenIsAppContainer, unsafe.Pointer(&contained), unsafe.Sizeof(contained)); err != nil {
		return "", fmt.Errorf("app container of a token: %w", err)
	}
	if contained != 0 {
		return "an app container", nil
	}
	level, err := integrity(t)
	if err != nil {
		return "", err
	}
	if level < mediumIntegrity {
		return "low integrity", nil
	}
	return "", nil
}

// integrity is a token's level.
func integrity(t windows.Token) (uint32, error) {
	var buffer [128]byte
	if err := tokenInfo(t, windows.TokenIntegrityLevel, unsafe.Pointer(&buffer), unsafe.Sizeof(buffer)); err != nil {
		return 0, fmt.Errorf("integrity of a token: %w", err)
	}
	label := (*windows.Tokenmandatorylabel)(unsafe.Pointer(&buffer))
	sid := label.Label.Sid
	if sid == nil || sid.SubAuthorityCount() == 0 {
		return 0, fmt.Errorf("integrity of a token: it has none")
	}
	return sid.SubAuthority(uint32(sid.SubAuthorityCount()) - 1), nil
}

// peerOf is a peer that consists of one process.
func (h holder) peerOf(id core.ProcessID) core.Peer {
	return core.Peer{
		User: h.user, Administrator: h.administrator, Processes: []core.ProcessID{id}, SameIdentity: true,
		Confined: h.confined, Groups: h.groups, Login: h.user, Session: h.session,
	}
}
