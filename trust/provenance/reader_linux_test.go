package provenance

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"kpm/core"
	"kpm/trust/openpgp"
	"kpm/trust/reader"
)

// signable is a script that has to be read to know whether it is signed.
const signable = "#!/bin/sh\n# SIG # Begin signature block\n"

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
	path := w.write("script", []byte(signable))
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
	for content, format := range map[string]string{"\x7fELF tool": "elf", "#!/bin/sh\necho sig SI G\n": "script"} {
		if p := w.provenance(v, w.write("tool", []byte(content))); p.Format != format || len(read.asked) != 0 {
			t.Errorf("%q: %+v after %d questions", content, p, len(read.asked))
		}
	}
	// Attack: a reader that was taken over calls another file one.
	if _, err := v.Provenance(t.Context(), w.open(w.write("script", []byte(signable))), nil); !errors.Is(err, reader.ErrAnswer) {
		t.Errorf("a script is ELF: %v", err)
	}
	w.system.attributes = map[string][]byte{"security.ima": {1}}
	read.asked = nil
	if p := w.provenance(v, w.write("labelled", []byte("\x7fELF tool"))); p.Format != "elf" || len(read.asked) != 1 {
		t.Errorf("%+v after %d questions", p, len(read.asked))
	}
}

// Whatever could be signed, or listed by a catalog, is read.
func TestScriptsThatNeedAReader(t *testing.T) {
	const plain = "#!/bin/sh\n"
	for name, c := range map[string]struct {
		content  string
		catalogs bool
		sidecar  string
	}{
		"a block":              {content: signable},
		"a block in UTF-16":    {content: plain + "#\x00 \x00S\x00I\x00G\x00"},
		"another language":     {content: "echo hello\n"},
		"too large to look at": {content: plain + strings.Repeat("#", reader.MaxPlain)},
		"catalogs are trusted": {content: plain, catalogs: true},
		"a detached signature": {content: plain, sidecar: "tool.asc"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			read := &answering{verdict: reader.Verdict{Format: "script"}}
			v := NewVerifier(Config{Files: w.files, System: w.system}, &Trusted{Reader: read, Catalogs: c.catalogs, OpenPGP: &openpgp.Keyring{}})
			if c.sidecar != "" {
				w.write(c.sidecar, []byte("signature"))
			}
			w.provenance(v, w.write("tool", []byte(c.content)))
			if len(read.asked) != 1 {
				t.Errorf("%d questions", len(read.asked))
			}
		})
	}
}

// A reader may read another file only after one that an administrator alone can
// change, and never after a copy of somebody's own.
func TestWhatAReaderIsToldToForget(t *testing.T) {
	w := newWorld(t)
	read := &answering{verdict: reader.Verdict{Format: "script"}}
	v := NewVerifier(Config{Files: w.files, System: w.system}, &Trusted{Reader: read})
	own, theirs := w.write("own", []byte(signable)), w.write("theirs", []byte(signable))
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
	program := w.write("tool", []byte(signable))
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
	if p := w.provenance(v, w.write("script", []byte(signable))); p.Format != "other" || len(p.Evidence) != 0 {
		t.Errorf("%+v", p)
	}
}
