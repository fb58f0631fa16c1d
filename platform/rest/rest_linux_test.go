//go:build linux

package rest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// mapped is what /proc/self/smaps says of a mapping, in kilobytes.
func mapped(t *testing.T, m mapping, key string) int {
	t.Helper()
	data, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut("\n"+string(data), fmt.Sprintf("\n%08x-%08x ", m.from, m.to))
	if !found {
		t.Fatalf("%x is not mapped", m.from)
	}
	_, rest, _ = strings.Cut(rest, "\n"+key+":")
	kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes
}

// whole has every page of the program mapped, and returns its mappings.
func whole(t *testing.T) []mapping {
	t.Helper()
	found, err := program()
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 2 {
		t.Fatalf("found %x, expected instructions and constants", found)
	}
	for _, m := range found {
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_POPULATE_READ); errno != 0 {
			t.Fatal(errno)
		}
	}
	return found
}

func TestOfTheProgramOnlyWhatIsUsedStays(t *testing.T) {
	var before, after int
	found := whole(t)
	for _, m := range found {
		before += mapped(t, m, "Rss")
	}
	new(Pace).GiveBack()
	for _, m := range found {
		after += mapped(t, m, "Rss")
	}
	if after >= before {
		t.Errorf("%d kB before, %d after", before, after)
	}
}

// A debugger's breakpoints are still there afterwards.
func TestAChangedPageStays(t *testing.T) {
	found := whole(t)
	memory, err := os.OpenFile("/proc/self/mem", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	// What a debugger does, but for what it writes.
	same := make([]byte, 1)
	if _, err := memory.ReadAt(same, int64(found[0].from)); err != nil {
		t.Fatal(err)
	}
	if _, err := memory.WriteAt(same, int64(found[0].from)); err != nil {
		t.Fatal(err)
	}
	if kilobytes := mapped(t, found[0], "Anonymous"); kilobytes == 0 {
		t.Fatal("the page is still the file's")
	}
	before := mapped(t, found[0], "Anonymous")
	new(Pace).GiveBack()
	if after := mapped(t, found[0], "Anonymous"); after != before {
		t.Errorf("%d kB of its own before, %d after", before, after)
	}
}
