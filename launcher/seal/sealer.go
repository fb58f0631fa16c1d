// Package seal fixes what would run before anybody decides about it: from what a
// caller handed over to a file by handle, whose path, hash, signers and bytes
// cannot drift apart any more (decision 26).
//
// It decides nothing and starts nothing. What a caller may be told about a file
// that cannot be sealed is a *refusal.Refusal.
package seal

import (
	"errors"
	"fmt"
	"kpm/core"
	"kpm/core/fair"
	"kpm/core/filecache"
	"kpm/core/port"
	"log/slog"
	"os"
	"path/filepath"
)

// Bounds of the programs whose signatures are judged at once, of all users and
// of one. Attack: a user asks to run thirty small files with as much in their
// signatures as a reader takes; each is worth a hundred megabytes of memory and
// seconds of a processor, before policy has been asked.
const (
	maxJudged     = 8
	maxUserJudged = 1
)

// Bounds of all private copies together, and of one user's, in bytes. Attack:
// thirty requests for a huge file each fill the disk that the journal needs.
const (
	maxCopies     = 4 << 30
	maxUserCopies = 1 << 30
)

// Request is what a caller has handed over. Peer is from the kernel; everything
// else is the caller's word.
type Request struct {
	Peer core.Peer
	// Command is what the caller named: a path, or a bare name.
	Command string
	// TargetUser is a name or "#id"; empty means the administrator.
	TargetUser string
	Argv       []string
	Dir        *os.File
	// Executable is a handle of the program, nil for a bare name. Seal takes it
	// over and sets it to nil when it begins to look at it; until then it is the
	// caller's to close.
	Executable *os.File
}

// Config is what a Sealer works with. What has no default is required.
type Config struct {
	Facts    port.Facts
	Files    port.Files
	Accounts port.Accounts
	// Administrator reports whether a peer is an administrator outside
	// everything that the service has launched.
	Administrator func(core.Peer) bool
	// AllowUnknown lets callers in who have no account.
	AllowUnknown bool
	// Signatures tells who has signed what people ask to run; nil if this
	// machine was told to trust nobody, and so nobody looks.
	Signatures core.Signatures
	// Dir holds private copies; New empties it.
	Dir string
	// People are who the bounds are counted for.
	People fair.People
	// Copies bounds the bytes of private copies, NewCopies if nil; Judging the
	// programs that are read for their signatures at once, NewJudging if nil.
	Copies, Judging *fair.Slots[core.UserID]
	Log             *slog.Logger
}

// Sealer seals. Its methods may be called concurrently.
type Sealer struct {
	Config
	digests *filecache.Cache[contents]
	budget  *budget
}

// New returns a Sealer and removes what an earlier one left in Dir.
func New(cfg Config) (*Sealer, error) {
	if err := emptied(cfg.Dir); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	if cfg.Copies == nil {
		cfg.Copies = NewCopies()
	}
	if cfg.Judging == nil {
		cfg.Judging = NewJudging()
	}
	return &Sealer{
		Config:  cfg,
		digests: filecache.New[contents](maxDigests),
		budget:  newBudget(cfg.People, cfg.Log),
	}, nil
}

// NewCopies returns what bounds private copies, in bytes.
func NewCopies() *fair.Slots[core.UserID] {
	return fair.NewSlots[core.UserID](fair.Bounds{Each: maxUserCopies, All: maxCopies})
}

// NewJudging returns what bounds the reading of signatures, in programs.
func NewJudging() *fair.Slots[core.UserID] {
	return fair.NewSlots[core.UserID](fair.Bounds{Each: maxUserJudged, All: maxJudged})
}

// emptied makes dir an empty directory that everyone may pass and nobody list.
// It removes files, never trees.
func emptied(dir string) error {
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o711); err != nil { // whatever the umask
		return err
	}
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		err = errors.Join(err, os.Remove(filepath.Join(dir, entry.Name())))
	}
	return err
}
