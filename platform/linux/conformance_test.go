//go:build linux

package linux

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/conformance"
	"kpm/platform/none"
)

// ground is where the suite of every platform runs here. home is where its
// cgroups are made, empty for none.
func ground(helper, home string) conformance.Ground {
	return conformance.Ground{
		Host: func() (port.Host, error) {
			host := none.Host(Facts())
			host.Tree, host.Terminals = NewTree(), Terminals{}
			launcher, err := NewLauncher(helper, 2, home, "")
			if err != nil {
				return port.Host{}, err
			}
			host.Launcher, host.Close = launcher, launcher.Close
			return host, nil
		},
		Self: NewTree().Self,
		As:   core.Identity{Account: rootAccount},
		People: []core.Identity{
			{Account: rootAccount},
			{Account: core.Account{User: "0", Name: "root", Group: "0", Groups: []string{"0", "4", "4242"}}},
			{Account: core.Account{User: "61998", Name: "nobody-here", Group: "61998"}},
			{Account: core.Account{User: "61998", Name: "nobody-here", Group: "61998", Groups: []string{"61998", "61999", "4242"}}},
		},
		Handle: Files{}.Locate,
		// Without cgroups, what leaves its session is known by this.
		User:     func() core.UserID { return userID(uint32(os.Getuid())) },
		Env:      []string{"LANG=C.UTF-8", "KEEPER_REQUEST_ID=conformance-" + strconv.Itoa(os.Getpid()), conformanceHelper + "=" + helper, conformanceHome + "=" + home},
		Launches: launches(),
		Sheds:    home == "",
		Inheritable: func(f *os.File) (uintptr, error) {
			_, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, 0)
			return f.Fd(), err
		},
		Open: func() (int, error) {
			entries, err := os.ReadDir("/proc/self/fd")
			return len(entries), err
		},
		Duplicate: func(f *os.File) (*os.File, error) {
			fd, err := unix.Dup(int(f.Fd()))
			return os.NewFile(uintptr(fd), f.Name()), err
		},
		Ends: func(handedOver []*os.File) (typed, shown *os.File) { return handedOver[0], handedOver[0] },
		Console: func() (in, out *os.File, err error) {
			tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
			return tty, tty, err
		},
		Size: func(out *os.File) (rows, columns int, err error) {
			size, err := unix.IoctlGetWinsize(int(out.Fd()), unix.TIOCGWINSZ)
			if err != nil {
				return 0, 0, err
			}
			return int(size.Row), int(size.Col), nil
		},
	}
}

// How the suite's programs learn where they run, and how many launches are many
// on a machine without acceleration.
const (
	conformanceHelper   = "KPM_CONFORMANCE_HELPER"
	conformanceHome     = "KPM_CONFORMANCE_HOME"
	conformanceLaunches = "KPM_CONFORMANCE_LAUNCHES"
)

func launches() int {
	if n, err := strconv.Atoi(os.Getenv(conformanceLaunches)); err == nil {
		return n
	}
	return 1000
}

func TestConformanceInSessions(t *testing.T) { runConformance(t, "") }

func TestConformanceInCgroups(t *testing.T) { runConformance(t, withCgroups(t)) }

func runConformance(t *testing.T, home string) {
	helper := buildHelper(t)
	t.Setenv(conformanceHelper, helper)
	t.Setenv(conformanceHome, home)
	g := ground(helper, home)
	logIn(t, &g)
	conformance.Run(t, g)
}

// buildHelper builds keeperlaunch where other processes find it too. On a machine
// with an agent and no Go toolchain it is the agent's.
func buildHelper(t *testing.T) string {
	t.Helper()
	if installed := os.Getenv(conformanceHelper); installed != "" {
		return installed
	}
	path := filepath.Join(public(t), "keeperlaunch")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "kpm/cmd/keeperlaunch")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}
