//go:build windows

package windows

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"kpm/core"
	"kpm/core/port"
)

// Interception has User Account Control refuse people who are no administrators,
// instead of asking them for an administrator's password: "Run with Keeper" is the
// way that remains. It is Windows' own policy "Behavior of the elevation prompt for
// standard users: Automatically deny elevation requests" (learn.microsoft.com, "User
// Account Control settings and configuration").
//
// Administrators are asked as before, so that nobody is locked out. Nothing in user
// mode can decide about one program that Windows is asked to elevate, or ask someone
// before it does: that takes a driver, or another program in the place of Windows'
// consent.exe.
type Interception struct {
	root registry.Key // for tests; 0 means HKEY_LOCAL_MACHINE
}

var _ port.Interception = Interception{}

// Where Windows has the policy, and where we keep what it was before. Only
// administrators may write to either.
const (
	uacKey      = `SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System`
	uacUsers    = "ConsentPromptBehaviorUser"
	uacOn       = "EnableLUA"
	uacDeny     = 0
	uacUnset    = 0xffffffff // what we keep where there was no value
	ownKey      = `SOFTWARE\KeeperPrivilegeManager`
	keptKey     = ownKey + `\Interception`
	wayUAC      = "uac"
	remedyAdmin = "run this as an administrator, elevated"
)

// ErrUACOff means that User Account Control asks nobody anything.
var ErrUACOff = core.NewError(core.Conflict, "User Account Control is off (EnableLUA is 0), so that there is nothing to intercept; turn it on and restart Windows")

// Enable implements port.Interception.
func (i Interception) Enable(_ context.Context, way string) error {
	if way != wayUAC {
		return noSuchWay(way)
	}
	policy, err := i.open(uacKey)
	if err != nil {
		return err
	}
	defer policy.Close()
	if on, _, err := policy.GetIntegerValue(uacOn); err == nil && on == 0 {
		return fmt.Errorf("interception of uac: %w", ErrUACOff)
	}
	kept, err := i.open(keptKey)
	if err != nil {
		return err
	}
	defer kept.Close()
	// What was there is kept before it is changed, and never twice: the second time
	// it would be our own.
	if _, _, err := kept.GetIntegerValue(uacUsers); errors.Is(err, registry.ErrNotExist) {
		before, _, err := policy.GetIntegerValue(uacUsers)
		if errors.Is(err, registry.ErrNotExist) {
			before, err = uacUnset, nil
		}
		if err == nil {
			err = kept.SetDWordValue(uacUsers, uint32(before))
		}
		if err != nil {
			return fmt.Errorf("interception of uac: keep what the policy was: %w", explain(err))
		}
	}
	if err := policy.SetDWordValue(uacUsers, uacDeny); err != nil {
		return fmt.Errorf("interception of uac: set %s: %w", uacUsers, explain(err))
	}
	return nil
}

// Disable implements port.Interception. It needs nothing but what Enable has kept. A
// policy that somebody has changed since stays as it is.
func (i Interception) Disable(_ context.Context, way string) error {
	if way != wayUAC {
		return noSuchWay(way)
	}
	kept, err := registry.OpenKey(i.hive(), keptKey, registry.QUERY_VALUE|registry.SET_VALUE)
	if errors.Is(err, registry.ErrNotExist) {
		return nil // it was never on
	}
	if err != nil {
		return inaccessible(keptKey, err)
	}
	defer kept.Close()
	before, _, err := kept.GetIntegerValue(uacUsers)
	if errors.Is(err, registry.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("interception of uac: what the policy was: %w", err)
	}
	policy, err := i.open(uacKey)
	if err != nil {
		return err
	}
	defer policy.Close()
	if now, _, err := policy.GetIntegerValue(uacUsers); err == nil && now == uacDeny {
		if before == uacUnset {
			err = policy.DeleteValue(uacUsers)
		} else {
			err = policy.SetDWordValue(uacUsers, uint32(before))
		}
		if err != nil {
			return fmt.Errorf("interception of uac: set %s: %w", uacUsers, explain(err))
		}
	}
	if err := kept.DeleteValue(uacUsers); err != nil {
		return fmt.Errorf("interception of uac: forget what the policy was: %w", explain(err))
	}
	// A key that has something else below it stays.
	if registry.DeleteKey(i.hive(), keptKey) == nil {
		registry.DeleteKey(i.hive(), ownKey)
	}
	return nil
}

func (i Interception) hive() registry.Key {
	if i.root == 0 {
		return registry.LOCAL_MACHINE
	}
	return i.root
}

// open opens a key, and makes it if there is none.
func (i Interception) open(path string) (registry.Key, error) {
	key, _, err := registry.CreateKey(i.hive(), path, registry.QUERY_VALUE|registry.SET_VALUE)
	if err != nil {
		return 0, inaccessible(path, err)
	}
	return key, nil
}

func inaccessible(path string, err error) error {
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		return fmt.Errorf("interception of uac: %s: %w; %s", path, err, remedyAdmin)
	}
	return fmt.Errorf("interception of uac: %s: %w", path, err)
}

// noSuchWay says of other ways what there is instead.
func noSuchWay(way string) error {
	remedy := "there is no such way on Windows; there is uac"
	switch way {
	case "sudo":
		remedy = "Windows' own sudo asks User Account Control, which is the way uac"
	case "exec":
		remedy = "programs can be stopped before they run by a driver, or by App Control and AppLocker, which are Windows' own"
	}
	return fmt.Errorf("interception of %q: %s: %w", way, remedy, errors.ErrUnsupported)
}
