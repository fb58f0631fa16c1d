//go:build windows

package windows

import (
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/windows"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/conformance"
	"kpm/platform/none"
)

// helperPath is keeperlaunch.exe beside the tests' own executable, where whoever
// runs them puts it: there may be no compiler here.
func helperPath() string {
	own, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return filepath.Join(filepath.Dir(own), "keeperlaunch.exe")
}

// own is the account that the tests run as.
func own() core.Identity {
	user, err := tokenUser(windows.GetCurrentProcessToken())
	if err != nil {
		panic(err)
	}
	return core.Identity{Account: core.Account{User: user}}
}

// login is the account that the tests run as, in the session that they run in.
func login(as core.RunAs) core.Identity {
	session, err := Sessions{}.Of(NewTree().Self())
	if err != nil {
		panic(err)
	}
	identity := own()
	identity.RunAs, identity.Session = as, session
	return identity
}

// ground is where the suite of every platform runs here.
func ground() conformance.Ground {
	return conformance.Ground{
		Host: func() (port.Host, error) {
			host := none.Host(Facts())
			host.Tree, host.Terminals, host.Sessions = wineTree{NewTree()}, Terminals{}, Sessions{}
			launcher, err := NewLauncher(helperPath(), 2)
			if err != nil {
				return port.Host{}, err
			}
			host.Launcher, host.Close = launcher, launcher.Close
			return host, nil
		},
		Self:     NewTree().Self,
		As:       own(),
		Handle:   os.Open,
		Env:      Facts().BaseEnvironment,
		Adds:     adds(),
		Launches: launches(),
		Inheritable: func(f *os.File) (uintptr, error) {
			handle := windows.Handle(f.Fd())
			return f.Fd(), windows.SetHandleInformation(handle, windows.HANDLE_FLAG_INHERIT, windows.HANDLE_FLAG_INHERIT)
		},
		Open: func() (int, error) {
			var n uint32
			proc := windows.NewLazySystemDLL("kernel32.dll").NewProc("GetProcessHandleCount")
			if ok, _, err := proc.Call(uintptr(windows.CurrentProcess()), uintptr(unsafe.Pointer(&n))); ok == 0 {
				return 0, err
			}
			return int(n), nil
		},
		Duplicate: func(f *os.File) (*os.File, error) {
			copied, err := giveFile(windows.CurrentProcess(), f, false)
			return os.NewFile(uintptr(copied), f.Name()), err
		},
		Ends: func(handedOver []*os.File) (typed, shown *os.File) { return handedOver[0], handedOver[1] },
		Console: func() (in, out *os.File, err error) {
			if in, err = os.OpenFile("CONIN$", os.O_RDWR, 0); err == nil {
				out, err = os.OpenFile("CONOUT$", os.O_RDWR, 0)
			}
			return in, out, err
		},
		Size: func(out *os.File) (rows, columns int, err error) {
			var info windows.ConsoleScreenBufferInfo
			err = windows.GetConsoleScreenBufferInfo(windows.Handle(out.Fd()), &info)
			window := info.Window
			return int(window.Bottom-window.Top) + 1, int(window.Right-window.Left) + 1, err
		},
		Login:    login,
		Foreign:  "4242",
		User:     func() core.UserID { return own().Account.User },
		NotShown: notShown(),
	}
}

func TestMain(m *testing.M) {
	conformance.Main(ground())
	os.Exit(m.Run())
}

func TestConformance(t *testing.T) { conformance.Run(t, ground()) }

func BenchmarkLaunch(b *testing.B) { conformance.Launches(b, ground()) }
