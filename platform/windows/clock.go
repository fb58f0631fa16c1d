//go:build windows

package windows

import (
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"kpm/core/port"
)

// Clock reads the interrupt time, which nobody can set (learn.microsoft.com,
// "Interrupt Time", "QueryInterruptTime"). A shutdown with fast startup hibernates
// the kernel: for this clock it is no restart.
type Clock struct{}

var _ port.Clock = Clock{}

const (
	bootKey      = `SOFTWARE\KeeperPrivilegeManager-Boot` // by itself: nothing of it stays when the agent is removed
	bootSecurity = "O:BAG:BAD:P(A;;KA;;;SY)(A;;KA;;;BA)"
	bootValue    = "Name"
	bootTries    = 100
	bootPause    = 10 * time.Millisecond
	volatileKey  = 0x1 // REG_OPTION_VOLATILE
	createdKey   = 0x1 // REG_CREATED_NEW_KEY
)

// Now implements port.Clock.
func (Clock) Now() (string, time.Duration, error) {
	boot, err := bootName()
	if err != nil {
		return "", 0, fmt.Errorf("clock: the name of this start of the machine: %w: %w", err, errors.ErrUnsupported)
	}
	query := windows.NewLazySystemDLL("kernelbase.dll").NewProc("QueryInterruptTime")
	if err := query.Find(); err != nil {
		return "", 0, fmt.Errorf("clock: %w: %w", err, errors.ErrUnsupported)
	}
	var now uint64                            // in 100 ns
	query.Call(uintptr(unsafe.Pointer(&now))) // it has no result
	return boot, time.Duration(now) * 100, nil
}

// bootName is random, and lies in a key that the registry keeps in memory alone: it is
// gone with the kernel (learn.microsoft.com, "RegCreateKeyExW"). Windows has no name of
// its own for a start. Administrators alone can remove it; then what was given until
// the next start ends.
func bootName() (string, error) {
	key, made, err := openBoot()
	if err != nil {
		return "", err
	}
	defer key.Close()
	if made { // nobody else has
		name := rand.Text()
		if err := key.SetStringValue(bootValue, name); err != nil {
			return "", errors.Join(err, registry.DeleteKey(registry.LOCAL_MACHINE, bootKey))
		}
		return name, nil
	}
	for tries := 0; ; tries++ {
		name, _, err := key.GetStringValue(bootValue)
		if err == nil && name == "" {
			err = errors.New("it is empty")
		}
		if !errors.Is(err, registry.ErrNotExist) || tries == bootTries {
			return name, err
		}
		time.Sleep(bootPause) // who has made the key is about to name it
	}
}

// openBoot opens the key, and says whether it was made for that.
func openBoot() (key registry.Key, made bool, err error) {
	path, err := windows.UTF16PtrFromString(bootKey)
	if err != nil {
		return 0, false, err
	}
	descriptor, err := windows.SecurityDescriptorFromString(bootSecurity)
	if err != nil {
		return 0, false, err
	}
	attributes := windows.SecurityAttributes{Length: uint32(unsafe.Sizeof(windows.SecurityAttributes{})), SecurityDescriptor: descriptor}
	var disposition uint32
	status, _, _ := windows.NewLazySystemDLL("advapi32.dll").NewProc("RegCreateKeyExW").Call(uintptr(registry.LOCAL_MACHINE), uintptr(unsafe.Pointer(path)), 0, 0,
		volatileKey, registry.QUERY_VALUE|registry.SET_VALUE, uintptr(unsafe.Pointer(&attributes)), uintptr(unsafe.Pointer(&key)), uintptr(unsafe.Pointer(&disposition)))
	runtime.KeepAlive(attributes)
	if status != 0 {
		return 0, false, fmt.Errorf("the key %s: RegCreateKeyExW: %w", bootKey, windows.Errno(status))
	}
	return key, disposition == createdKey, nil
}
