package store

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/view"
)

// Contents are kept of files of at most maxKept bytes, up to maxKeptAll together.
// Of others, and of programs, the digest alone is.
const (
	maxKept    = 1 << 20
	maxKeptAll = 32 << 20
)

// good is one accepted file.
type good struct {
	path   string // below the agent root, with slashes
	sha256 string
	kept   bool // its contents are
	bytes  int  // of what is kept
}

// GoodConfig is what LastGood works with. All fields are required.
type GoodConfig struct {
	Store *Store
	Root  string
	// Files returns the files that there are and that count, absolute: those that
	// can be put back, and programs. While that is not known it is an error, and nothing
	// is accepted or found changed.
	Files func() (files, programs []string, err error)
	// Read reads a file that administrators alone can change.
	Read func(path string, limit int64) ([]byte, error)
	// Write replaces a file atomically.
	Write func(path string, data []byte, perm os.FileMode) error
	// Restore reports whether unapproved changes are undone.
	Restore func() bool
	// Aside is the folder that files go to which are taken away.
	Aside string
	// Found is told once of every unapproved change, with what has become of it.
	Found func(view.Unapproved)
	Log   *slog.Logger
}

// LastGood is the Last Known Good of the agent's files: what was accepted, and
// what is other than that. Its methods are safe for concurrent use.
type LastGood struct {
	cfg GoodConfig

	mu   sync.Mutex
	said map[string]string // digests that Found was told of, by path
	seen map[string]seen   // what was read last, by path
}

// seen is a file as it was when its digest was taken: one that still looks so is
// not read again. Root could make another look so, and could approve it as well.
type seen struct {
	size   int64
	at     time.Time
	digest string
}

// NewLastGood accepts all that there is if nothing was ever accepted.
func NewLastGood(cfg GoodConfig) (*LastGood, error) {
	g := &LastGood{cfg: cfg, said: map[string]string{}, seen: map[string]seen{}}
	accepted, err := g.accepted()
	if err != nil || len(accepted) > 0 {
		return g, err
	}
	files, programs, err := cfg.Files()
	if err != nil {
		return g, err
	}
	return g, g.accept("first start", slices.Concat(files, programs), programs)
}

// accepted returns what was accepted, by path.
func (g *LastGood) accepted() (map[string]good, error) {
	all := map[string]good{}
	err := g.cfg.Store.each("read last known good", func(rows *sql.Rows) error {
		var one good
		if err := rows.Scan(&one.path, &one.sha256, &one.kept, &one.bytes); err != nil {
			return err
		}
		all[one.path] = one
		return nil
	}, `SELECT path, sha256, contents IS NOT NULL, coalesce(length(contents), 0) FROM good`)
	return all, err
}

// contents returns those of an accepted file of which they are kept.
func (g *LastGood) contents(path string) (data []byte, err error) {
	err = g.cfg.Store.each("read "+path, func(rows *sql.Rows) error {
		return rows.Scan(&data)
	}, `SELECT contents FROM good WHERE path = ?`, path)
	return data, err
}

// name is a file's path below the agent root, or its whole path outside of it.
func (g *LastGood) name(path string) string {
	if below, err := filepath.Rel(g.cfg.Root, path); err == nil && filepath.IsLocal(below) {
		return filepath.ToSlash(below)
	}
	return filepath.ToSlash(path)
}

func (g *LastGood) path(name string) string {
	if path := filepath.FromSlash(name); filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(g.cfg.Root, filepath.FromSlash(name))
}

// digest is that of what is at path now.
func (g *LastGood) digest(path string, program bool) (string, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	if s := g.seen[path]; s.digest != "" && s.size == info.Size() && s.at.Equal(info.ModTime()) {
		return s.digest, nil
	}
	one, _, err := g.look(path, program)
	if err != nil {
		return "", err
	}
	g.seen[path] = seen{info.Size(), info.ModTime(), one.sha256}
	return one.sha256, nil
}

// look reads what is at path now, and returns its contents if they are to be kept.
func (g *LastGood) look(path string, program bool) (one good, contents []byte, err error) {
	one.path = g.name(path)
	if program {
		one.sha256, err = digestOf(path)
		return one, nil, err
	}
	data, err := g.cfg.Read(path, maxPolicyFile)
	if err != nil {
		return one, nil, err
	}
	sum := sha256.Sum256(data)
	one.sha256 = hex.EncodeToString(sum[:])
	if len(data) > maxKept {
		return one, nil, nil
	}
	one.kept, one.bytes = true, len(data)
	return one, data, nil
}

// maxPolicyFile is the longest file that is looked at: a policy file.
const maxPolicyFile = 16 << 20

// accept makes what is at paths now the last known good. What is not there any
// more is forgotten.
func (g *LastGood) accept(by string, paths, programs []string) error {
	known, err := g.accepted()
	if err != nil {
		return err
	}
	all := 0
	for _, one := range known {
		all += one.bytes
	}
	return g.cfg.Store.update("accept", func(tx *sql.Tx) error {
		for _, path := range paths {
			one, contents, err := g.look(path, slices.Contains(programs, path))
			gone := errors.Is(err, fs.ErrNotExist)
			if err != nil && !gone {
				return fmt.Errorf("%s: %w", path, err)
			}
			all -= known[one.path].bytes
			if _, err := tx.Exec(`DELETE FROM good WHERE path = ?`, one.path); err != nil {
				return err
			}
			if gone {
				continue
			}
			if all+one.bytes > maxKeptAll {
				one.kept, one.bytes, contents = false, 0, nil
			}
			all += one.bytes
			if err := insert(tx, one, contents, by); err != nil {
				return err
			}
		}
		return nil
	})
}

func insert(tx *sql.Tx, one good, contents []byte, by string) error {
	var kept any // NULL
	if one.kept {
		kept = append([]byte{}, contents...)
	}
	_, err := tx.Exec(`INSERT INTO good (path, sha256, contents, accepted_by, accepted_at) VALUES (?, ?, ?, ?, ?)`,
		one.path, one.sha256, kept, by, time.Now().UTC().Format(time.RFC3339Nano))
	return err
}

// Approve accepts the changes that match reports: of files that there are, and of
// those that are gone. It returns their names.
func (g *LastGood) Approve(by core.Principal, match func(name string) bool) ([]string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	changes, programs, err := g.survey()
	if err != nil {
		return nil, err
	}
	names, paths := []string{}, []string{}
	for _, c := range changes {
		if match(c.Path) {
			names, paths = append(names, c.Path), append(paths, g.path(c.Path))
		}
	}
	if err := g.accept(by.String(), paths, programs); err != nil {
		return nil, err
	}
	for _, name := range names {
		delete(g.said, name)
	}
	return names, nil
}

// Changes returns what is other than what was accepted, by path.
func (g *LastGood) Changes() ([]view.Unapproved, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	changes, _, err := g.survey()
	return changes, err
}

func (g *LastGood) survey() (changes []view.Unapproved, programs []string, err error) {
	accepted, err := g.accepted()
	if err != nil {
		return nil, nil, err
	}
	files, programs, err := g.cfg.Files()
	if err != nil {
		return nil, nil, err
	}
	there := map[string]bool{}
	for _, path := range slices.Concat(files, programs) {
		name := g.name(path)
		if there[name] {
			continue
		}
		there[name] = true
		now, err := g.digest(path, slices.Contains(programs, path))
		if errors.Is(err, fs.ErrNotExist) {
			continue // since it was listed: the next look finds it gone
		}
		if err != nil {
			changes = append(changes, view.Unapproved{Path: name, Change: "unreadable", Found: err.Error()})
			continue
		}
		switch was, known := accepted[name]; {
		case !known:
			changes = append(changes, view.Unapproved{Path: name, Change: "added", Found: now})
		case was.sha256 != now:
			changes = append(changes, view.Unapproved{Path: name, Change: "changed", Found: now, Good: was.sha256})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(accepted)) {
		if _, err := os.Lstat(g.path(name)); !there[name] && errors.Is(err, fs.ErrNotExist) {
			changes = append(changes, view.Unapproved{Path: name, Change: "removed", Good: accepted[name].sha256})
		}
	}
	slices.SortFunc(changes, func(a, b view.Unapproved) int { return strings.Compare(a.Path, b.Path) })
	return changes, programs, nil
}

// Guard looks for unapproved changes, undoes them where that is enabled, and
// tells Found of each once. It reports whether anything was put back.
func (g *LastGood) Guard() (restored bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	changes, programs, err := g.survey()
	if err != nil {
		return false, err
	}
	accepted, err := g.accepted()
	if err != nil {
		return false, err
	}
	for _, c := range changes {
		if g.cfg.Restore() {
			isProgram := slices.ContainsFunc(programs, func(p string) bool { return g.name(p) == c.Path })
			c.Outcome = g.undo(c, accepted[c.Path], isProgram)
			restored = restored || c.Outcome == view.Restored
		}
		if key := c.Change + c.Found + c.Outcome; g.said[c.Path] != key {
			g.said[c.Path] = key
			g.cfg.Found(c)
		}
	}
	return restored, nil
}

// undo puts back what was accepted. A program cannot be put back: it does not
// start (Admit).
func (g *LastGood) undo(c view.Unapproved, was good, program bool) string {
	path := g.path(c.Path)
	switch {
	case program:
		return "not started until it is approved"
	case c.Change == "unreadable":
		return "left as it is"
	case c.Change == "added":
		if err := g.setAside(path, c); err != nil {
			return "cannot be taken away: " + err.Error()
		}
		return view.Restored
	case !was.kept:
		return "cannot be put back: only its digest is kept"
	}
	if c.Change == "changed" {
		if err := g.copyAside(path, c); err != nil {
			return "cannot be put back: " + err.Error()
		}
	}
	data, err := g.contents(was.path)
	if err == nil {
		err = g.cfg.Write(path, data, 0o644)
	}
	if err != nil {
		return "cannot be put back: " + err.Error()
	}
	return view.Restored
}

func (g *LastGood) aside(c view.Unapproved) string {
	return filepath.Join(g.cfg.Aside, strings.ReplaceAll(c.Path, "/", "_")+"."+c.Found[:min(12, len(c.Found))])
}

// setAside takes a file away without losing it.
func (g *LastGood) setAside(path string, c view.Unapproved) error {
	if err := os.MkdirAll(g.cfg.Aside, 0o700); err != nil {
		return err
	}
	return os.Rename(path, g.aside(c))
}

// copyAside keeps what is about to be replaced.
func (g *LastGood) copyAside(path string, c view.Unapproved) error {
	data, err := g.cfg.Read(path, maxPolicyFile)
	if err == nil {
		err = os.MkdirAll(g.cfg.Aside, 0o700)
	}
	if err != nil {
		return err
	}
	return g.cfg.Write(g.aside(c), data, 0o600)
}

// Admit says why a program must not start: where changes are undone, one that is
// not the accepted one does not run. digest is of the file that is about to.
func (g *LastGood) Admit(path, digest string) error {
	if !g.cfg.Restore() {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	accepted, err := g.accepted()
	if err != nil {
		return err
	}
	if was, known := accepted[g.name(path)]; known && was.sha256 == digest {
		return nil
	}
	return core.Worded(ErrUnapproved, fmt.Sprintf("%s is not the program that was approved: KeeperAdminCLI plugins approve", path))
}

// ErrUnapproved means that a file is other than what was accepted.
var ErrUnapproved = core.NewError(core.NotPermitted, "not approved")
