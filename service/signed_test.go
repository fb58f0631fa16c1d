package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kpm/core"
)

// running says what processes run: each time the next path, the last for ever.
type running struct {
	paths []string
	err   error
	asked []core.ProcessID
}

func (p *running) Program(id core.ProcessID) (*os.File, error) {
	p.asked = append(p.asked, id)
	if len(p.paths) == 0 {
		return nil, p.err
	}
	path := p.paths[0]
	if len(p.paths) > 1 {
		p.paths = p.paths[1:]
	}
	return os.Open(path)
}

// judge knows the evidence about files, by name.
type judge map[string]core.Provenance

func (j judge) Provenance(_ context.Context, f, _ *os.File) (core.Provenance, error) {
	p, ok := j[filepath.Base(f.Name())]
	if !ok {
		return core.Provenance{}, errors.New("input/output error")
	}
	return p, nil
}

func evidence(rank core.Rank, standing core.Standing, reason string) core.Evidence {
	return core.Evidence{Kind: core.KindIMA, Rank: rank, Standing: standing, Reason: reason}
}

func TestWhichProcessesRunASignedProgram(t *testing.T) {
	dir := t.TempDir()
	provenance := judge{}
	for name, list := range map[string][]core.Evidence{
		"signed":   {evidence(core.RankSigned, core.Trusted, "")},
		"both":     {evidence(core.RankRecorded, core.Trusted, ""), evidence(core.RankSigned, core.Trusted, "")},
		"packaged": {evidence(core.RankPackaged, core.Trusted, "a package lists it")},
		"recorded": {evidence(core.RankRecorded, core.Trusted, "the package database knows it")},
		"nothing":  nil,
		"unknown":  {evidence(core.RankSigned, core.Untrusted, "the signer's certificate leads to no configured root")},
		"tampered": {evidence(core.RankRecorded, core.Trusted, ""), evidence(core.RankSigned, core.Broken, "the file was changed after it was signed")},
		"patched":  {evidence(core.RankSigned, core.Trusted, ""), evidence(core.RankSigned, core.Broken, "the file was changed after it was signed")},
		"unjudged": {{Rank: core.RankSigned}}, // the zero standing counts against it
	} {
		provenance[name] = core.Provenance{Evidence: list}
	}
	path := func(name string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(name), 0o755); err != nil {
			t.Fatal(err)
		}
		return p
	}
	id := core.ProcessID{PID: 7, Start: 9}
	for _, tc := range []struct {
		what     string
		programs *running
		judge    core.Signatures
		says     string // "" is trusted
	}{
		{"a signed program", &running{paths: []string{path("signed")}}, provenance, ""},
		{"a signed program of a package", &running{paths: []string{path("both")}}, provenance, ""},
		{"one that a package lists", &running{paths: []string{path("packaged")}}, provenance, "a package lists it"},
		{"one of the package database", &running{paths: []string{path("recorded")}}, provenance, "the package database knows it"},
		{"one of nobody's", &running{paths: []string{path("nothing")}}, provenance, "it is not signed"},
		{"one of a stranger's", &running{paths: []string{path("unknown")}}, provenance, "no configured root"},
		{"one that was changed", &running{paths: []string{path("tampered")}}, provenance, "changed after it was signed"},
		{"one with a good and a bad signature", &running{paths: []string{path("patched")}}, provenance, "changed after it was signed"},
		{"one that nobody has finished judging", &running{paths: []string{path("unjudged")}}, provenance, "not signed"},
		{"one that cannot be read", &running{paths: []string{path("broken disk")}}, provenance, "input/output error"},
		{"a process that has ended", &running{err: errors.New("the process has ended")}, provenance, "the process has ended"},
		{"a system that does not tell", &running{err: errors.ErrUnsupported}, provenance, "unsupported"},
		{"anything, where nobody judges", &running{paths: []string{path("signed")}}, nil, "verifies no signatures"},
		// Attack: exec, or exit and pid reuse, between the check and its use.
		{"one that becomes another meanwhile", &running{paths: []string{path("signed"), path("nothing")}}, provenance, "another program"},
		{"one that becomes another signed one", &running{paths: []string{path("signed"), path("both")}}, provenance, "another program"},
	} {
		ok, reason := newSignedPrograms(tc.programs, tc.judge).Trusted(t.Context(), id)
		if ok != (tc.says == "") || !strings.Contains(reason, tc.says) || ok && reason != "" {
			t.Errorf("%s: %v, %q; expected %q", tc.what, ok, reason, tc.says)
		}
		for _, asked := range tc.programs.asked {
			if asked != id {
				t.Errorf("%s: asked about %v", tc.what, asked)
			}
		}
	}
}

// Attack: the process ends while its program is being judged, and the pid is
// somebody else's.
func TestAProcessThatEndsMeanwhileRunsNoSignedProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "signed")
	if err := os.WriteFile(path, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	ending := &ends{path: path}
	v := newSignedPrograms(ending, judge{"signed": {Evidence: []core.Evidence{evidence(core.RankSigned, core.Trusted, "")}}})
	if ok, reason := v.Trusted(t.Context(), core.ProcessID{PID: 7, Start: 9}); ok || !strings.Contains(reason, "has ended") {
		t.Errorf("%v, %q", ok, reason)
	}
}

// ends is a process that lives for one question.
type ends struct {
	path string
	over bool
}

func (e *ends) Program(id core.ProcessID) (*os.File, error) {
	if e.over {
		return nil, fmt.Errorf("process %s: the process has ended", id)
	}
	e.over = true
	return os.Open(e.path)
}
