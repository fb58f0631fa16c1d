//go:build linux

package linux

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

func TestLockIsHeldByOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "service.lock")
	first, err := Files{}.Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (Files{}).Lock(path); err == nil || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("a second lock: %v, expected an error that names pid %d", err, os.Getpid())
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Files{}.Lock(path)
	if err != nil {
		t.Fatalf("after the first was given back: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestLockFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	if err := os.WriteFile(target, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "service.lock")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if _, err := (Files{}).Lock(link); err == nil {
		t.Error("a symbolic link was taken for the lock file")
	}
	if data, _ := os.ReadFile(target); string(data) != "precious" {
		t.Errorf("the link's target became %q", data)
	}
}

// zombie returns a process that has ended and that nobody has waited for.
func zombie(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("/bin/true")
	must(t, cmd.Start())
	t.Cleanup(func() { cmd.Wait() })
	eventually(t, "it has ended", func() bool { return isDead(cmd.Process.Pid) })
	return cmd.Process.Pid
}

// The last threads of a dead service may still have its files open. Of those
// who start in its place one gets the lock.
func TestLockOfADeadProcessIsTaken(t *testing.T) {
	for name, holder := range map[string]int{"dead": zombie(t), "alive": os.Getpid(), "gone": 0, "not a process": 1 << 30} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "service.lock")
			held, err := Files{}.Lock(path)
			must(t, err)
			defer held.Close()
			must(t, os.WriteFile(path, []byte(strconv.Itoa(holder)), 0o600))
			locks := make(chan io.Closer, 8)
			var all sync.WaitGroup
			for range cap(locks) {
				all.Go(func() {
					if lock, err := (Files{}).Lock(path); err == nil {
						locks <- lock
					}
				})
			}
			all.Wait()
			close(locks)
			want := 0
			if name == "dead" {
				want = 1
			}
			if len(locks) != want {
				t.Errorf("%d locks were taken, expected %d", len(locks), want)
			}
			for lock := range locks {
				must(t, lock.Close())
			}
		})
	}
}
