package conformance

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/signal"
)

// shown collects what a terminal shows until text is there.
func shown(t *testing.T, r io.Reader, text string) string {
	t.Helper()
	var all strings.Builder
	for b := make([]byte, 4096); !strings.Contains(all.String(), text); {
		n, err := r.Read(b)
		all.Write(b[:n])
		if err != nil {
			t.Fatalf("the terminal showed %q and then %v; expected %q", all.String(), err, text)
		}
	}
	return all.String()
}

func terminal(t *testing.T, b *bench) {
	made, err := b.Terminals.Open(b.As)
	must(t, err)
	defer made.Close()
	must(t, made.Resize(33, 111))
	spec := b.spec("terminal")
	spec.Terminal = made
	p, _ := b.launch(spec)
	var ends []*os.File
	must(t, made.HandOver(func(files ...*os.File) error {
		for _, f := range files {
			end, err := b.Duplicate(f)
			must(t, err)
			defer t.Cleanup(func() { end.Close() })
			ends = append(ends, end)
		}
		return nil
	}))
	if err := made.Resize(1, 1); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("the size can be set after the terminal was handed over: %v", err)
	}
	typed, screen := b.Ends(ends)
	shown(t, screen, "size 33 111")
	_, err = typed.WriteString("hello\r")
	must(t, err)
	shown(t, screen, "typed hello.")
	go io.Copy(io.Discard, screen)
	if status := b.end(p); status.Code != 0 {
		t.Errorf("%+v", status)
	}
}

func hungUp(t *testing.T, b *bench) {
	made, err := b.Terminals.Open(b.As)
	must(t, err)
	spec := b.spec("terminal")
	spec.Terminal = made
	p, h := b.launch(spec)
	must(t, made.Close())
	must(t, made.Close())
	b.end(p) // it waits for a line that nobody can type any more
	eventually(t, "the group is empty", func() bool { return b.Tree.Empty(h.ID(), h.Group()) })
	spec.Terminal = made
	if _, err := b.Launcher.Prepare(t.Context(), spec); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a program gets a closed terminal: %v", err)
	}
}

// A program that listens hears of it.
func interrupt(t *testing.T, b *bench) {
	p, _, first, out := b.talking(b.spec("listen"))
	if first = strings.TrimSpace(first); first != "ready" {
		t.Fatalf("%q", first)
	}
	must(t, p.Signal(signal.Interrupt))
	rest, err := io.ReadAll(out)
	must(t, err)
	if status := b.end(p); strings.TrimSpace(string(rest)) != "told" || status.Code != 3 {
		t.Errorf("%q, %+v", rest, status)
	}
	if err := p.Signal(signal.Interrupt); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("a process that has ended: %v", err)
	}
	p, _, _, _ = b.talking(b.spec("stay"))
	if err := p.Signal(99); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("what cannot be told: %v", err)
	}
	must(t, p.Kill())
	b.end(p)
}

// What a program does not listen to ends it.
func stops(s signal.Signal) func(*testing.T, *bench) {
	return func(t *testing.T, b *bench) {
		p, _, _, _ := b.talking(b.spec("stay"))
		must(t, p.Signal(s))
		if status := b.end(p); status == (core.ExitStatus{}) {
			t.Error("it seems to have ended by itself")
		}
	}
}

func kill(t *testing.T, b *bench) {
	for how, end := range map[string]func(port.Process) error{
		"Signal": func(p port.Process) error { return p.Signal(signal.Kill) },
		"Kill":   port.Process.Kill,
	} {
		p, h, _, _ := b.talking(b.spec("stay"))
		must(t, end(p))
		if status := b.end(p); status != (core.ExitStatus{Signal: int(signal.Kill)}) {
			t.Errorf("%s: %+v", how, status)
		}
		if b.Tree.Alive(h.ID()) || !b.Tree.Empty(h.ID(), h.Group()) {
			t.Errorf("%s: something is left", how)
		}
		if err := p.Kill(); err != nil {
			t.Errorf("%s: killing it again: %v", how, err)
		}
	}
}

func wait(t *testing.T, b *bench) {
	p, _, _, _ := b.talking(b.spec("stay"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that was given up: %v", err)
	}
	must(t, p.Kill())
	if first, second := b.end(p), b.end(p); first != second {
		t.Errorf("%+v, and then %+v", first, second)
	}
}

// held prepares a program that would make a file.
func (b *bench) held() (port.Held, string) {
	b.t.Helper()
	path := filepath.Join(b.t.TempDir(), "made")
	h, err := b.Launcher.Prepare(b.t.Context(), b.spec("make", path))
	must(b.t, err)
	return h, path
}

func made(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Before its release, a program is known, and has not run.
func heldBack(t *testing.T, b *bench) {
	h, path := b.held()
	if alive, empty, member := b.Tree.Alive(h.ID()), b.Tree.Empty(h.ID(), h.Group()), b.member(h.ID(), h.Group(), h.ID()); !alive || empty || !member {
		t.Errorf("the held child: alive %v, its group empty %v, a member %v", alive, empty, member)
	}
	// Another program's whole life: this one had the time.
	p, _ := b.launch(b.spec("exit", "0"))
	b.end(p)
	if made(path) {
		t.Fatal("it has run")
	}
	p, err := h.Release(t.Context())
	must(t, err)
	if status := b.end(p); p.ID() != h.ID() || status.Code != 0 || !made(path) {
		t.Errorf("%v became %v: %+v, has run: %v", h.ID(), p.ID(), status, made(path))
	}
}

func discarded(t *testing.T, b *bench) {
	h, path := b.held()
	h.Discard()
	b.nothingLeft(h, path)
}

// nothingLeft is about what was given up.
func (b *bench) nothingLeft(h port.Held, path string) {
	b.t.Helper()
	if alive, empty, ran := b.Tree.Alive(h.ID()), b.Tree.Empty(h.ID(), h.Group()), made(path); alive || !empty || ran {
		b.t.Errorf("something is left of it: alive %v, its group empty %v, has run %v", alive, empty, ran)
	}
}

func releasedLate(t *testing.T, b *bench) {
	h, path := b.held()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Release(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	b.nothingLeft(h, path)
}
