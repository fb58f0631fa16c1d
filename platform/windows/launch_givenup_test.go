//go:build windows

package windows

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/windows"
)

// Whoever is about to have a helper when the launcher is closed has one that ends, or
// hears that it is closed.
func TestALauncherThatIsClosedMeanwhile(t *testing.T) {
	l, err := NewLauncher(helperPath(), 0)
	must(t, err)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			c, err := l.spawn(nil)
			if err != nil {
				if !errors.Is(err, errClosed) {
					t.Error(err)
				}
				return
			}
			<-c.done
		})
	}
	wait(t, "one is created", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return len(l.children) > 0 })
	must(t, l.Close())
	all.Wait()
	if c, err := l.spawn(nil); !errors.Is(err, errClosed) {
		t.Errorf("got %v, %v", c, err)
	}
}

// What nobody waits for any more does not run, and nothing is left of it, whether the
// helper has created the program by then or is about to.
func TestWhatNobodyWaitsForDoesNotRun(t *testing.T) {
	l := newLauncher(t)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 20 {
		path := filepath.Join(t.TempDir(), "made")
		h, err := l.Prepare(t.Context(), command(t, own(), "echo >"+path))
		must(t, err)
		time.Sleep(time.Duration(i) * 3 * time.Millisecond) // a program is created within 30 ms or so
		if _, err := h.Release(gone); !errors.Is(err, context.Canceled) {
			t.Errorf("after %d ms: %v", 3*i, err)
		}
		tree := wineTree{l.tree}
		if alive, empty := tree.Alive(h.ID()), tree.Empty(h.ID(), h.Group()); alive || !empty {
			t.Errorf("something is left of what was given up after %d ms: alive %v, its group empty %v", 3*i, alive, empty)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("what was given up after %d ms has run", 3*i)
		}
	}
}

// A program that its helper has created and not let run ends with the helper, whatever
// that ends by.
func TestAProgramThatWasNotLetRunEndsWithItsHelper(t *testing.T) {
	l := newLauncher(t)
	h, err := l.Prepare(t.Context(), command(t, own(), "exit", "0"))
	must(t, err)
	job, err := openJob(h.Group(), jobQuery)
	must(t, err)
	defer windows.CloseHandle(job)
	wait(t, "it is created", func() bool { n, err := runnableIn(job); return err == nil && n == 2 })
	helper, err := windows.OpenProcess(windows.PROCESS_TERMINATE, false, uint32(h.ID().PID))
	must(t, err)
	defer windows.CloseHandle(helper)
	must(t, windows.TerminateProcess(helper, 1))
	wait(t, "nothing is left", func() bool { n, err := activeIn(job); return err == nil && n == 0 })
	if p, err := h.Release(t.Context()); err == nil {
		t.Errorf("released: %v", p.ID())
	}
}
