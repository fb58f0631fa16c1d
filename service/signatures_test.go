package service

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kpm/core"
	"kpm/launcher/journal"
	"kpm/platform"
	"kpm/settings"
	"kpm/trust/provenance"
	"kpm/trust/reader/readertest"
	"kpm/trust/trusttest"
)

// trusting is a service that trusts whom root/ca.pem names.
func trusting(t *testing.T) (s *service, sources provenance.Sources, log *logBuffer) {
	t.Helper()
	root := t.TempDir()
	log, confiner := &logBuffer{}, &readertest.Confiner{}
	t.Cleanup(confiner.Wait)
	host := platform.Tools(root)
	host.Confiner = confiner
	s = &service{
		layout: settings.At(root, ""), app: settings.Default(), log: slog.New(slog.NewTextHandler(log, nil)),
		host: host,
	}
	s.app.Trust.Roots = []string{"ca.pem"}
	replace(t, root, "ca.pem", trusttest.PEM(trusttest.New(t).Get(trusttest.Root).Certificate))
	return s, s.app.Trust.Sources(root), log
}

type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) has(text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Contains(b.text.String(), text)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func replace(t *testing.T, root, name string, data []byte) {
	t.Helper()
	next := filepath.Join(root, name+".next")
	if err := errors.Join(os.WriteFile(next, data, 0o644), os.Rename(next, filepath.Join(root, name))); err != nil {
		t.Fatal(err)
	}
}

func TestWhomToTrustIsReadAgainWhenItChanges(t *testing.T) {
	s, sources, log := trusting(t)
	if err := s.startTrust(t.Context(), Options{}); err != nil {
		t.Fatal(err)
	}
	defer s.stop(context.Background())
	if s.signatures == nil {
		t.Fatal("nobody looks at signatures")
	}
	root := s.layout.Root()
	f := trustInForce{service: s, sources: sources, seen: s.versions(sources.Files())}
	var err error
	if _, f.pool, err = s.trusted(t.Context(), sources); err != nil {
		t.Fatal(err)
	}
	defer func() { f.pool.Close() }()
	look := func() { f.look(t.Context()) }
	look()
	if log.has("changed") {
		t.Error("nothing had changed")
	}
	replace(t, root, "ca.pem", []byte("nonsense"))
	look()
	if !log.has("those read before stay in force") || !log.has("Trust:Roots") {
		t.Errorf("the log does not say what is wrong: %s", log)
	}
	if log.has("the new ones are in force") {
		t.Error("nonsense is in force")
	}
	// Good, where it must not be believed, and then, unchanged, where it may.
	mode := func(perm os.FileMode) {
		if err := os.Chmod(root, perm); err != nil {
			t.Fatal(err)
		}
	}
	mode(0o777)
	replace(t, root, "ca.pem", trusttest.PEM(trusttest.New(t).Get(trusttest.ECRoot).Certificate))
	look()
	if log.has("the new ones are in force") {
		t.Error("what anybody can replace is in force")
	}
	mode(0o755)
	ctx, cancel := context.WithCancel(t.Context())
	tick, done := make(chan time.Time), make(chan struct{})
	go func() {
		defer close(done)
		f.watch(ctx, tick)
	}()
	tick <- time.Now()
	tick <- time.Now() // taken when the first has been dealt with; nothing has changed since
	cancel()
	<-done
	if !log.has("the new ones are in force") {
		t.Errorf("the new root is not in force: %s", log)
	}
}

func TestWhatSaysWhomToTrustMustBeAnAdministrators(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"missing":            os.Remove,
		"everyone can write": func(path string) error { return os.Chmod(path, 0o666) },
		"a user's":           func(path string) error { return os.Chown(path, 4242, 4242) },
		"nonsense":           func(path string) error { return os.WriteFile(path, []byte("x"), 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			s, sources, _ := trusting(t)
			if err := spoil(sources.Roots[0]); err != nil {
				t.Fatal(err)
			}
			defer s.stop(context.Background())
			if err := s.startTrust(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "Trust:Roots") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestADisputeIsRecorded(t *testing.T) {
	s, _, log := trusting(t)
	var err error
	s.journal, _, err = journal.Open(journal.Config{AuditDir: s.layout.Audit(), StateDir: s.layout.State(), WriteAtomic: s.host.Files.WriteAtomic})
	if err != nil {
		t.Fatal(err)
	}
	s.disputed("/opt/tool.exe", core.Evidence{Standing: core.Trusted, Reason: "fine"}, core.Evidence{Standing: core.Broken, Reason: "changed"})
	if err := s.journal.Close(); err != nil {
		t.Fatal(err)
	}
	var found []string
	err = journal.Tail(t.Context(), s.layout.Audit(), 100, false, func(_ []byte, r journal.Record) error {
		if r.Type == journal.Disputed {
			found = append(found, r.Program.Path+": "+r.Message)
		}
		return nil
	})
	if err != nil || len(found) != 1 || found[0] != "/opt/tool.exe: the operating system says broken (changed), our own check trusted (fine)" {
		t.Errorf("recorded %q, %v", found, err)
	}
	if !log.has("/opt/tool.exe") {
		t.Error("the log does not name the file")
	}
}

func TestWithoutAnyoneToTrustNobodyLooksAtSignatures(t *testing.T) {
	s, _, _ := trusting(t)
	s.app.Trust.Roots = nil
	defer s.stop(context.Background())
	if err := s.startTrust(t.Context(), Options{}); err != nil || s.signatures != nil {
		t.Errorf("signatures %v, %v", s.signatures, err)
	}
	if n := s.host.Confiner.(*readertest.Confiner).Started.Load(); n != 0 {
		t.Errorf("%d readers were started", n)
	}
}

// Where files cannot be read without privilege, nobody reads them with one: what
// the system itself says, and packages, is all there is.
func TestASystemWithoutReaders(t *testing.T) {
	s, _, log := trusting(t)
	s.host.Confiner.(*readertest.Confiner).Err = errors.ErrUnsupported
	defer s.stop(context.Background())
	if err := s.startTrust(t.Context(), Options{}); err != nil || s.signatures == nil || !log.has("signatures within files are not read") {
		t.Fatalf("%v, %s", err, &log.text)
	}
	path := filepath.Join(s.layout.Root(), "script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if p, err := s.signatures.Provenance(t.Context(), f, nil); err != nil || p.Rank() != core.RankNone || len(p.Evidence) != 0 {
		t.Errorf("%+v, %v", p, err)
	}
}

// A reader that should be there and is not stops the service, as any other part
// that is missing.
func TestAReaderThatCannotBeStarted(t *testing.T) {
	s, _, _ := trusting(t)
	s.host.Confiner.(*readertest.Confiner).Err = errors.New("no such file")
	defer s.stop(context.Background())
	if err := s.startTrust(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("%v", err)
	}
}

// ranked is core.Signatures that gives every file one rank.
type ranked struct {
	rank core.Rank
	err  error
}

func (v ranked) Provenance(context.Context, *os.File, *os.File) (core.Provenance, error) {
	return core.Provenance{Evidence: []core.Evidence{{Kind: core.KindIMA, Rank: v.rank, Standing: core.Trusted}}}, v.err
}

func TestAdmission(t *testing.T) {
	plugin, job := core.Principal{Kind: core.Plugin, Name: "P"}, core.Principal{Kind: core.JobRun, Name: "j"}
	for _, c := range []struct {
		name         string
		mode         settings.Mode
		as           core.Principal
		has          ranked
		admits, logs bool
	}{
		{"enough", settings.TrustEnforce, plugin, ranked{rank: core.RankSigned}, true, false},
		{"too little", settings.TrustEnforce, plugin, ranked{rank: core.RankRecorded}, false, false},
		{"a job needs less", settings.TrustEnforce, job, ranked{rank: core.RankRecorded}, true, false},
		{"less than a job needs", settings.TrustEnforce, job, ranked{}, false, false},
		{"a warning", settings.TrustWarn, plugin, ranked{}, true, true},
		{"no warning", settings.TrustWarn, plugin, ranked{rank: core.RankSigned}, true, false},
		{"off", settings.TrustOff, plugin, ranked{err: errors.New("not to be asked")}, true, false},
		{"it cannot be read", settings.TrustEnforce, plugin, ranked{err: errors.New("read error")}, false, false},
	} {
		log := &logBuffer{}
		g := &admission{
			approved:   func(*os.File) error { return nil },
			signatures: c.has, log: slog.New(slog.NewTextHandler(log, nil)),
			plugins: demand{c.mode, provenance.Requirement{Rank: core.RankSigned}},
			jobs:    demand{c.mode, provenance.Requirement{Rank: core.RankRecorded}},
		}
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		err = g.Admit(t.Context(), c.as, f)
		f.Close()
		if (err == nil) != c.admits || log.has("lacks the signature it needs") != c.logs {
			t.Errorf("%s: %v, logged %q", c.name, err, &log.text)
		}
	}
}
