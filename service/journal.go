package service

import (
	"context"
	"errors"
	"time"

	"kpm/launcher/journal"
	"kpm/trust/identity"
)

// lastCheckpoint bounds the signature over the journal at the end. A real TPM
// takes a fifth of a second.
const lastCheckpoint = 2 * time.Second

// startJournal opens the journal and reads what an earlier service left in it. That
// there is a start is on the disk before anybody is let in (serve).
func (s *service) startJournal(context.Context, Options) error {
	var err error
	s.journal, s.replay, err = journal.Open(journal.Config{
		AuditDir: s.layout.Audit(), StateDir: s.layout.State(),
		SegmentBytes: s.app.Journal.SegmentBytes, KeepSegments: s.app.Journal.KeepSegments, Keep: s.app.Journal.Keep,
		Mask: s.app.Journal.Mask, WriteAtomic: s.host.Files.WriteAtomic, SettleLater: true,
	})
	if err != nil {
		return err
	}
	s.onStop(func(context.Context) error { return s.journal.Close() })
	nothing := func(context.Context, struct{}) error { return nil }
	s.ahead.journal = begin(s, func() (struct{}, error) { return struct{}{}, s.journal.Settle() }, nothing)
	return nil
}

// startIdentity has the machine key sign the journal's head: now, at intervals,
// when the clock was set, and at the end. Nothing waits for it: a TPM takes seconds to make a key.
func (s *service) startIdentity(context.Context, Options) error {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(s.app.Journal.Checkpoint)
		defer ticker.Stop()
		s.sign(ctx, ticker.C)
	}()
	s.onStop(func(context.Context) error {
		cancel()
		<-done
		return nil
	})
	return nil
}

func (s *service) sign(ctx context.Context, tick <-chan time.Time) {
	for {
		if err := s.checkpoint(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("the journal cannot be signed; KeeperAdminCLI trust status says more", "error", err)
		}
		select {
		case <-tick:
		case <-s.journal.ClockSet():
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.Background(), lastCheckpoint)
			defer cancel()
			if err := s.checkpoint(last); err != nil {
				s.log.Error("the end of the journal is not signed", "error", err)
			}
			return
		}
	}
}

// checkpoint opens the key each time: trust rotate may have replaced it, and a
// TPM that was away may be back.
func (s *service) checkpoint(ctx context.Context) error {
	return s.withIdentity(ctx, func(key *identity.Identity) error { return s.journal.Checkpoint(ctx, key.Signer()) })
}

// withIdentity has the machine key used, by one at a time: the first makes it.
func (s *service) withIdentity(ctx context.Context, use func(*identity.Identity) error) error {
	s.identity.Lock()
	defer s.identity.Unlock()
	key, err := identity.Open(ctx, identity.Config{
		Dir: s.layout.Identity(), Keys: s.host.Keys, Device: s.app.TPMDevice, Store: s.app.KeyStore,
		WriteAtomic: s.host.Files.WriteAtomic, Lock: s.host.Files.Lock, Private: s.host.Files.Private,
	})
	if err != nil {
		return err
	}
	return errors.Join(use(key), key.Close())
}
