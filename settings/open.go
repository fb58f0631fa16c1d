package settings

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Guards are what the platform knows about directories.
type Guards struct {
	// Protected reports nil when administrators alone can change the
	// directory and every directory above it. Its error says what to do.
	Protected func(dir string) error
	// Lock takes the lock file at path, creating it 0600, until the result
	// is closed. It does not wait: a lock that is held is an error.
	Lock func(path string) (io.Closer, error)
}

// Open makes an agent root ready for the one service that may use it: it
// refuses a root that users could change, takes the lock, creates the
// directories with their modes and removes what an earlier service left in
// run. Closing the result gives the lock back.
func Open(l Layout, g Guards) (io.Closer, error) {
	if err := checkRoot(l.root, g.Protected); err != nil {
		return nil, err
	}
	if err := ensure(l.State(), 0o700, g.Protected); err != nil {
		return nil, err
	}
	lock, err := g.Lock(l.Lock())
	if err != nil {
		return nil, fmt.Errorf("settings: agent root %s is in use by another service; stop that one, or give this one a root of its own with --root: %w", l.root, err)
	}
	if err := prepare(l, g.Protected); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

func checkRoot(root string, protected func(string) error) error {
	if !filepath.IsAbs(root) {
		return fmt.Errorf("settings: agent root %q must be an absolute path", root)
	}
	switch info, err := os.Lstat(root); {
	case err != nil:
		return fmt.Errorf("settings: agent root %s: install the agent there or name another root with --root: %w", root, err)
	case !info.IsDir():
		return fmt.Errorf("settings: agent root %s is not a directory; name the directory itself, not a link to it", root)
	}
	return checkProtected(root, protected)
}

// checkProtected stops the oldest attack on a service that runs as root: a
// user who can write its directory, or one above it, replaces what it runs.
func checkProtected(dir string, protected func(string) error) error {
	if err := protected(dir); err != nil {
		return fmt.Errorf("settings: %s cannot be trusted; it and every directory above it must be writable by administrators alone: %w", dir, err)
	}
	return nil
}

func prepare(l Layout, protected func(string) error) error {
	for _, dir := range []struct {
		path string
		mode fs.FileMode
	}{{l.Audit(), 0o700}, {l.Run(), 0o755}} {
		if err := ensure(dir.path, dir.mode, protected); err != nil {
			return err
		}
	}
	// Whoever may still listen there is dead, or the lock would not be ours.
	for _, path := range []string{l.Door(), l.MQTTSocket(), l.APISocket()} {
		if info, err := os.Lstat(path); err != nil || info.Mode().Type() != fs.ModeSocket {
			continue
		}
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("settings: clear %s: %w", l.Run(), err)
		}
	}
	return RemovePorts(l)
}

// ensure makes path a directory of ours with exactly this mode.
func ensure(path string, mode fs.FileMode, protected func(string) error) error {
	if err := os.Mkdir(path, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("settings: %w", err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("settings: %s is not a directory; move it away and start again", path)
	}
	// Not left to Mkdir: the umask, or an earlier life, may have said otherwise.
	if err := os.Chmod(path, mode); err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	return checkProtected(path, protected)
}
