package launcher

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/port"
)

// signatures knows who has signed which bytes, and remembers what it was asked.
type signatures struct {
	signers map[string]string // by content
	err     error

	mu              sync.Mutex
	content, origin string
}

func (s *signatures) Provenance(_ context.Context, f, origin *os.File) (core.Provenance, error) {
	data, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<20))
	if err = errors.Join(err, s.err); err != nil {
		return core.Provenance{}, err
	}
	s.mu.Lock()
	s.content, s.origin = string(data), origin.Name()
	s.mu.Unlock()
	signer, ok := s.signers[string(data)]
	if !ok {
		return core.Provenance{}, nil
	}
	return core.Provenance{Evidence: []core.Evidence{{Rank: core.RankSigned, Standing: core.Trusted, Signer: signer}}}, nil
}

func TestPolicyHearsWhoHasSignedTheBytesThatWillRun(t *testing.T) {
	s := &signatures{signers: map[string]string{"\x7fELF tool": "Contoso", "\x7fELF mine": "Me"}}
	w := newWorld(t, func(w *world, _ *Config) { w.seals.Signatures = s })
	for _, c := range []struct {
		command, origin string
		signers         []core.Signer
	}{
		{"bin/tool", "bin/tool", []core.Signer{{Subject: "Contoso"}}},
		{"bin/sh", "bin/sh", nil},
		// Of a private copy the bytes count, and the original's attributes.
		{"home/mine", "home/mine", []core.Signer{{Subject: "Me"}}},
	} {
		v := w.elevate(w.submission(w.path(c.command)))
		if diff := cmp.Diff(c.signers, v.asked.Signers); diff != "" || !v.asked.SignersKnown {
			t.Errorf("%s: known %v, %s", c.command, v.asked.SignersKnown, diff)
		}
		if s.origin != w.path(c.origin) {
			t.Errorf("%s: attributes of %s", c.command, s.origin)
		}
		v.answer(core.Deny)
		v.refused()
	}
	program := w.records()[0].Program
	if diff := cmp.Diff([]core.Signer{{Subject: "Contoso"}}, program.Signers); diff != "" {
		t.Errorf("recorded: %s", diff)
	}
}

func TestWhoseSignaturesCannotBeReadIsNotRun(t *testing.T) {
	w := newWorld(t, func(w *world, _ *Config) { w.seals.Signatures = &signatures{err: errors.New("read error")} })
	v := w.begin(w.submission("tool"))
	if r := v.refused(); r.Code != door.CodeFailed {
		t.Errorf("refused with %+v", r)
	}
}

// fed gives the digest a pipe to read, which ends once signatures are read.
type fed struct {
	port.Files
	digest, end *os.File
	opened      atomic.Bool
}

func (f *fed) Open(h *os.File) (*os.File, error) {
	if f.opened.Swap(true) {
		return f.Files.Open(h)
	}
	return f.digest, nil
}

func (f *fed) Provenance(context.Context, *os.File, *os.File) (core.Provenance, error) {
	return core.Provenance{}, f.end.Close()
}

func TestDigestAndSignaturesAreReadSideBySide(t *testing.T) {
	w := newWorld(t, func(w *world, _ *Config) {
		r, end, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		f := &fed{Files: w.seals.Files, digest: r, end: end}
		w.seals.Files, w.seals.Signatures = f, f
	})
	v := w.elevate(w.submission("tool"))
	if !v.asked.SignersKnown || v.asked.FileHash != fmt.Sprintf("%x", sha256.Sum256(nil)) {
		t.Errorf("asked with %+v", v.asked)
	}
	v.answer(core.Deny)
	v.refused()
}

func TestWithoutAnyoneToTrustNobodyLooks(t *testing.T) {
	w := newWorld(t)
	v := w.elevate(w.submission("tool"))
	if v.asked.SignersKnown || v.asked.Signers != nil {
		t.Errorf("asked with %+v", v.asked.Signers)
	}
	v.answer(core.Deny)
	v.refused()
}

type admission struct{ refuses string }

func (g admission) Admit(_ context.Context, as core.Principal, f *os.File) error {
	head := make([]byte, 4)
	if _, err := f.ReadAt(head, 0); err != nil {
		return err
	}
	if as.Name == g.refuses {
		return errors.New("no trusted signature")
	}
	return nil
}

func TestAdmissionKeepsProgramsOutOfTheService(t *testing.T) {
	w := newWorld(t, func(w *world, _ *Config) { w.starts.Admission = admission{"Rogue"} })
	spec := core.ServiceSpec{As: core.Principal{Kind: core.Plugin, Name: "Rogue"}, Path: w.path("bin/tool"), Argv: []string{"tool"}, Dir: w.dir}
	_, err := w.starter.StartService(t.Context(), spec)
	if err == nil || !strings.Contains(err.Error(), w.path("bin/tool")+": no trusted signature") {
		t.Errorf("got %v", err)
	}
	if len(w.launch.held) != 0 {
		t.Error("a process was prepared for it")
	}
	spec.As.Name = "Known"
	if _, err := w.starter.StartService(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	w.launch.last().process.exit(core.ExitStatus{})
}

// Attack: what takes long to judge is asked for many times at once. The caller's
// other requests wait, and nobody else's do.
func TestOneUserKeepsNobodyFromBeingJudged(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, func(w *world, _ *Config) { w.seals.Signatures = &signatures{} })
		judged, err := w.seals.Judging.Take(t.Context(), "1000", 1)
		if err != nil {
			t.Fatal(err)
		}
		waiting := w.begin(w.submission("tool"))
		other := w.submission("tool")
		other.Peer.User = "0"
		v := w.elevate(other)
		v.answer(core.Deny)
		v.refused()
		judged.Release()
		waiting.asked = <-w.bus.asks
		waiting.id = waiting.asked.RequestID
		waiting.answer(core.Deny)
		waiting.refused()

		if judged, err = w.seals.Judging.Take(t.Context(), "1000", 1); err != nil {
			t.Fatal(err)
		}
		if r := w.begin(w.submission("tool")).refused(); r.Code != door.CodeUnavailable {
			t.Errorf("whose turn does not come: %+v", r)
		}
		judged.Release()
		synctest.Wait()
		if w.seals.Judging.Taken() != 0 {
			t.Errorf("%d slots are left", w.seals.Judging.Taken())
		}
	})
}
