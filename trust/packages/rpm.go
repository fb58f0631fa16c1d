package packages

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"

	"kpm/core"
	"kpm/trust/packages/sqlite"
)

// rpmPaths are where rpm keeps its database: today's place, and the one before.
var rpmPaths = [...]string{"/usr/lib/sysimage/rpm/rpmdb.sqlite", "/var/lib/rpm/rpmdb.sqlite"}

// maxOwners bounds how many files of one name, or packages with one directory,
// are looked at.
const maxOwners = 50_000

// maxHeaders bounds how many packages may have one file.
const maxHeaders = 64

// few is how many files of one name are looked at without asking first which
// packages have the directory.
const few = 4

// Unread says in a sentence which database lies there and is not read; nothing
// if there is none.
func (db *Database) Unread() string {
	for _, place := range rpmPaths {
		if _, err := os.Stat(db.cfg.path(place)); err == nil {
			return ""
		}
	}
	for _, place := range rpmPaths {
		for file, form := range map[string]string{"Packages.db": "ndb", "Packages": "Berkeley DB"} {
			name := path.Join(path.Dir(place), file)
			if info, err := os.Stat(db.cfg.path(name)); err == nil && info.Mode().IsRegular() {
				return fmt.Sprintf("the rpm database %s is in the form of %s, which is not read", name, form)
			}
		}
	}
	return ""
}

// rpm is the best that any rpm package says about the file.
func (db *Database) rpm(ctx context.Context, names []string, digest Digest) (core.Evidence, bool) {
	headers, err := db.rpmHeaders(names)
	if errors.Is(err, fs.ErrNotExist) {
		return core.Evidence{}, false
	}
	if err != nil {
		return unknown(core.KindRPM, fmt.Sprintf("rpm's database cannot be read: %v", err)), true
	}
	var best core.Evidence
	found := false
	for _, blob := range headers {
		for _, name := range names {
			e, ok := db.judge(ctx, blob, name, digest)
			if !ok {
				continue
			}
			if !found || rpmWeight(e) > rpmWeight(best) {
				best = e
			}
			found = true
		}
	}
	return best, found
}

// rpmWeight orders what packages say: that these are their bytes, that they are
// not, that nothing can be said.
func rpmWeight(e core.Evidence) int {
	switch e.Standing {
	case core.Trusted:
		return 2 + int(e.Rank)
	case core.Broken:
		return 1
	}
	return 0
}

// rpmHeaders returns the headers of the packages that may have one of the files.
// rpm may change the database meanwhile; then it is read again.
func (db *Database) rpmHeaders(names []string) ([][]byte, error) {
	for tries := 0; ; tries++ {
		headers, steady, err := db.rpmRead(names)
		if steady {
			return headers, err
		}
		if tries == 2 {
			return nil, errors.New("rpm is at work")
		}
	}
}

// rpmRead reads headers and reports whether nobody wrote to the database
// meanwhile.
func (db *Database) rpmRead(names []string) (headers [][]byte, steady bool, err error) {
	var file *os.File
	var place string
	for _, place = range rpmPaths {
		if file, err = db.cfg.Open(db.cfg.path(place)); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return nil, true, err
	}
	defer file.Close()
	before, err := file.Stat()
	if err != nil {
		return nil, true, err
	}
	if info, err := os.Stat(db.cfg.path(place + "-journal")); err == nil && info.Size() > 0 {
		return nil, false, nil // a transaction is under way, or was torn
	}
	log, err := db.cfg.Open(db.cfg.path(place + "-wal"))
	var logBefore os.FileInfo
	switch {
	case err == nil:
		defer log.Close()
		if logBefore, err = log.Stat(); err != nil {
			return nil, true, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, true, err
	}
	var base *sqlite.File
	if logBefore != nil {
		base, err = sqlite.Open(file, before.Size(), log, logBefore.Size())
	} else {
		base, err = sqlite.Open(file, before.Size(), nil, 0)
	}
	if err == nil {
		headers, err = rpmLookup(base, names)
	}
	after, statErr := os.Stat(db.cfg.path(place))
	logAfter, logErr := os.Stat(db.cfg.path(place + "-wal"))
	if logErr != nil {
		logAfter = nil
	}
	return headers, statErr == nil && same(before, after) && same(logBefore, logAfter), err
}

// rpmLookup asks the indexes of rpm's database for files by name and directory.
func rpmLookup(base *sqlite.File, names []string) (headers [][]byte, err error) {
	packages, err := base.Table("Packages")
	if err != nil {
		return nil, err
	}
	var seen []int64
	for _, name := range names {
		owners, err := rpmNumbers(base, "Basenames", path.Base(name))
		if err != nil {
			return nil, err
		}
		if len(owners) > few {
			dirs, err := rpmNumbers(base, "Dirnames", path.Dir(name)+"/")
			if err != nil {
				return nil, err
			}
			slices.Sort(dirs)
			owners = slices.DeleteFunc(owners, func(n int64) bool {
				_, ok := slices.BinarySearch(dirs, n)
				return !ok
			})
		}
		for _, number := range owners {
			if slices.Contains(seen, number) {
				continue
			}
			if seen = append(seen, number); len(seen) > maxHeaders {
				return nil, fmt.Errorf("%w: more than %d packages have %.100q", errMalformed, maxHeaders, name)
			}
			row, err := packages.Row(number)
			if err != nil {
				return nil, err
			}
			if len(row) != 2 || row[1].Kind != sqlite.Blob {
				return nil, fmt.Errorf("%w: package %d of its index is not there", errMalformed, number)
			}
			headers = append(headers, row[1].Bytes)
		}
	}
	return headers, nil
}

// rpmNumbers returns the numbers of the packages that a table has for key.
func rpmNumbers(base *sqlite.File, table, key string) ([]int64, error) {
	index, err := base.Index(table + "_key_idx")
	if err != nil {
		return nil, err
	}
	rows, err := base.Table(table)
	if err != nil {
		return nil, err
	}
	ids, err := index.Find(key, maxOwners)
	if err != nil {
		return nil, err
	}
	numbers := make([]int64, 0, len(ids))
	for _, id := range ids {
		row, err := rows.Row(id)
		if err != nil {
			return nil, err
		}
		if len(row) != 3 || row[1].Kind != sqlite.Integer {
			return nil, fmt.Errorf("%w: row %d of %s", errMalformed, id, table)
		}
		numbers = append(numbers, row[1].Int)
	}
	return numbers, nil
}

// judge holds the file against a package's header. ok is false if the package
// has no such file.
func (db *Database) judge(ctx context.Context, blob []byte, name string, digest Digest) (e core.Evidence, ok bool) {
	h, err := ReadHeader(blob)
	var f File
	if err == nil {
		f, ok, err = h.File(name)
	}
	if err != nil {
		e = unknown(core.KindRPM, fmt.Sprintf("what rpm recorded about the file's package is not readable: %v", err))
		e.Standing = core.Broken
		return e, true
	}
	if !ok {
		return e, false
	}
	pkg := h.Package()
	e = unknown(core.KindRPM, "")
	e.Signer, e.Digest = pkg, f.Hash.String()
	if !db.judgeHeader(ctx, h, &e, f.Hash) {
		return e, true
	}
	if f.Digest == nil {
		e.Reason = fmt.Sprintf("package %s has the file and no digest of it", pkg)
		return e, true
	}
	got, err := digest(ctx, f.Hash)
	if err != nil {
		e.Reason = fmt.Sprintf("the file could not be compared with what package %s installed: %v", pkg, err)
		return e, true
	}
	note(&e, checkRecord, core.Passed, name)
	switch {
	case bytes.Equal(got, f.Digest):
		e.Standing = core.Trusted
		note(&e, checkDigest, core.Passed, f.Hash.String())
		if e.Rank == core.RankPackaged {
			e.Reason = fmt.Sprintf("it is what package %s installed, signed by a trusted key of %s", pkg, e.Signer)
		} else {
			e.Reason = fmt.Sprintf("it is what package %s installed, which no trusted signer has signed", pkg)
		}
	case f.Config:
		e.Reason = fmt.Sprintf("it is a configuration file of package %s, changed since", pkg)
		note(&e, checkDigest, core.Failed, f.Hash.String())
	default:
		e.Standing = core.Broken
		e.Reason = fmt.Sprintf("it is not what package %s installed", pkg)
		note(&e, checkDigest, core.Failed, f.Hash.String())
	}
	return e, true
}

// judgeHeader raises e to RankPackaged if a trusted key has signed the header and the
// digests in it cannot be forged. It reports whether e is still to be judged:
// of a header that is not what was signed nothing is believed.
func (db *Database) judgeHeader(ctx context.Context, h *Header, e *core.Evidence, hash crypto.Hash) bool {
	signature, ok := h.Verify(ctx, db.cfg.Keys(), db.cfg.Now())
	switch {
	case !ok:
		note(e, checkSignature, core.NotChecked, "the package is not signed")
	case signature.Standing == core.Broken:
		e.Standing = core.Broken
		e.Reason = fmt.Sprintf("what rpm recorded about package %s is not what was signed", e.Signer)
		note(e, checkSignature, core.Failed, signature.Reason)
		return false
	case signature.Standing == core.Untrusted:
		note(e, checkSignature, core.Failed, signature.Reason)
	case hash == crypto.MD5 || hash == crypto.SHA1 || hash == crypto.SHA224:
		note(e, checkSignature, core.Failed, "signed, but with file digests of "+hash.String())
	default:
		e.Rank, e.Signer, e.KeyID = core.RankPackaged, signature.Signer, signature.KeyID
		note(e, checkSignature, core.Passed, signature.KeyID)
		note(e, checkRevoked, core.NotChecked, "only revocations that the keyring has are known")
	}
	return true
}
