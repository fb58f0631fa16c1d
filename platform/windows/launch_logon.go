//go:build windows

package windows

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"

	"kpm/core"
)

// Packages that log users on, and the kind of logon (ntsecapi.h): one that takes no
// password, for which nothing is stored and which reaches no other machine.
const (
	packageLocal  = "MICROSOFT_AUTHENTICATION_PACKAGE_V1_0"
	packageDomain = "Kerberos"
	logonNetwork  = 3
)

// lsaString is LSA_STRING.
type lsaString struct {
	length, capacity uint16
	buffer           *byte
}

func newLSAString(s string) *lsaString {
	b := append([]byte(s), 0)
	return &lsaString{uint16(len(s)), uint16(len(b)), &b[0]}
}

// tokenSource is TOKEN_SOURCE.
type tokenSource struct {
	name       [8]byte
	identifier windows.LUID
}

// loggedOn returns the token of an account that need not have logged in, in the
// session of whoever asked if one is named. It has no desktop there: programs with
// windows end at their start. Only LocalSystem can have one made.
func loggedOn(as core.Identity) (*token, error) {
	sid, err := windows.StringToSid(string(as.Account.User))
	if err != nil {
		return nil, fmt.Errorf("run as %q: %w: it is no SID", as.Account.User, core.ErrNoAccount)
	}
	name, domain, kind, err := sid.LookupAccount("")
	if err != nil {
		return nil, fmt.Errorf("run as %s: %w", as.Account.User, lookupFault(err))
	}
	if kind != windows.SidTypeUser {
		return nil, fmt.Errorf("run as %s: it is no user's: %w", name, core.ErrNoAccount)
	}
	primary, err := s4u(name, domain)
	if err != nil {
		return nil, fmt.Errorf("run as %s: %w", name, explain(err))
	}
	return completed(primary, as, name)
}

// completed makes the token of a logon into what a launch needs, and closes it if that
// fails. The account's profile is loaded: nobody else has logged it on.
func completed(primary windows.Token, as core.Identity, name string) (*token, error) {
	t := &token{primary: primary}
	// Attack: the account was renamed between the two questions, and another one has
	// its name.
	user, err := tokenUser(primary)
	if err == nil && user != as.Account.User {
		err = fmt.Errorf("%s is %s: %w", name, user, core.ErrNoAccount)
	}
	// An administrator's is the everyday one at first.
	if as.RunAs == core.AsUserElevated && err == nil && !primary.IsElevated() {
		if full, elevateErr := elevate(primary, as.Account.User); elevateErr == nil {
			primary.Close()
			t.primary, primary = full, full
		}
	}
	if err == nil && as.Session != "" {
		err = inSession(primary, as.Session)
	}
	if err == nil {
		t.unload, err = loadProfile(primary, name)
	}
	if err == nil {
		// learn.microsoft.com, "CreateEnvironmentBlock"
		t.environ, err = primary.Environ(false)
	}
	if err != nil {
		t.close()
		return nil, fmt.Errorf("run as %s: %w", name, err)
	}
	return t, nil
}

// inSession moves a token into a session (learn.microsoft.com,
// "SetTokenInformation", TokenSessionId).
func inSession(t windows.Token, session core.SessionID) error {
	number, err := strconv.ParseUint(string(session), 10, 32)
	if err != nil {
		return fmt.Errorf("session %q is not a number: %w", session, ErrNoSession)
	}
	id := uint32(number)
	if err := windows.SetTokenInformation(t, windows.TokenSessionId, (*byte)(unsafe.Pointer(&id)), uint32(unsafe.Sizeof(id))); err != nil {
		return fmt.Errorf("move to session %d: %w", id, explain(err))
	}
	return nil
}

// s4u has a user logged on without a password (learn.microsoft.com,
// "LsaRegisterLogonProcess", "LsaLogonUser", "MSV1_0_S4U_LOGON", "KERB_S4U_LOGON").
func s4u(name, domain string) (windows.Token, error) {
	own, err := windows.ComputerName()
	if err != nil {
		return 0, fmt.Errorf("name of this machine: %w", err)
	}
	by := packageDomain
	if strings.EqualFold(domain, own) {
		by = packageLocal
	}
	var authority uintptr
	var mode uint32
	if err := lsa("LsaRegisterLogonProcess", uintptr(unsafe.Pointer(newLSAString("KeeperPrivilege"))), uintptr(unsafe.Pointer(&authority)), uintptr(unsafe.Pointer(&mode))); err != nil {
		return 0, err
	}
	defer lsa("LsaDeregisterLogonProcess", authority) // nothing is known of it afterwards
	var number uint32
	if err := lsa("LsaLookupAuthenticationPackage", authority, uintptr(unsafe.Pointer(newLSAString(by))), uintptr(unsafe.Pointer(&number))); err != nil {
		return 0, err
	}
	logon, err := s4uToken(authority, number, name, domain)
	if err != nil {
		return 0, err
	}
	defer logon.Close()
	primary, err := primaryOf(logon) // it is one to impersonate with
	if err != nil {
		return 0, fmt.Errorf("token of the logon: %w", err)
	}
	return primary, nil
}

// s4uToken is the one call of LsaLogonUser.
func s4uToken(authority uintptr, number uint32, name, domain string) (windows.Token, error) {
	room := make([]byte, s4uText+4*maxAccountName)
	message, err := s4uLogon(name, domain, uint64(uintptr(unsafe.Pointer(&room[0]))))
	if err != nil {
		return 0, err
	}
	size := copy(room, message)
	source := tokenSource{name: [8]byte{'k', 'p', 'm'}}
	proc := windows.NewLazySystemDLL("advapi32.dll").NewProc("AllocateLocallyUniqueId")
	if ok, _, err := proc.Call(uintptr(unsafe.Pointer(&source.identifier))); ok == 0 {
		return 0, fmt.Errorf("AllocateLocallyUniqueId: %w", err)
	}
	var (
		profile              uintptr
		profileSize, because uint32
		logon                windows.LUID
		made                 windows.Token
		quotas               [6]uintptr // QUOTA_LIMITS
	)
	err = lsa("LsaLogonUser", authority, uintptr(unsafe.Pointer(newLSAString("kpm"))), logonNetwork, uintptr(number),
		uintptr(unsafe.Pointer(&room[0])), uintptr(size), 0, uintptr(unsafe.Pointer(&source)), uintptr(unsafe.Pointer(&profile)),
		uintptr(unsafe.Pointer(&profileSize)), uintptr(unsafe.Pointer(&logon)), uintptr(unsafe.Pointer(&made)), uintptr(unsafe.Pointer(&quotas)), uintptr(unsafe.Pointer(&because)))
	runtime.KeepAlive(room)
	if profile != 0 {
		lsa("LsaFreeReturnBuffer", profile)
	}
	switch {
	case err != nil && because != 0:
		return 0, fmt.Errorf("%w: %w", err, windows.NTStatus(because).Errno())
	case err != nil:
		return 0, err
	case made == 0:
		return 0, errors.New("LsaLogonUser: there is no token")
	}
	return made, nil
}

// lsa calls a function of secur32.dll that answers with an NTSTATUS, and names it in
// the error.
//
//go:uintptrescapes
func lsa(function string, args ...uintptr) error {
	proc := windows.NewLazySystemDLL("secur32.dll").NewProc(function)
	if err := proc.Find(); err != nil {
		return fmt.Errorf("%s: %w", function, err)
	}
	if status, _, _ := proc.Call(args...); uint32(status) != 0 {
		return fmt.Errorf("%s: %w", function, windows.NTStatus(uint32(status)).Errno())
	}
	return nil
}
