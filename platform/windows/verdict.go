//go:build windows

package windows

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"

	"kpm/core"
	"kpm/core/port"
)

// answer is one of WinVerifyTrust's results (winerror.h, "FACILITY_CERT").
type answer struct {
	standing core.Standing
	reason   string
}

// answers are the results that have a meaning of their own here; any other
// failure is Untrusted, under its number.
func answers() map[syscall.Errno]answer {
	return map[syscall.Errno]answer{
		0: {core.Trusted, "Windows trusts the signature and its signer"},
		syscall.Errno(windows.TRUST_E_BAD_DIGEST):          {core.Broken, "the file was changed after it was signed"},
		syscall.Errno(windows.TRUST_E_CERT_SIGNATURE):      {core.Broken, "the signature of a certificate does not hold"},
		syscall.Errno(windows.TRUST_E_MALFORMED_SIGNATURE): {core.Broken, "the signature is malformed"},
		syscall.Errno(windows.NTE_BAD_SIGNATURE):           {core.Broken, "the signature does not hold"},
		syscall.Errno(windows.CERT_E_UNTRUSTEDROOT):        {core.Untrusted, "the signer's certificate leads to no root that Windows trusts"},
		syscall.Errno(windows.CERT_E_CHAINING):             {core.Untrusted, "the signer's certificate leads to no root"},
		syscall.Errno(windows.CERT_E_EXPIRED):              {core.Untrusted, "a certificate has expired, and no time-stamp proves that it was signed before"},
		syscall.Errno(windows.CERT_E_REVOKED):              {core.Untrusted, "the signer's certificate is revoked"},
		syscall.Errno(windows.CERT_E_WRONG_USAGE):          {core.Untrusted, "the certificate is not for signing code"},
		syscall.Errno(windows.TRUST_E_EXPLICIT_DISTRUST):   {core.Untrusted, "an administrator distrusts the signer"},
		syscall.Errno(windows.TRUST_E_TIME_STAMP):          {core.Untrusted, "the time-stamp does not hold"},
	}
}

// verdict asks WinVerifyTrust about the open file: first about the signature
// within it, and if there is none about the machine's catalogs, by which most
// of Windows itself is signed. It never goes to the network and shows nothing.
func verdict(_ context.Context, f *os.File) (core.Evidence, error) {
	path, err := finalPath(windows.Handle(f.Fd()))
	if err != nil {
		return core.Evidence{}, fmt.Errorf("windows: verdict: %w", err)
	}
	kind, detail := core.KindSystem, "signature within the file"
	code := verifyFile(windows.Handle(f.Fd()), path)
	if unsigned(code) {
		listed, found := verifyCatalog(windows.Handle(f.Fd()), path)
		if !found {
			return core.Evidence{}, fmt.Errorf("windows: verdict: %w", port.ErrNoAttribute)
		}
		code, kind, detail = listed, core.KindSystemCatalog, "catalog of this machine"
	}
	runtime.KeepAlive(f)
	e := core.Evidence{Kind: kind, Rank: core.RankSigned, Checks: []core.Check{
		{Name: "WinVerifyTrust", Outcome: core.Failed, Detail: fmt.Sprintf("%s, 0x%08X", detail, uint32(code))},
		{Name: "revocation", Outcome: core.NotChecked, Detail: "what Windows has not cached is not fetched"},
	}}
	a, known := answers()[code]
	if !known {
		a = answer{core.Untrusted, fmt.Sprintf("Windows does not trust it (0x%08X)", uint32(code))}
	}
	if e.Standing, e.Reason = a.standing, a.reason; e.Standing == core.Trusted {
		e.Checks[0].Outcome = core.Passed
	}
	return e, nil
}

// unsigned reports whether an answer means that the file carries nothing that
// Windows reads as a signature.
func unsigned(code syscall.Errno) bool {
	return code == syscall.Errno(windows.TRUST_E_NOSIGNATURE) || code == syscall.Errno(windows.TRUST_E_SUBJECT_FORM_UNKNOWN) ||
		code == syscall.Errno(windows.TRUST_E_PROVIDER_UNKNOWN)
}

// verifyFile judges the signature within the file. The path only names it; the
// bytes are read through the handle (learn.microsoft.com, WINTRUST_FILE_INFO).
func verifyFile(handle windows.Handle, path *uint16) syscall.Errno {
	file := &windows.WinTrustFileInfo{FilePath: path, File: handle}
	file.Size = uint32(unsafe.Sizeof(*file))
	return verify(windows.WTD_CHOICE_FILE, unsafe.Pointer(file))
}

// verify takes WinVerifyTrust's answer and releases the state that it keeps.
func verify(choice uint32, subject unsafe.Pointer) syscall.Errno {
	data := &windows.WinTrustData{
		UIChoice: windows.WTD_UI_NONE, RevocationChecks: windows.WTD_REVOKE_WHOLECHAIN,
		UnionChoice: choice, FileOrCatalogOrBlobOrSgnrOrCert: subject,
		StateAction: windows.WTD_STATEACTION_VERIFY,
		// Attack: a signer makes the service wait for a server of its own.
		ProvFlags: windows.WTD_CACHE_ONLY_URL_RETRIEVAL | windows.WTD_DISABLE_MD2_MD4,
		UIContext: windows.WTD_UICONTEXT_EXECUTE,
	}
	data.Size = uint32(unsafe.Sizeof(*data))
	err := windows.WinVerifyTrustEx(windows.InvalidHWND, &windows.WINTRUST_ACTION_GENERIC_VERIFY_V2, data)
	data.StateAction = windows.WTD_STATEACTION_CLOSE
	// The answer is in hand; that its state cannot be released changes nothing.
	_ = windows.WinVerifyTrustEx(windows.InvalidHWND, &windows.WINTRUST_ACTION_GENERIC_VERIFY_V2, data)
	if err == nil {
		return 0
	}
	var code syscall.Errno
	if !errors.As(err, &code) || code == 0 {
		return syscall.Errno(windows.TRUST_E_FAIL)
	}
	return code
}

// finalPath is where the open file is now.
func finalPath(handle windows.Handle) (*uint16, error) {
	buffer := make([]uint16, windows.MAX_LONG_PATH)
	n, err := windows.GetFinalPathNameByHandle(handle, &buffer[0], uint32(len(buffer)), 0)
	if err != nil {
		return nil, err
	}
	if int(n) >= len(buffer) {
		return nil, windows.ERROR_BUFFER_OVERFLOW
	}
	return &buffer[0], nil
}
