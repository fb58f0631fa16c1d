package provenance

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"kpm/core"
	"kpm/core/filecache"
	"kpm/core/port"
	"kpm/trust/openpgp"
	"kpm/trust/packages"
	"kpm/trust/reader"
)

// ErrChanged means that a file was written to while it was read.
var ErrChanged = errors.New("it changed while it was read: try again")

// installed knows which files the machine's packages have installed:
// packages.Database.
type installed interface {
	// Evidence judges the file that is at path, an absolute path without
	// links. digest hashes its bytes.
	Evidence(ctx context.Context, path string, digest func(context.Context, crypto.Hash) ([]byte, error)) []core.Evidence
	// Stamp changes when what they have installed does.
	Stamp() string
}

// Reader reads the signatures that a file carries: a reader.Pool, or a
// judge.Judge in a process that has no privilege itself.
type Reader interface {
	// Read judges f, and leaves the service to say what it knows by itself.
	// errors.ErrUnsupported means that nothing here reads signatures; any other
	// error that nothing is known of this file's.
	Read(ctx context.Context, f *os.File, q *reader.Question) (reader.Verdict, error)
}

// Trusted is whom this machine trusts, as far as the service needs it.
type Trusted struct {
	// Reader knows all of it.
	Reader Reader
	// Catalogs says that it trusts some. A false one hides what they list.
	Catalogs bool
	// OpenPGP are the keys whose signatures make a package trusted; nil: none.
	OpenPGP *openpgp.Keyring
}

// NewTrusted returns whom b names, as r reads it. The error names the setting
// and the file that cannot be understood.
func NewTrusted(r Reader, b *reader.Bundle) (*Trusted, error) {
	keys, err := b.Keyring()
	if err != nil {
		return nil, err
	}
	return &Trusted{Reader: r, Catalogs: len(b.Of(reader.Catalogs)) > 0, OpenPGP: keys}, nil
}

// Config is what a Verifier works with.
type Config struct {
	Files  port.Files
	System port.SystemSignatures
	// PackageRoot is the system whose packages count as evidence about files, "/" as a
	// rule; empty: none do.
	PackageRoot string
	// Disputed, if not nil, is told of a file about which the operating system
	// and this package disagree. It must not block.
	Disputed func(path string, ours, theirs core.Evidence)
	Now      func() time.Time
}

// Verifier implements core.Signatures. Its methods may be called concurrently.
type Verifier struct {
	cfg      Config
	packages installed // nil if there are none
	state    atomic.Pointer[state]
}

// state is whom to trust, and what follows from that.
type state struct {
	trusted *Trusted
	cache   *filecache.Cache[verdict]
}

var _ core.Signatures = (*Verifier)(nil)

// NewVerifier returns a Verifier that trusts whom t names.
func NewVerifier(cfg Config, t *Trusted) *Verifier {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	v := &Verifier{cfg: cfg}
	v.Trust(t)
	if cfg.PackageRoot != "" {
		v.packages = packages.Open(packages.Config{
			Root: cfg.PackageRoot, Keys: func() *openpgp.Keyring { return v.state.Load().trusted.OpenPGP }, Now: cfg.Now,
			Open: v.record, Read: cfg.Files.ReadProtected,
		})
	}
	return v
}

// record opens a file of a package database. What anyone but an administrator
// could have written is no evidence.
func (v *Verifier) record(path string) (*os.File, error) {
	handle, err := v.cfg.Files.LocateProtected(path)
	if err != nil {
		return nil, err
	}
	defer handle.Close()
	return v.cfg.Files.Open(handle)
}

// Unread says in a sentence which package database of this machine cannot be
// read, if there is one.
func (v *Verifier) Unread() string {
	if database, ok := v.packages.(*packages.Database); ok {
		return database.Unread()
	}
	return ""
}

// Trust replaces whom the Verifier trusts, and forgets every verdict.
func (v *Verifier) Trust(t *Trusted) { v.state.Store(&state{t, filecache.New[verdict](maxCached)}) }

// Provenance implements core.Signatures. Verdicts about Protected files are
// remembered as long as device, inode, size, change time and generation stay,
// and the packages on this machine.
func (v *Verifier) Provenance(ctx context.Context, f, origin *os.File) (core.Provenance, error) {
	state := v.state.Load()
	of, info, err := v.identify(f)
	if err != nil {
		return core.Provenance{}, fmt.Errorf("provenance: %w", err)
	}
	if !info.Regular {
		return core.Provenance{}, fmt.Errorf("provenance: %s: %w", info.Path, core.ErrNotRegular)
	}
	stamp := ""
	if v.packages != nil {
		stamp = v.packages.Stamp()
	}
	alone := origin == nil || origin == f
	if alone {
		now := v.cfg.Now()
		if known, ok := state.cache.Get(of, func(k *verdict) bool { return k.holds(stamp, now) }); ok {
			return known.provenance, nil
		}
		origin = f
	}
	protected := alone && v.cfg.Files.Protected(f) == nil
	p, safe, err := v.judge(ctx, state.trusted, f, info, origin, protected)
	if err != nil {
		return core.Provenance{}, fmt.Errorf("provenance: %s: %w", info.Path, err)
	}
	// Attack: the file is written to between one digest and the next.
	now, _, err := v.identify(f)
	if err != nil {
		return core.Provenance{}, fmt.Errorf("provenance: %w", err)
	}
	if now != of {
		return core.Provenance{}, fmt.Errorf("provenance: %s: %w", info.Path, ErrChanged)
	}
	// What nobody but root can change is the same as long as its identity is:
	// a new owner or mode would have moved the change time.
	if safe {
		state.cache.Put(of, verdict{p, stamp, validUntil(p, v.cfg.Now())})
	}
	return p, nil
}

func (v *Verifier) identify(f *os.File) (filecache.Identity, port.FileInfo, error) {
	info, err := v.cfg.Files.Inspect(f)
	if err != nil {
		return filecache.Identity{}, info, err
	}
	generation, err := v.cfg.System.Generation(f)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return filecache.Identity{}, info, err
	}
	return filecache.Identify(info, generation), info, nil
}

// strongest orders evidence for people: what counts against the file first,
// then by rank.
func strongest(list []core.Evidence) {
	weight := func(e core.Evidence) int {
		if e.Standing == core.Broken {
			return 100
		}
		return 10*int(e.Standing) + int(e.Rank)
	}
	slices.SortStableFunc(list, func(a, b core.Evidence) int { return weight(b) - weight(a) })
}
