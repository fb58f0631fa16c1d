package reader

import (
	"bytes"
	"crypto"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kpm/core"
	"kpm/core/port"
)

// signed is evidence with everything that evidence can have.
func signed() core.Evidence {
	at := time.Date(2026, 11, 21, 12, 0, 0, 123456789, time.UTC)
	return core.Evidence{
		Kind: core.KindAuthenticode, Rank: core.RankSigned, Standing: core.Trusted, Reason: "a trusted signer has signed it", Signer: "Größe 漢",
		Chain: []core.Certificate{{
			Subject: "CN=x", Issuer: "CN=y", Serial: "-1f", SHA1: strings.Repeat("0a", 20), SHA256: strings.Repeat("1b", 32), SPKI: strings.Repeat("2c", 32),
			NotBefore: at.Add(-time.Hour), NotAfter: at.Add(time.Hour),
		}},
		KeyID: "abcd", Identifier: "id", TeamID: "TEAM", Digest: "SHA-256", SignedAt: at, TimeStamp: "rfc3161",
		Checks: []core.Check{{Name: "file digest", Outcome: core.Passed, Detail: "d"}, {Name: "revocation", Outcome: core.NotChecked}},
	}
}

func TestVerdictsArriveAsTheyWereGiven(t *testing.T) {
	for _, v := range []Verdict{
		{Format: "other"},
		{Format: "pe", Evidence: []core.Evidence{signed(), {Kind: core.KindIMA, Rank: core.RankSigned, Reason: "malformed"}}},
	} {
		got, err := decodeVerdict(v.encode())
		if diff := cmp.Diff(v, got); err != nil || diff != "" {
			t.Errorf("%v, %s", err, diff)
		}
	}
}

// Attack: a reader that was taken over says what no reader has to say.
func TestWhatAReaderMayNotSay(t *testing.T) {
	for name, spoil := range map[string]func(v *Verdict, e *core.Evidence){
		"a package":                    func(_ *Verdict, e *core.Evidence) { e.Kind = core.KindDPKG },
		"a signed package":             func(_ *Verdict, e *core.Evidence) { e.Kind = core.KindRPM },
		"the operating system":         func(_ *Verdict, e *core.Evidence) { e.Kind = core.KindSystem },
		"a catalog of the system's":    func(_ *Verdict, e *core.Evidence) { e.Kind = core.KindSystemCatalog },
		"a kind that there is not":     func(_ *Verdict, e *core.Evidence) { e.Kind = "oracle" },
		"another rank":                 func(_ *Verdict, e *core.Evidence) { e.Rank = core.RankRecorded },
		"a rank that there is not":     func(_ *Verdict, e *core.Evidence) { e.Rank = core.RankSigned + 1 },
		"a standing that there is not": func(_ *Verdict, e *core.Evidence) { e.Standing = core.Trusted + 1 },
		"signed by nobody":             func(_ *Verdict, e *core.Evidence) { e.Chain, e.KeyID = nil, "" },
		"a format that there is not":   func(v *Verdict, _ *core.Evidence) { v.Format = "exe" },
		"a line break":                 func(_ *Verdict, e *core.Evidence) { e.Reason = "fine\n  rank signed" },
		"an escape sequence":           func(_ *Verdict, e *core.Evidence) { e.Signer = "\x1b[2J" },
		"no UTF-8":                     func(_ *Verdict, e *core.Evidence) { e.Chain[0].Subject = "\xff" },
		"a digest that is none":        func(_ *Verdict, e *core.Evidence) { e.Chain[0].SPKI = "spki" },
		"a digest cut short":           func(_ *Verdict, e *core.Evidence) { e.Chain[0].SHA256 = "1b" },
		"a long text":                  func(_ *Verdict, e *core.Evidence) { e.Reason = strings.Repeat("x", maxText+1) },
		"a long chain":                 func(_ *Verdict, e *core.Evidence) { e.Chain = make([]core.Certificate, maxChain+1) },
		"many checks":                  func(_ *Verdict, e *core.Evidence) { e.Checks = make([]core.Check, maxChecks+1) },
		"an outcome that there is not": func(_ *Verdict, e *core.Evidence) { e.Checks[0].Outcome = "maybe" },
		"much evidence":                func(v *Verdict, e *core.Evidence) { v.Evidence = make([]core.Evidence, maxEvidence+1) },
		"a date beyond all dates":      func(_ *Verdict, e *core.Evidence) { e.SignedAt = time.Unix(lastSecond, 0) },
	} {
		v := Verdict{Format: "pe", Evidence: []core.Evidence{signed()}}
		spoil(&v, &v.Evidence[0])
		if _, err := decodeVerdict(v.encode()); !errors.Is(err, errMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	whole := (&Verdict{Format: "pe", Evidence: []core.Evidence{signed()}}).encode()
	for n := range whole {
		if _, err := decodeVerdict(whole[:n]); !errors.Is(err, errMalformed) {
			t.Fatalf("%d of %d bytes: %v", n, len(whole), err)
		}
	}
	if _, err := decodeVerdict(append(whole, 0)); !errors.Is(err, errMalformed) {
		t.Errorf("one byte more: %v", err)
	}
}

// Attack: evidence about what the service did not find, or has not asked about.
func TestAnswersAreAboutWhatWasAsked(t *testing.T) {
	carries := Facts{attributes: []attribute{{attributeIMA, []byte{1}, answer{outcome: present}}}}
	for _, c := range []struct {
		kind, format string
		q            Question
		ok           bool
	}{
		{core.KindIMA, "other", Question{}, false},
		{core.KindEVM, "other", Question{}, false},
		{core.KindVerity, "other", Question{}, false},
		{core.KindIMA, "other", Question{Facts: carries}, true},
		{core.KindOpenPGP, "other", Question{}, false},
		{core.KindOpenPGP, "other", Question{Detached: [][]byte{{1}}}, true},
		{core.KindMachO, "pe", Question{}, false},
		{core.KindMachO, "mach-o", Question{}, true},
		{core.KindAuthenticode, "pe", Question{}, true},
	} {
		v := Verdict{Format: c.format, Evidence: []core.Evidence{{Kind: c.kind}}}
		if err := v.answers(&c.q); (err == nil) != c.ok {
			t.Errorf("%s in %s: %v", c.kind, c.format, err)
		}
	}
}

// Whatever a file says of its signers can be shown and sent.
func TestTextsAreMadeFit(t *testing.T) {
	for _, s := range []string{"", "plain", "a\nb", "\xff\xfe", strings.Repeat("x", 10*maxText), strings.Repeat("\xff", maxText), strings.Repeat("漢", maxText)} {
		e := signed()
		e.Reason, e.Signer, e.Chain[0].Issuer, e.Checks[0].Detail = s, s, s, s
		v := Verdict{Format: "pe", Evidence: []core.Evidence{e}}
		v.Clean()
		if _, err := decodeVerdict(v.encode()); err != nil {
			t.Errorf("%.20q: %v", s, err)
		}
	}
}

// system is an operating system whose answers a test sets.
type system struct {
	port.SystemSignatures
	attributes map[string][]byte
	faults     map[string]error // by attribute; "verity", "node"
}

func (s system) Attribute(_ *os.File, name string) ([]byte, error) {
	if err := s.faults[name]; err != nil {
		return nil, err
	}
	if value, ok := s.attributes[name]; ok {
		return value, nil
	}
	return nil, port.ErrNoAttribute
}

func (s system) Verity(*os.File) (port.Verity, error) {
	return port.Verity{Hash: crypto.SHA256, Digest: []byte{1}, BlockSize: 4096, Salt: []byte{}, Signature: []byte{2}}, s.faults["verity"]
}

func (s system) Node(*os.File) (port.Node, error) {
	return port.Node{Inode: 1 << 63, Generation: 2, UID: 3, GID: 4, Mode: 5, UUID: []byte{6}}, s.faults["node"]
}

// What the system says in the service is what a reader is told it says.
func TestFactsAreTheSystems(t *testing.T) {
	broken := errors.New("input/output error")
	for name, s := range map[string]system{
		"everything": {attributes: map[string][]byte{attributeIMA: {}, attributeEVM: {1}, "security.selinux": []byte("label")}},
		"nothing":    {faults: map[string]error{"verity": port.ErrNoAttribute}},
		"a node that is not told": {attributes: map[string][]byte{attributeEVM: {1}},
			faults: map[string]error{"node": errors.ErrUnsupported, "verity": errors.ErrUnsupported}},
		"what only matters to a signature": {attributes: map[string][]byte{attributeEVM: {1}}, faults: map[string]error{"security.apparmor": broken, "node": broken}},
	} {
		facts, err := Gather(s, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		q := Question{Size: 7, Now: time.Unix(1, 2).UTC(), Facts: facts, Detached: [][]byte{{}, {1}}}
		message, err := q.encode()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := decodeQuestion(message)
		if err != nil || got.Size != q.Size || !got.Now.Equal(q.Now) || len(got.Detached) != 2 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if got.Facts.Empty() != (name == "nothing") {
			t.Errorf("%s: empty is %v", name, got.Facts.Empty())
		}
		for _, attribute := range append([]string{attributeIMA, attributeEVM}, covered[:]...) {
			if s.attributes[attributeEVM] == nil && attribute != attributeIMA && attribute != attributeEVM {
				continue
			}
			want, wantErr := s.Attribute(nil, attribute)
			value, err := got.Facts.Attribute(nil, attribute)
			if !bytes.Equal(value, want) || !sameFault(err, wantErr) {
				t.Errorf("%s: %s is %q, %v; expected %q, %v", name, attribute, value, err, want, wantErr)
			}
		}
		wantVerity, wantErr := s.Verity(nil)
		verity, err := got.Facts.Verity(nil)
		if diff := cmp.Diff(wantVerity, verity); diff != "" || !sameFault(err, wantErr) {
			t.Errorf("%s: fs-verity: %v, %s", name, err, diff)
		}
		if s.attributes[attributeEVM] == nil {
			continue
		}
		wantNode, wantErr := s.Node(nil)
		node, err := got.Facts.Node(nil)
		if diff := cmp.Diff(wantNode, node); diff != "" || !sameFault(err, wantErr) {
			t.Errorf("%s: inode: %v, %s", name, err, diff)
		}
	}
	for _, what := range []string{attributeIMA, attributeEVM, "verity"} {
		if _, err := Gather(system{faults: map[string]error{what: broken}}, nil); !errors.Is(err, broken) {
			t.Errorf("%s cannot be read: %v", what, err)
		}
	}
	if _, err := (&Facts{}).Attribute(nil, attributeIMA); err == nil || errors.Is(err, port.ErrNoAttribute) {
		t.Errorf("what was not asked about: %v", err)
	}
}

func sameFault(a, b error) bool {
	if b == nil || errors.Is(b, port.ErrNoAttribute) || errors.Is(b, errors.ErrUnsupported) {
		return errors.Is(a, b)
	}
	return a != nil && a.Error() == b.Error() && !errors.Is(a, port.ErrNoAttribute) && !errors.Is(a, errors.ErrUnsupported)
}

func TestWhatIsTooMuchIsRefused(t *testing.T) {
	for name, q := range map[string]Question{
		"a long signature":     {Detached: [][]byte{make([]byte, maxSignature+1)}},
		"three signatures":     {Detached: [][]byte{{}, {}, {}}},
		"a long attribute":     {Facts: Facts{attributes: []attribute{{"x", make([]byte, maxAttribute+1), answer{}}}}},
		"a size that is none":  {Size: -1},
		"a year 10000 problem": {Now: time.Unix(lastSecond, 0)},
	} {
		if _, err := q.encode(); err == nil {
			t.Errorf("%s is asked about", name)
		}
	}
	if _, err := (&Bundle{Sources: []Source{{Data: make([]byte, MaxBundle+1)}}}).encode(); err == nil {
		t.Error("a bundle is too large")
	}
}

// Attack: a length that is claimed costs memory.
func TestMemoryGrowsWithWhatArrives(t *testing.T) {
	size := 1 << 30
	allocated := testing.AllocsPerRun(1, func() {
		if _, err := readBody(bytes.NewReader([]byte("short")), size); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
	})
	if allocated > 10 {
		t.Errorf("%v allocations", allocated)
	}
}

func FuzzVerdict(f *testing.F) {
	f.Add((&Verdict{Format: "pe", Evidence: []core.Evidence{signed()}}).encode())
	f.Add((&Verdict{Format: "other"}).encode())
	f.Fuzz(func(t *testing.T, message []byte) {
		v, err := decodeVerdict(message)
		if err != nil {
			return
		}
		again, err := decodeVerdict(v.encode())
		if diff := cmp.Diff(v, again); err != nil || diff != "" {
			t.Errorf("%v, %s", err, diff)
		}
		for _, e := range v.Evidence {
			if e.Rank != core.RankSigned || e.Kind == core.KindDPKG || e.Kind == core.KindRPM || e.Kind == core.KindSystem || e.Kind == core.KindSystemCatalog {
				t.Errorf("taken from a reader: %+v", e)
			}
		}
	})
}

func FuzzQuestion(f *testing.F) {
	facts, err := Gather(system{attributes: map[string][]byte{attributeEVM: {1}}}, nil)
	if err != nil {
		f.Fatal(err)
	}
	message, err := (&Question{Size: 1, Now: time.Unix(1, 0), Facts: facts, Detached: [][]byte{{1}}}).encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(message)
	f.Fuzz(func(t *testing.T, message []byte) {
		if q, err := decodeQuestion(message); err == nil {
			if _, err := q.encode(); err != nil {
				t.Error(err)
			}
		}
	})
}

func FuzzBundle(f *testing.F) {
	message, err := (&Bundle{Sources: []Source{{Roots, "/ca.pem", []byte("data")}}, Thumbprints: []string{"ab"}}).encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(message)
	f.Fuzz(func(t *testing.T, message []byte) {
		if b, err := decodeBundle(message); err == nil {
			if _, err := b.encode(); err != nil {
				t.Error(err)
			}
		}
	})
}
