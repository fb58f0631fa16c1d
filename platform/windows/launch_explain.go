//go:build windows

package windows

import (
	"errors"
	"fmt"

	"golang.org/x/sys/windows"

	"kpm/core"
)

// remedies are what the person can do about an answer of CreateProcess.
var remedies = map[windows.Errno]string{
	windows.ERROR_FILE_NOT_FOUND:            "it is gone, or the account may not see it",
	windows.ERROR_PATH_NOT_FOUND:            "program or working directory is gone, or the account may not see it",
	windows.ERROR_ACCESS_DENIED:             "the account may not execute it, a policy of the machine forbids it, or the session refuses the launch group's job",
	windows.ERROR_BAD_EXE_FORMAT:            "it is no program for this Windows; name its interpreter if it is a script",
	windows.ERROR_EXE_MACHINE_TYPE_MISMATCH: "it is a program for another processor",
	windows.ERROR_ELEVATION_REQUIRED:        "it asks for an administrator's rights; run it elevated",
	windows.ERROR_DIRECTORY:                 "the working directory is none",
	windows.ERROR_PRIVILEGE_NOT_HELD:        "the service must run as LocalSystem",
	windows.ERROR_SERVICE_EXISTS:            "it is installed already; to change it, uninstall it first",
	windows.ERROR_INVALID_OWNER:             "the account may not give processes to administrators; the service must run as LocalSystem",
	windows.ERROR_NO_SYSTEM_RESOURCES:       "the machine has no room for another process; end some",
	windows.ERROR_NOT_ENOUGH_MEMORY:         "the machine has no memory for another process; end some",
	windows.ERROR_COMMITMENT_LIMIT:          "the machine has no memory for another process; end some",
	windows.ERROR_NOT_ENOUGH_QUOTA:          "the machine has no room for another process; end some",
}

// vanished are answers about who or what was there when the launch began.
var vanished = map[windows.Errno]error{
	windows.ERROR_NO_SUCH_LOGON_SESSION:    ErrNoSession,
	windows.ERROR_CTX_WINSTATION_NOT_FOUND: ErrNoSession,
	windows.ERROR_CTX_CLOSE_PENDING:        ErrNoSession,
	windows.ERROR_NO_TOKEN:                 ErrNoSession,
	windows.ERROR_NO_SUCH_USER:             core.ErrNoAccount,
	windows.ERROR_NONE_MAPPED:              core.ErrNoAccount,
	windows.ERROR_PROFILE_NOT_FOUND:        core.ErrNoAccount,
}

// explain adds what can be done, and says what has gone meanwhile.
func explain(err error) error {
	var errno windows.Errno
	if !errors.As(err, &errno) {
		return err
	}
	if remedy, ok := remedies[errno]; ok {
		return fmt.Errorf("%w (%s)", err, remedy)
	}
	if gone, ok := vanished[errno]; ok {
		return fmt.Errorf("%w: %w", err, gone)
	}
	return err
}
