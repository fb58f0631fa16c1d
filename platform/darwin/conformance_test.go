//go:build darwin

package darwin

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/conformance"
	"kpm/platform/darwin/confined"
	"kpm/platform/none"
	"kpm/trust/reader"
)

// conformanceHelper tells the suite's programs where keeperlaunch is.
const conformanceHelper = "KPM_CONFORMANCE_HELPER"

// ground is where the suite of every platform runs here. It needs root, and a
// directory that root alone can change.
func ground(helper string) conformance.Ground {
	return conformance.Ground{
		Host: func() (port.Host, error) {
			host := none.Host(Facts())
			host.Tree, host.Terminals = NewTree(), Terminals{}
			launcher, err := NewLauncher(helper, filepath.Dir(helper), 2)
			if err != nil {
				return port.Host{}, err
			}
			host.Launcher, host.Close = launcher, launcher.Close
			return host, nil
		},
		Self:     NewTree().Self,
		As:       core.Identity{Account: core.Account{User: "0", Name: "root", Group: "0", Groups: []string{"0"}}},
		Handle:   Files{}.Locate,
		Env:      append(Facts().BaseEnvironment, "KEEPER_REQUEST_ID="+helper, conformanceHelper+"="+helper),
		Launches: 200,
		Sheds:    true,
		Inheritable: func(f *os.File) (uintptr, error) {
			_, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, 0)
			return f.Fd(), err
		},
		Open: func() (int, error) {
			entries, err := os.ReadDir("/dev/fd")
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
		NotShown: map[string]string{"what was sealed runs": notByHandle},
	}
}

func TestMain(m *testing.M) {
	conformance.Main(ground(os.Getenv(conformanceHelper)))
	os.Exit(m.Run())
}

func TestConformance(t *testing.T) {
	dir, err := os.MkdirTemp("/usr/local", "kpm-conformance-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	helper := filepath.Join(dir, "keeperlaunch")
	build := exec.Command("go", "build", "-trimpath", "-o", helper, "kpm/cmd/keeperlaunch")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Setenv(conformanceHelper, helper)
	conformance.Run(t, ground(helper))
}

// A reader is confined as this version of macOS says, reads a file, and opens none.
func TestAReaderOnThisMac(t *testing.T) {
	dir, err := os.MkdirTemp("/usr/local", "kpm-reader-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // it is executed as its own user
		t.Fatal(err)
	}
	program := filepath.Join(dir, confined.Name)
	build := exec.Command("go", "build", "-trimpath", "-o", program, "kpm/cmd/keeperreader")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c := NewConfiner(program, dir)
	defer c.Close()
	pool, err := reader.NewPool(c, &reader.Bundle{}, reader.Limits{Most: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	f, err := os.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	facts, err := reader.Gather(Signatures{}, f)
	if err != nil {
		t.Fatal(err)
	}
	q := &reader.Question{Size: info.Size(), Now: time.Now(), Facts: facts, Protected: true}
	if v, err := pool.Read(t.Context(), f, q); err != nil || v.Format != "mach-o" {
		t.Errorf("%+v, %v", v, err)
	}
}

// What the tools of this Mac say is read as what others have published.
func TestThisMac(t *testing.T) {
	accounts := NewAccounts()
	root, err := accounts.ByID("0")
	if err != nil || root.Name != "root" || root.Shell == "" {
		t.Errorf("root is %+v, %v", root, err)
	}
	if again, err := accounts.ByName("root"); err != nil || fmt.Sprint(again) != fmt.Sprint(root) {
		t.Errorf("by name %+v, %v", again, err)
	}
	if names, err := accounts.GroupNames([]string{"0", "20"}); err != nil || len(names) != 2 {
		t.Errorf("groups are %v, %v", names, err)
	}
	if sessions, err := (Sessions{}).List(context.Background()); err != nil {
		t.Errorf("sessions are %v, %v", sessions, err)
	}
	own, err := (Peers{}).Program(NewTree().Self())
	if err != nil {
		t.Fatalf("this program: %v", err)
	}
	own.Close()
	codesign, err := (Files{}).Find("codesign")
	if err != nil {
		t.Fatal(err)
	}
	defer codesign.Close()
	if err := (Files{}).Protected(codesign); err != nil {
		t.Error(err)
	}
}
