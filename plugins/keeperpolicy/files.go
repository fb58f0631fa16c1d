package keeperpolicy

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"kpm/core"
	"kpm/core/controls"
	"kpm/core/fault"
	"kpm/core/policy"
)

// Limits of all policy files together.
const (
	maxFiles = 100_000
	maxBytes = 64 << 20
)

// manyBytes of policies leave more behind than the heap of a process has anyway.
const manyBytes = 64 << 10

// syncedFolder lies in the policy folder and holds what a backend has sent.
const syncedFolder = "synced"

// collectionsFile lies beside the policies and holds none.
const collectionsFile = "collections.json"

// Folder reads the files of one folder that administrators alone can change, as
// they alone can change the folder and everything above it: a policy is the power
// to become root, so whoever could write one would have it. It waits for nobody.
// Errors wrap core.ErrNotProtected, and then say what to do, or
// core.ErrNotRegular for a link and whatever else is no file.
type Folder interface {
	// Names returns what lies in the folder, folders left out, in no order.
	Names() ([]string, error)
	// Read returns the contents of a file. One of more than limit bytes is
	// core.ErrTooLarge.
	Read(name string, limit int64) ([]byte, error)
	Close() error
}

// reading gathers what the policy folders say.
type reading struct {
	root        string
	engine      *policy.Engine
	perFile     [][]policy.Policy
	collections map[string]policy.Collection
	findings    []policy.Finding
	sparing     func() // Config.Sparing
	files       int
	bytes       int64
	// before are the files of the set in force; nil if there is none. good are
	// those of this one.
	before, good map[string][]byte
	// unusable is true if it is not even known which files there are, or not all
	// of them could be read.
	unusable bool
}

// giveBack gives back what reading so many bytes has left behind, which is many times
// what stays. Of few policies that is less than the heap has anyway. Nobody may hold the
// reading any more.
func giveBack(bytes int64) {
	if bytes > manyBytes {
		debug.FreeOSMemory()
	}
}

func newReading(cfg Config) *reading {
	return &reading{
		root: cfg.Root, sparing: cfg.Sparing, engine: policy.New(policy.Kinds(), controls.Standard()),
		collections: map[string]policy.Collection{}, good: map[string][]byte{},
	}
}

// read reads Policies/*.json and Policies/synced/*.json below root. A folder
// that is missing holds nothing.
func (r *reading) read(cfg Config) {
	for _, path := range folders(cfg.Root) {
		r.folder(path, cfg.Open)
	}
}

func folders(root string) []string {
	return []string{filepath.Join(root, "Policies"), filepath.Join(root, "Policies", syncedFolder)}
}

// refuse records why a file or folder cannot be used.
func (r *reading) refuse(path, found, expected, remedy string) {
	r.findings = append(r.findings, policy.Finding{
		Severity: policy.Fault, Index: -1,
		Fault: fault.Fault{File: r.name(path), Found: found, Expected: expected, Remedy: remedy},
	})
}

// name is path as findings show it: from the agent root.
func (r *reading) name(path string) string {
	if name, err := filepath.Rel(r.root, path); err == nil {
		return name
	}
	return path
}

func (r *reading) folder(path string, open func(path string) (Folder, error)) {
	folder, err := open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return
	case err != nil:
		r.unusable = true
		r.refuse(path, err.Error(), "a folder that administrators alone can change", "links are not followed")
		return
	}
	defer folder.Close()
	names, err := folder.Names()
	if err != nil {
		r.unusable = true
		r.refuse(path, err.Error(), "a folder that can be read", "")
		return
	}
	slices.Sort(names)
	for _, name := range names {
		if !strings.EqualFold(filepath.Ext(name), ".json") || strings.HasPrefix(name, ".") {
			continue
		}
		if r.files++; r.files > maxFiles {
			r.unusable = true
			r.refuse(path, "more files", fmt.Sprintf("at most %d", maxFiles), "a file may hold many policies in an array")
			return
		}
		data, ok := r.file(filepath.Join(path, name), name, folder)
		if r.bytes > maxBytes {
			return
		}
		full := filepath.Join(path, name)
		old, had := r.before[full]
		if ok && bytes.Equal(old, data) {
			data = old // what is in force holds it anyway
		}
		switch ok = ok && r.take(full, data); {
		case ok:
			r.good[full] = data
		case had:
			known := len(r.findings)
			r.take(full, old)
			r.findings = r.findings[:known] // they were said when it was good
			r.good[full] = old
		case name == collectionsFile:
			// Without it, UIDs in other files would be read as names.
			r.unusable = true
		}
	}
}

// take adds what a file holds, unless it cannot be read to its end.
func (r *reading) take(path string, data []byte) bool {
	if filepath.Base(path) == collectionsFile {
		collections, findings := policy.ParseCollections(r.name(path), data)
		r.findings = append(r.findings, findings...)
		if policy.Faulty(findings) {
			return false
		}
		r.addCollections(path, collections)
		return true
	}
	policies, findings := r.engine.Parse(r.name(path), data)
	r.findings = append(r.findings, findings...)
	if policy.Faulty(findings) {
		return false
	}
	r.perFile = append(r.perFile, policies)
	return true
}

// addCollections adds those of one file. One that another file has as well could
// be either.
func (r *reading) addCollections(path string, collections map[string]policy.Collection) {
	for uid, c := range collections {
		if _, twice := r.collections[uid]; twice {
			c = policy.Collection{}
			r.findings = append(r.findings, policy.Finding{Severity: policy.Doubt, Index: -1, Fault: fault.Fault{
				File: r.name(path), Found: fmt.Sprintf("collection %q again", uid), Expected: "it in one of the two collections files",
			}})
		}
		r.collections[uid] = c
	}
}

// file returns a file's bytes.
func (r *reading) file(path, name string, folder Folder) ([]byte, bool) {
	data, err := folder.Read(name, policy.MaxFile)
	switch {
	case errors.Is(err, core.ErrTooLarge):
		r.refuse(path, "more than that", fmt.Sprintf("at most %d bytes", policy.MaxFile), "split the file")
		return nil, false
	case err != nil:
		r.refuse(path, err.Error(), "a file that administrators alone can change", "links are not followed")
		return nil, false
	}
	if r.bytes += int64(len(data)); r.bytes > manyBytes && r.sparing != nil {
		r.sparing()
	}
	if r.bytes > maxBytes {
		r.unusable = true
		r.refuse(path, "more than that before it", fmt.Sprintf("at most %d bytes of policies", int64(maxBytes)), "")
		return nil, false
	}
	return data, true
}
