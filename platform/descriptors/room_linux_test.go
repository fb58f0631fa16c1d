package descriptors

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// size returns for how many open files this process's table has room.
func size(t *testing.T) (n int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "FDSize:")
	if _, err := fmt.Sscan(after, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// open returns which files this process has open.
func open(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestThereIsRoomForAsManyAsAreAskedFor(t *testing.T) {
	n, before := 2*size(t), len(open(t))
	Room(n)
	if got := size(t); got < n {
		t.Errorf("there is room for %d open files, expected %d", got, n)
	}
	if after := open(t); len(after) != before {
		t.Errorf("%d files are open where %d were: %v", len(after), before, after)
	}
}

func TestThereIsRoomForNoMoreThanMayBeOpen(t *testing.T) {
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	most := uint64(2 * size(t))
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: most, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
			t.Error(err)
		}
	}()
	Room(int(2 * most))
	if got := size(t); uint64(got) != most {
		t.Errorf("there is room for %d open files, expected %d", got, most)
	}
}
