//go:build linux || darwin

// Package libpam is keeperpam: it loads libpam without cgo, has it do the one
// thing that the service asks for, and ends.
//
// Nothing here decides. Who may be asked about, and what an outcome is worth, is
// the service's to say; what happens in between is the administrator's PAM
// configuration.
package libpam

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"

	"kpm/platform/unix/pam"
)

// The numbers are those of Linux-PAM (security/_pam_types.h) and of OpenPAM
// (security/pam_constants.h), which have these in common; pam.Here has the others.
const (
	success = 0

	itemTTY = 3
	// itemAsker is PAM_RUSER.
	itemAsker = 8

	promptEchoOff = 1
	promptEchoOn  = 2
	errorMessage  = 3
	textInfo      = 4

	// maxMessages is PAM_MAX_NUM_MSG, maxText PAM_MAX_MSG_SIZE and
	// PAM_MAX_RESP_SIZE.
	maxMessages = 32
	maxText     = 512
)

// handle is a pam_handle_t, which is PAM's own.
type handle uintptr

// library is what is called of libpam, and of the C library for what PAM frees.
type library struct {
	start        func(service, user string, conversation unsafe.Pointer, h *handle) int32
	end          func(h handle, status int32) int32
	setItem      func(h handle, item int32, value string) int32
	putEnv       func(h handle, variable string) int32
	envList      func(h handle) unsafe.Pointer
	authenticate func(h handle, flags int32) int32
	account      func(h handle, flags int32) int32
	setCred      func(h handle, flags int32) int32
	open         func(h handle, flags int32) int32
	close        func(h handle, flags int32) int32
	explain      func(h handle, status int32) string

	calloc func(count, size uintptr) unsafe.Pointer
	free   func(p unsafe.Pointer)
}

// load opens the library. Its name is fixed: it is found where the system's
// loader finds libraries, and no environment steers that (pam.Environ).
func load() (*library, error) {
	// Modules may change what belongs to a thread, and are to find it again. Why a
	// library does not open is told to the thread that has tried.
	runtime.LockOSThread()
	l := &library{}
	for _, from := range []struct {
		file      string
		functions map[string]any
	}{
		{pam.Library, map[string]any{
			"pam_start": &l.start, "pam_end": &l.end, "pam_set_item": &l.setItem, "pam_putenv": &l.putEnv,
			"pam_getenvlist": &l.envList, "pam_authenticate": &l.authenticate, "pam_acct_mgmt": &l.account,
			"pam_setcred": &l.setCred, "pam_open_session": &l.open, "pam_close_session": &l.close, "pam_strerror": &l.explain,
		}},
		{pam.C, map[string]any{"calloc": &l.calloc, "free": &l.free}},
	} {
		opened, err := purego.Dlopen(from.file, purego.RTLD_NOW|purego.RTLD_GLOBAL)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", from.file, err)
		}
		for name, function := range from.functions {
			symbol, err := purego.Dlsym(opened, name)
			if err != nil {
				return nil, fmt.Errorf("%s has no %s: %w", from.file, name, err)
			}
			purego.RegisterFunc(function, symbol)
		}
	}
	return l, nil
}

// cString returns a copy of text that PAM frees, nil if there is no memory.
func (l *library) cString(text []byte) unsafe.Pointer {
	copied := l.calloc(1, uintptr(len(text)+1))
	if copied != nil {
		copy(unsafe.Slice((*byte)(copied), len(text)), text)
	}
	return copied
}

// goString copies a string of C's, at most limit bytes of it.
func goString(from unsafe.Pointer, limit int) string {
	if from == nil {
		return ""
	}
	n := 0
	for n < limit && *(*byte)(unsafe.Add(from, n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(from), n))
}
