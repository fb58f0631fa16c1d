package launcher

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/wire"
)

// swapRounds is how often each attack is tried, on a binary and on a script.
const swapRounds = 500

// attack puts evil bytes where the good ones were approved.
type attack struct {
	name string
	// set makes the file what it says; called from two goroutines in turn.
	prepare func(t *testing.T, path string, good, evil []byte) (set func(evil bool), end func())
}

// attacks are what the owner of a file can do to it between the decision and
// the launch (CVE-2005-1993, CVE-2021-3969).
var attacks = []attack{
	{"rename", func(t *testing.T, path string, good, evil []byte) (func(bool), func()) {
		return func(bad bool) {
			data := good
			if bad {
				data = evil
			}
			if err := os.WriteFile(path+".next", data, 0o755); err != nil {
				t.Error(err)
			}
			if err := os.Rename(path+".next", path); err != nil {
				t.Error(err)
			}
		}, func() {}
	}},
	{"write in place", func(t *testing.T, path string, good, evil []byte) (func(bool), func()) {
		return func(bad bool) {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return // ETXTBSY would be an answer too
			}
			defer f.Close()
			if bad {
				f.WriteAt(evil, 0)
			} else {
				f.WriteAt(good, 0)
			}
		}, func() {}
	}},
	{"open writer", func(t *testing.T, path string, good, evil []byte) (func(bool), func()) {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		return func(bad bool) {
			if bad {
				f.WriteAt(evil, 0)
			} else {
				f.WriteAt(good, 0)
			}
		}, func() { f.Close() }
	}},
	{"mapped write", func(t *testing.T, path string, good, evil []byte) (func(bool), func()) {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		memory, err := unix.Mmap(int(f.Fd()), 0, len(good), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			t.Fatal(err)
		}
		return func(bad bool) {
			if bad {
				copy(memory, evil)
			} else {
				copy(memory, good)
			}
		}, func() { unix.Munmap(memory) }
	}},
}

// pad makes two programs the same length.
func pad(a, b []byte) ([]byte, []byte) {
	n := max(len(a), len(b))
	return append(a, make([]byte, n-len(a))...), append(b, make([]byte, n-len(b))...)
}

// What was decided is what is launched: policy allows the good program by its
// hash, the owner turns it into the evil one all the time, and surely between
// decision and launch. The good one says 0, the evil one says 1.
func TestWhatWasDecidedIsWhatRuns(t *testing.T) {
	read := func(path string) []byte {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	trueBinary, falseBinary := pad(read("/usr/bin/true"), read("/usr/bin/false"))
	programs := map[string][2][]byte{
		"binary": {trueBinary, falseBinary},
		"script": {[]byte("#!/bin/sh\nexit 0\n"), []byte("#!/bin/sh\nexit 1\n")},
	}
	for kind, bytes := range programs {
		for _, a := range attacks {
			t.Run(kind+", "+a.name, func(t *testing.T) {
				swap(t, a, bytes[0], bytes[1])
			})
		}
	}
}

func swap(t *testing.T, a attack, good, evil []byte) {
	m := startMachine(t)
	path := m.write(t, "home/program", string(good), 0o755, 65534)
	set, end := a.prepare(t, path, good, evil)
	defer end()
	sum := sha256.Sum256(good)
	approved := hex.EncodeToString(sum[:])
	var turn sync.Mutex
	m.decide = func(q wire.PolicyRequest) core.Outcome {
		turn.Lock()
		defer turn.Unlock()
		set(true) // it is sealed by now
		if q.FileHash == approved {
			return core.Allow
		}
		return core.Deny
	}
	ran, denied := 0, 0
	for range swapRounds {
		turn.Lock()
		set(false)
		turn.Unlock()
		racing := make(chan struct{})
		go func() { // while it is sealed
			defer close(racing)
			turn.Lock()
			defer turn.Unlock()
			set(true)
			set(false)
		}()
		r, _, err := m.run(call{command: path})
		<-racing
		switch {
		case err != nil: // between two renames
		case r.Refused != nil:
			denied++
		case r.Exit.Code != 0 || r.Exit.Signal != 0:
			t.Fatalf("the program that ran is not the one that was allowed: %+v", r.Exit)
		default:
			ran++
		}
	}
	if ran == 0 {
		t.Error("nothing ran")
	}
	t.Logf("%d ran, %d were denied", ran, denied)
	if entries, err := os.ReadDir(filepath.Join(m.root, "run/exec")); err != nil || len(entries) != 0 {
		t.Errorf("%d copies are left (%v)", len(entries), err)
	}
}
