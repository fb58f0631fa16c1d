//go:build linux

package platform_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The ports of this machine together do what one elevation needs: find a
// program, protected, start it as somebody else and see it end.
func TestHost(t *testing.T) {
	root := t.TempDir()
	helper := filepath.Join(root, "keeperlaunch")
	build := exec.Command("go", "build", "-o", helper, "kpm/cmd/keeperlaunch")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	host, err := platform.New(platform.Options{AgentRoot: root + "/", Helper: helper, Spare: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := host.Files.ProtectedRoot(root); err != nil {
		t.Errorf("the agent root: %v", err)
	}
	found, err := host.Files.LocateProtected(helper)
	if err != nil {
		t.Errorf("the agent root's own programs: %v", err)
	} else {
		found.Close()
	}

	program, err := host.Files.Find("true")
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	if err := host.Files.Protected(program); err != nil {
		t.Error(err)
	}
	account, err := host.Accounts.ByName("nobody")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := host.Files.Locate("/")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	ctx := context.Background()
	held, err := host.Launcher.Prepare(ctx, port.LaunchSpec{
		Executable: program, Argv: []string{"true"}, Dir: dir, As: core.Identity{RunAs: core.AsUser, Account: account},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !host.Tree.Alive(held.ID()) {
		t.Error("the held child is not alive")
	}
	process, err := held.Release(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if status, err := process.Wait(ctx); err != nil || status != (core.ExitStatus{}) {
		t.Errorf("ended with %+v, %v", status, err)
	}
}

// Only root is a service.
func TestWhoMayBeAService(t *testing.T) {
	if files, err := platform.Prepare("/"); err != nil || files == nil {
		t.Errorf("root: %v, %v", files, err)
	}
	if err := syscall.Seteuid(65534); err != nil {
		t.Fatal(err)
	}
	files, err := platform.Prepare("/")
	if err := syscall.Seteuid(0); err != nil {
		t.Fatal(err)
	}
	if err == nil || files != nil || !strings.Contains(err.Error(), "uid 65534") {
		t.Errorf("nobody: %v, %v", files, err)
	}
}

func TestHostWithoutItsHelper(t *testing.T) {
	if _, err := platform.New(platform.Options{Helper: filepath.Join(t.TempDir(), "none"), Spare: 1}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, expected fs.ErrNotExist", err)
	}
}
