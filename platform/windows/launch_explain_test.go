//go:build windows

package windows

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"golang.org/x/sys/windows"

	"kpm/core"
)

// A session that vanishes between the look at it and the launch, an account that is
// removed meanwhile, and a machine that is full: what Windows says of each keeps its
// number, and gets what a person can do about it.
func TestWhatVanishesMidLaunch(t *testing.T) {
	for _, c := range []struct {
		says windows.Errno
		want error
		help string
	}{
		{windows.ERROR_NO_SUCH_LOGON_SESSION, ErrNoSession, "log in again"},
		{windows.ERROR_CTX_WINSTATION_NOT_FOUND, fs.ErrNotExist, "log in again"},
		{windows.ERROR_CTX_CLOSE_PENDING, ErrNoSession, "log in again"},
		{windows.ERROR_NO_TOKEN, ErrNoSession, "log in again"},
		{windows.ERROR_NO_SUCH_USER, core.ErrNoAccount, "account"},
		{windows.ERROR_NONE_MAPPED, core.ErrNoAccount, "account"},
		{windows.ERROR_NO_SYSTEM_RESOURCES, windows.ERROR_NO_SYSTEM_RESOURCES, "end some"},
		{windows.ERROR_NOT_ENOUGH_QUOTA, windows.ERROR_NOT_ENOUGH_QUOTA, "end some"},
		{windows.ERROR_COMMITMENT_LIMIT, windows.ERROR_COMMITMENT_LIMIT, "end some"},
	} {
		err := explain(fmt.Errorf("create the process x: %w", c.says))
		if !errors.Is(err, c.want) || !errors.Is(err, c.says) || !strings.Contains(err.Error(), c.help) || !strings.HasPrefix(err.Error(), "create the process x: ") {
			t.Errorf("%d: %v; expected %v, the call, and %q", c.says, err, c.want, c.help)
		}
	}
	if err := explain(windows.ERROR_INVALID_PARAMETER); err != windows.ERROR_INVALID_PARAMETER {
		t.Errorf("of what nobody can do anything about: %v", err)
	}
}
