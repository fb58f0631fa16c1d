package packages

import (
	"context"
	"crypto"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"kpm/core"
	"kpm/trust/openpgp"

	_ "crypto/md5" // so that whoever hashes files can: dpkg records nothing else
	_ "crypto/sha1"
	_ "crypto/sha256"
	_ "crypto/sha512"
)

// Config says where the databases are and whom to believe.
type Config struct {
	// Root is where the system is installed, "/" if empty.
	Root string
	// Keys returns the keys whose signatures make a package trusted; nil and a
	// nil Keyring trust none.
	Keys func() *openpgp.Keyring
	// Open opens a file of a database for reading, os.Open if nil. It should
	// refuse files that anyone but root could have written: what they say is
	// evidence.
	Open func(path string) (*os.File, error)
	// Read returns the contents of such a file, at most limit bytes, as Open and
	// io.ReadAll do if it is nil. It is for small files, of which there are many.
	Read func(path string, limit int64) ([]byte, error)
	// Now is time.Now if nil.
	Now func() time.Time
}

// Digest hashes the file in question. It may be called more than once, and is
// not called for a file that no package has.
type Digest func(ctx context.Context, h crypto.Hash) ([]byte, error)

// Database is what the package managers of one system have recorded. Its
// methods may be called concurrently.
type Database struct {
	cfg     Config
	dpkg    *dpkg
	stamped []string
}

// Open returns the databases of a system, of which any may be missing. Nothing
// is read before it is needed.
func Open(cfg Config) *Database {
	if cfg.Root == "" {
		cfg.Root = "/"
	}
	if cfg.Keys == nil {
		cfg.Keys = func() *openpgp.Keyring { return nil }
	}
	if cfg.Open == nil {
		cfg.Open = os.Open
	}
	if cfg.Read == nil {
		cfg.Read = cfg.readAll
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Database{cfg: cfg, dpkg: newDpkg(cfg), stamped: cfg.stamped()}
}

// Evidence says what the packages know about the file at name: an absolute path
// below Root without links, as the kernel gives it for an open handle, never as
// a user did. There is at most one piece of evidence for each database, and
// none about files that no installed package has.
func (db *Database) Evidence(ctx context.Context, name string, digest func(context.Context, crypto.Hash) ([]byte, error)) []core.Evidence {
	if !path.IsAbs(name) || path.Clean(name) != name {
		return nil
	}
	names := append([]string{name}, db.aliases(name)...)
	var found []core.Evidence
	for _, ask := range []func(context.Context, []string, Digest) (core.Evidence, bool){db.dpkg.evidence, db.rpm} {
		if e, ok := ask(ctx, names, digest); ok {
			found = append(found, e)
		}
	}
	return found
}

// Stamp changes when a database does, and with it perhaps what Evidence says
// about files that have not changed. It costs a few system calls.
func (db *Database) Stamp() string {
	stamp := make([]byte, 0, 256)
	for _, path := range db.stamped {
		if info, err := os.Stat(path); err == nil {
			stamp = strconv.AppendInt(stamp, info.ModTime().UnixNano(), 36)
			stamp = strconv.AppendInt(append(stamp, '.'), info.Size(), 36)
		}
		stamp = append(stamp, ',')
	}
	return string(stamp)
}

// stamped are the files whose times and sizes make a Stamp.
func (c *Config) stamped() []string {
	var paths []string
	for _, name := range []string{dpkgStatus, dpkgInfo, dpkgUpdates, dpkgDiversions,
		rpmPaths[0], rpmPaths[0] + "-wal", rpmPaths[1], rpmPaths[1] + "-wal"} {
		paths = append(paths, c.path(name))
	}
	return paths
}

func (c *Config) path(name string) string { return filepath.Join(c.Root, filepath.FromSlash(name)) }

// read reads a file of at most limit bytes.
func (c *Config) read(name string, limit int64) ([]byte, error) { return c.Read(c.path(name), limit) }

func (c Config) readAll(path string, limit int64) ([]byte, error) {
	file, err := c.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s: more than %d bytes", path, limit)
	}
	return data, err
}

// linked are directories that are links on systems whose /usr is merged. The
// databases call a file by whichever name its package used.
var linked = []string{"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libo32", "/libx32", "/usr/sbin", "/usr/lib64"}

// aliases returns the other names of a file by such links.
func (db *Database) aliases(name string) (list []string) {
	root, err := filepath.EvalSymlinks(db.cfg.Root)
	if err != nil {
		return nil
	}
	for _, link := range linked {
		target, err := filepath.EvalSymlinks(filepath.Join(root, link))
		if err != nil {
			continue
		}
		target = "/" + strings.Trim(filepath.ToSlash(strings.TrimPrefix(target, root)), "/")
		if rest, ok := strings.CutPrefix(name, target+"/"); ok && target != link {
			list = append(list, link+"/"+rest)
		}
	}
	return list
}

// Names of checks.
const (
	checkRecord    = "package record"
	checkDigest    = "file digest"
	checkSignature = "package signature"
	checkRevoked   = "revocation"
)

func note(e *core.Evidence, name, outcome, detail string) {
	e.Checks = append(e.Checks, core.Check{Name: name, Outcome: outcome, Detail: detail})
}

// unknown is what is said of a file when a database cannot be asked.
func unknown(kind, reason string) core.Evidence {
	return core.Evidence{Kind: kind, Rank: core.RankRecorded, Standing: core.Untrusted, Reason: reason}
}
