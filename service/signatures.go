package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/wire"
	"kpm/launcher/journal"
	"kpm/settings"
	"kpm/trust/provenance"
	"kpm/trust/reader"
)

const (
	// maxTrustFile bounds a file of certificates, keys or revocations, in bytes.
	maxTrustFile = 16 << 20
	// lookAgain is how soon new revocation lists and certificates are in force.
	lookAgain = time.Minute
	// readersReady wait, so that two people who ask at once wait for none;
	// readersAtWork are as many as the launcher has at work for people, and two
	// for the service's own programs.
	readersReady  = 2
	readersAtWork = 10
)

// startTrust reads whom this machine trusts. Like any other setting that cannot
// be understood, a file that cannot be read stops the service: without a
// revocation list the rest would trust too much.
func (s *service) startTrust(ctx context.Context, _ Options) error {
	sources := s.app.Trust.Sources(s.layout.Root())
	seen := s.versions(sources.Files())
	trusted, pool, err := s.trusted(ctx, sources)
	if err != nil {
		return fmt.Errorf("service: %w", err)
	}
	s.verifier = provenance.NewVerifier(provenance.Config{
		Files: s.host.Files, System: s.host.Signatures, PackageRoot: "/", Disputed: s.disputed,
	}, trusted)
	if unread := s.verifier.Unread(); unread != "" {
		s.log.Warn("the package database does not count as evidence for any file", "reason", unread)
	}
	if !sources.Empty() {
		s.signatures = s.verifier
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f := trustInForce{service: s, sources: sources, seen: seen, pool: pool}
		defer func() { f.pool.Close() }()
		if len(seen) == 0 {
			<-ctx.Done()
			return
		}
		ticker := time.NewTicker(lookAgain)
		defer ticker.Stop()
		f.watch(ctx, ticker.C)
	}()
	s.onStop(func(context.Context) error {
		cancel()
		<-done
		return nil
	})
	return nil
}

// trusted has the sources read, and understood by a reader if there are any: as
// long as nobody is named, no reader is needed.
func (s *service) trusted(ctx context.Context, sources provenance.Sources) (*provenance.Trusted, *reader.Pool, error) {
	bundle, err := sources.Read(s.readProtected)
	if err != nil {
		return nil, nil, err
	}
	pool, err := reader.NewPool(s.host.Confiner, bundle, reader.Limits{Ready: readersReady, Most: readersAtWork})
	if err != nil {
		return nil, nil, err
	}
	if len(bundle.Sources)+len(bundle.Thumbprints) > 0 {
		err = pool.Start(ctx)
	}
	if errors.Is(err, errors.ErrUnsupported) {
		s.log.Warn("signatures within files are not read: this system has no process without privileges to read them in")
		err = nil
	}
	var trusted *provenance.Trusted
	if err == nil {
		trusted, err = provenance.NewTrusted(pool, bundle)
	}
	if err != nil {
		pool.Close()
		return nil, nil, err
	}
	return trusted, pool, nil
}

// trustInForce is whom this machine trusts.
type trustInForce struct {
	*service
	sources provenance.Sources
	seen    []port.FileInfo // the sources when they were read
	pool    *reader.Pool    // of readers that know what is in force
}

// watch looks at every tick.
func (f *trustInForce) watch(ctx context.Context, tick <-chan time.Time) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
			f.look(ctx)
		}
	}
}

// look looks whether a source has changed, and reads them again. What cannot be read
// leaves the last good ones in force, and is tried again by the next look: a fault that
// passes must not keep a new revocation list out for good.
func (f *trustInForce) look(ctx context.Context) {
	now := f.versions(f.sources.Files())
	if slices.Equal(now, f.seen) {
		return
	}
	trusted, pool, err := f.trusted(ctx, f.sources)
	if err != nil {
		f.log.Error("the trusted signers have changed and cannot be read; those read before stay in force", "error", err)
		return
	}
	f.verifier.Trust(trusted)
	f.pool.Close()
	f.seen, f.pool = now, pool
	f.log.Info("the trusted signers have changed; the new ones are in force")
}

// versions says which state each file is in; a file that cannot be looked at is
// in none.
func (s *service) versions(files []string) []port.FileInfo {
	list := make([]port.FileInfo, len(files))
	for i, path := range files {
		handle, err := s.host.Files.Locate(path)
		if err != nil {
			continue
		}
		list[i], _ = s.host.Files.Inspect(handle) // none
		handle.Close()
	}
	return list
}

// readProtected reads a file that only an administrator can change.
func (s *service) readProtected(path string) ([]byte, error) {
	return s.host.Files.ReadProtected(path, maxTrustFile)
}

// disputed records that the operating system and we differ about a file. No
// verdict waits for the disk: it is none to trust either way.
func (s *service) disputed(path string, ours, theirs core.Evidence) {
	what := fmt.Sprintf("the operating system says %s (%s), our own check %s (%s)", theirs.Standing, theirs.Reason, ours.Standing, ours.Reason)
	s.log.Error("a signature is disputed", "file", path, "dispute", what)
	err := s.journal.Append(journal.Record{Type: journal.Disputed, Program: &core.Executable{Path: path}, Message: wire.Printable(what)})
	if err != nil {
		s.log.Error("a disputed signature is not recorded", "file", path, "error", err)
	}
}

// admission keeps programs out of the service that lack a signature it needs
// ("Trust" of docs/settings.md). It implements start.Admission.
type admission struct {
	signatures    core.Signatures
	plugins, jobs demand
	approved      func(*os.File) error // Last Known Good
	log           *slog.Logger
}

// demand is what one kind of program needs, and what happens if it has it not.
type demand struct {
	mode  settings.Mode
	needs provenance.Requirement
}

func (s *service) admission() *admission {
	trust := s.app.Trust
	return &admission{
		signatures: s.verifier, approved: s.admitApproved, log: s.log.With("component", "trust"),
		plugins: demand{trust.Plugins[s.host.Facts.Platform], provenance.Requirement{Rank: trust.PluginRank}},
		jobs:    demand{trust.Jobs[s.host.Facts.Platform], provenance.Requirement{Rank: trust.JobRank}},
	}
}

// Admit implements start.Admission.
func (g *admission) Admit(ctx context.Context, as core.Principal, f *os.File) error {
	if err := g.approved(f); err != nil {
		return err
	}
	d := g.jobs
	if as.Kind == core.Plugin {
		d = g.plugins
	}
	if d.mode == settings.TrustOff {
		return nil
	}
	p, err := g.signatures.Provenance(ctx, f, nil)
	if err == nil {
		err = d.needs.Check(p)
	}
	if err == nil || d.mode == settings.TrustEnforce {
		return err
	}
	g.log.Warn("a program of the service lacks the signature it needs; it starts all the same, because the mode is warn", "as", as.String(), "program", f.Name(), "reason", err)
	return nil
}
