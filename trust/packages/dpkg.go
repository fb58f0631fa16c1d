package packages

import (
	"bytes"
	"context"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"kpm/core"
)

// Where dpkg keeps its database.
const (
	dpkgStatus     = "/var/lib/dpkg/status"
	dpkgInfo       = "/var/lib/dpkg/info"
	dpkgUpdates    = "/var/lib/dpkg/updates"
	dpkgDiversions = "/var/lib/dpkg/diversions"
)

// maxPaths bounds the index, at eight bytes a path.
const maxPaths = 8 << 20

// settled is how old a directory's change must be before it is taken for the
// last one: times of changes are not finer than a few milliseconds.
const settled = 2 * time.Second

// dpkg is dpkg's database. What is in memory is a hash of every path that a
// package has, and the status of every package; digests are read when a file is
// asked about.
type dpkg struct {
	cfg  Config
	seed maphash.Seed

	mu         sync.Mutex
	seen       [3]os.FileInfo // of info, status and diversions when they were read
	again      bool           // they may have changed since without showing it
	lists      map[string]list
	packages   map[string]*installed
	diversions []diversion
}

// list is the index of one package's list.
type list struct {
	info   os.FileInfo
	hashes []uint64 // of paths
}

func newDpkg(cfg Config) *dpkg { return &dpkg{cfg: cfg, seed: maphash.MakeSeed()} }

// same reports whether two looks at a file found the same file unchanged.
func same(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// refresh reads what has changed. Without a database there is nothing to know.
func (d *dpkg) refresh() error {
	var now [3]os.FileInfo
	for i, name := range []string{dpkgInfo, dpkgStatus, dpkgDiversions} {
		info, err := os.Stat(d.cfg.path(name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err == nil {
			now[i] = info
		}
	}
	if slices.EqualFunc(now[:], d.seen[:], same) && !d.again {
		return nil
	}
	d.again = true // until all of it has been read
	if now[0] == nil || now[1] == nil {
		d.lists, d.packages, d.diversions = nil, nil, nil
	} else if err := errors.Join(d.readLists(), d.readStatus(), d.readDiversions()); err != nil {
		return err
	}
	d.seen, d.again = now, false
	for _, info := range now {
		d.again = d.again || info != nil && d.cfg.Now().Sub(info.ModTime()) < settled
	}
	return nil
}

// readLists reads the lists that are new: dpkg replaces a list whole.
func (d *dpkg) readLists() error {
	entries, err := os.ReadDir(d.cfg.path(dpkgInfo))
	if err != nil {
		return err
	}
	next, total := map[string]list{}, 0
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), ".list")
		if !ok {
			continue
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		known := d.lists[name]
		if known.info == nil || !same(known.info, info) {
			data, err := d.cfg.read(dpkgInfo+"/"+entry.Name(), maxFile)
			if err != nil {
				return err
			}
			known = list{info, d.hashes(data)}
		}
		if total += len(known.hashes); total > maxPaths || len(next) == maxPackages {
			return fmt.Errorf("%w: it has more than %d files", errMalformed, maxPaths)
		}
		next[name] = known
	}
	d.lists = next
	return nil
}

func (d *dpkg) hashes(data []byte) []uint64 {
	all := make([]uint64, 0, bytes.Count(data, []byte("\n")))
	eachPath(data, func(path []byte) { all = append(all, maphash.Bytes(d.seed, path)) })
	return all
}

func (d *dpkg) readStatus() error {
	file, err := d.cfg.Open(d.cfg.path(dpkgStatus))
	if err != nil {
		return err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || info.Size() > maxStatus {
		return fmt.Errorf("%w: status: %w", errMalformed, err)
	}
	d.packages, err = readStatus(file)
	return err
}

func (d *dpkg) readDiversions() error {
	data, err := d.cfg.read(dpkgDiversions, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		data, err = nil, nil
	}
	if err == nil {
		d.diversions, err = readDiversions(data)
	}
	return err
}

// record is what one package says about a file.
type record struct {
	pkg   *installed
	named string // the package as below info
	path  string // as the package calls the file
}

// owners finds the packages that have put a file at any of names.
func (d *dpkg) owners(names []string) (found []record, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.refresh(); err != nil {
		return nil, err
	}
	for _, name := range names {
		asked, only, not := d.diverted(name)
		hash := maphash.String(d.seed, asked)
		for named, list := range d.lists {
			bare, _, _ := strings.Cut(named, ":")
			if only != "" && bare != only || bare == not {
				continue
			}
			// Looking through all of them costs less than sorting them does, until
			// some hundred files have been asked about.
			if slices.Contains(list.hashes, hash) {
				found = append(found, record{d.packages[named], named, asked})
			}
		}
	}
	slices.SortFunc(found, func(a, b record) int { return strings.Compare(a.named, b.named) })
	return found, nil
}

// diverted says as what, and by which packages only or not, the file at name
// was installed.
func (d *dpkg) diverted(name string) (asked, only, not string) {
	for _, one := range d.diversions {
		switch name {
		case one.to:
			return one.from, "", one.by
		case one.from:
			return name, one.by, ""
		}
	}
	return name, "", ""
}

// busy reports whether dpkg is at work, or was ended at it: then what it has
// recorded last lies there and not in the status file (dpkg(1), modstatdb).
func (d *dpkg) busy() bool {
	entries, err := os.ReadDir(d.cfg.path(dpkgUpdates))
	return err == nil && slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		return strings.Trim(e.Name(), "0123456789") == ""
	})
}

// evidence is the best that any package says: that it has these bytes, else
// that it has others, else why nothing can be said.
func (d *dpkg) evidence(ctx context.Context, names []string, digest Digest) (best core.Evidence, ok bool) {
	records, err := d.owners(names)
	if err != nil {
		return unknown(core.KindDPKG, fmt.Sprintf("dpkg's database cannot be read: %v", err)), true
	}
	for _, r := range records {
		e := d.judge(ctx, r, digest)
		if !ok || e.Standing == core.Trusted || e.Standing == core.Broken && best.Standing == core.Untrusted {
			best = e
		}
		if ok = true; best.Standing == core.Trusted {
			break
		}
	}
	if ok && best.Standing == core.Broken && d.busy() {
		best.Standing, best.Reason = core.Untrusted, "dpkg is at work, or was interrupted: its database does not say yet which file belongs there"
	}
	return best, ok
}

func (d *dpkg) judge(ctx context.Context, r record, digest Digest) core.Evidence {
	if r.pkg == nil || !r.pkg.whole() {
		state := "not known to dpkg"
		if r.pkg != nil {
			state = fmt.Sprintf("in the state %q", r.pkg.state)
		}
		return unknown(core.KindDPKG, fmt.Sprintf("the file belongs to package %s, which is %s", r.named, state))
	}
	e := unknown(core.KindDPKG, "")
	e.Signer, e.Digest = r.pkg.String(), "MD5"
	want, config, err := d.recorded(r)
	if err != nil {
		e.Reason = fmt.Sprintf("what package %s recorded about the file cannot be read: %v", r.pkg.name, err)
		return e
	}
	if want == nil {
		e.Reason = fmt.Sprintf("package %s has the file and no digest of it", r.pkg.name)
		return e
	}
	got, err := digest(ctx, crypto.MD5)
	if err != nil {
		e.Reason = fmt.Sprintf("the file could not be compared with what package %s installed: %v", r.pkg.name, err)
		return e
	}
	note(&e, checkRecord, core.Passed, r.path)
	switch {
	case bytes.Equal(got, want):
		e.Standing = core.Trusted
		e.Reason = fmt.Sprintf("it is what package %s installed, by an MD5 digest that nobody has signed", r.pkg)
		note(&e, checkDigest, core.Passed, "MD5")
		note(&e, checkSignature, core.NotChecked, "dpkg keeps none")
	case config:
		e.Reason = fmt.Sprintf("it is a configuration file of package %s, changed since", r.pkg.name)
		note(&e, checkDigest, core.Failed, "MD5")
	default:
		e.Standing = core.Broken
		e.Reason = fmt.Sprintf("it is not what package %s installed", r.pkg)
		note(&e, checkDigest, core.Failed, "MD5")
	}
	return e
}

// recorded returns the digest that a package has of a file, nil if none, and
// whether people are expected to change the file.
func (d *dpkg) recorded(r record) (digest []byte, config bool, err error) {
	if sum, ok := r.pkg.conffiles[r.path]; ok {
		digest, err := hex.DecodeString(sum)
		if err != nil || len(digest) != crypto.MD5.Size() { // "newconffile"
			return nil, true, nil
		}
		return digest, true, nil
	}
	data, err := d.cfg.read(dpkgInfo+"/"+r.named+".md5sums", maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err == nil {
		digest, err = findMD5(data, r.path)
	}
	return digest, false, err
}
