package provenance

import (
	"context"
	"errors"
	"os"
	"testing"

	"kpm/core"
	"kpm/trust/openpgp"
	"kpm/trust/reader"
)

// answering is a Reader that answers whatever the test says.
type answering struct {
	verdict reader.Verdict
	err     error
	asked   []reader.Question
}

func (a *answering) Read(_ context.Context, _ *os.File, q *reader.Question) (reader.Verdict, error) {
	a.asked = append(a.asked, *q)
	return a.verdict, a.err
}

// A reader that fails costs this verdict: nothing is known of the file, and
// nothing is remembered.
func TestAReaderThatFails(t *testing.T) {
	w := newWorld(t)
	read := &answering{err: reader.ErrEnded}
	v := NewVerifier(Config{Files: w.files, System: w.system}, &Trusted{Reader: read})
	path := w.write("script", []byte("#!/bin/sh\n"))
	for range 2 {
		if p, err := v.Provenance(t.Context(), w.open(path), nil); !errors.Is(err, reader.ErrEnded) || p.Rank() != core.RankNone {
			t.Errorf("%+v, %v", p, err)
		}
	}
	read.err = nil
	read.verdict.Format = "script"
	if p := w.provenance(v, path); p.Format != "script" || len(read.asked) != 3 {
		t.Errorf("%+v after %d questions", p, len(read.asked))
	}
}

// What a file is that carries nothing, the service sees for itself.
func TestProgramsWithoutSignaturesNeedNoReader(t *testing.T) {
	w := newWorld(t)
	read := &answering{verdict: reader.Verdict{Format: "elf"}}
	v := NewVerifier(Config{Files: w.files, System: w.system}, &Trusted{Reader: read})
	if p := w.provenance(v, w.write("tool", []byte("\x7fELF tool"))); p.Format != "elf" || len(read.asked) != 0 {
		t.Errorf("%+v after %d questions", p, len(read.asked))
	}
	// Attack: a reader that was taken over calls another file one.
	if _, err := v.Provenance(t.Context(), w.open(w.write("script", []byte("#!/bin/sh\n"))), nil); !errors.Is(err, reader.ErrAnswer) {
		t.Errorf("a script is ELF: %v", err)
	}
	w.system.attributes = map[string][]byte{"security.ima": {1}}
	read.asked = nil
	if p := w.provenance(v, w.write("labelled", []byte("\x7fELF tool"))); p.Format != "elf" || len(read.asked) != 1 {
		t.Errorf("%+v after %d questions", p, len(read.asked))
	}
}

// A reader may read another file only after one that an administrator alone can
// change, and never after a copy of somebody's own.
func TestWhatAReaderIsToldToForget(t *testing.T) {
	w := newWorld(t)
	read := &answering{verdict: reader.Verdict{Format: "script"}}
	v := NewVerifier(Config{Files: w.files, System: w.system}, &Trusted{Reader: read})
	own, theirs := w.write("own", []byte("#!/bin/sh\n")), w.write("theirs", []byte("#!/bin/sh\n"))
	w.files.writable[theirs] = true
	w.provenance(v, own)
	w.provenance(v, theirs)
	if _, err := v.Provenance(t.Context(), w.open(own), w.open(theirs)); err != nil {
		t.Error(err)
	}
	for i, protected := range []bool{true, false, false} {
		if read.asked[i].Protected != protected {
			t.Errorf("question %d: protected is %v", i, read.asked[i].Protected)
		}
	}
}

// Attack: a program of root's has a detached signature beside it that a user can
// write. Whoever reads it is told so, and the verdict is forgotten.
func TestASignatureOfAUsersBesideAProgramOfRoots(t *testing.T) {
	w := newWorld(t)
	read := &answering{verdict: reader.Verdict{Format: "script"}}
	v := NewVerifier(Config{Files: w.files, System: w.system}, &Trusted{Reader: read, OpenPGP: &openpgp.Keyring{}})
	program := w.write("tool", []byte("#!/bin/sh\n"))
	for _, c := range []struct {
		sidecar  string
		writable bool
		safe     bool
	}{{"tool.asc", false, true}, {"tool.sig", true, false}} {
		v.Trust(v.state.Load().trusted) // forget
		read.asked = nil
		w.files.writable[w.write(c.sidecar, []byte("signature"))] = c.writable
		w.provenance(v, program)
		w.provenance(v, program)
		if want := map[bool]int{true: 1, false: 2}[c.safe]; len(read.asked) != want || read.asked[0].Protected != c.safe {
			t.Errorf("%s: asked %d times, protected is %v", c.sidecar, len(read.asked), read.asked[0].Protected)
		}
	}
}

// Without a way to read files safely nobody reads them, and packages go on.
func TestASystemThatCannotConfine(t *testing.T) {
	w := newWorld(t)
	v := NewVerifier(Config{Files: w.files, System: w.system}, &Trusted{Reader: &answering{err: errors.ErrUnsupported}})
	if p := w.provenance(v, w.write("script", []byte("#!/bin/sh\n"))); p.Format != "other" || len(p.Evidence) != 0 {
		t.Errorf("%+v", p)
	}
}
