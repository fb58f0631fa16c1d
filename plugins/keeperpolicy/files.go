package keeperpolicy

import (
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
	compilation *policy.Compilation
	collections map[string]policy.Collection
	findings    []policy.Finding
	sparing     func() // Config.Sparing
	files       int
	bytes       int64
	// before are the files of the set in force; nil if there is none. good are
	// those of this one.
	before, good map[string]text
	packer       packer
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
		collections: map[string]policy.Collection{}, good: map[string]text{},
	}
}

// read reads Policies/*.json and Policies/synced/*.json below root. A folder
// that is missing holds nothing.
func (r *reading) read(cfg Config) {
	var list []listing
	for _, path := range folders(cfg.Root) {
		if l, ok := r.list(path, cfg.Open); ok {
			defer l.folder.Close()
			list = append(list, l)
		}
	}
	// What policies refer to comes first: so nothing is held of a file when it has been read
	// but what its policies mean.
	r.each(list, func(name string) bool { return name == collectionsFile })
	env := machine(cfg.Root, r.collections, true) // until it is known
	env.Resolve = resolveFrom(cfg.Resolve)
	r.compilation = r.engine.Begin(env)
	r.each(list, func(name string) bool { return name != collectionsFile })
}

// each takes the files of folders whose names are meant.
func (r *reading) each(list []listing, meant func(name string) bool) {
	for _, l := range list {
		for _, name := range l.names {
			if meant(name) {
				r.one(l, name)
			}
			if r.bytes > maxBytes {
				return
			}
		}
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

// listing is a folder and which of its files are read, in their order.
type listing struct {
	path   string
	folder Folder
	names  []string
}

// list opens a folder. It is false if there is nothing to read; else the caller closes it.
func (r *reading) list(path string, open func(path string) (Folder, error)) (l listing, ok bool) {
	folder, err := open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return l, false
	case err != nil:
		r.unusable = true
		r.refuse(path, err.Error(), "a folder that administrators alone can change", "links are not followed")
		return l, false
	}
	defer func() {
		if !ok {
			folder.Close()
		}
	}()
	names, err := folder.Names()
	if err != nil {
		r.unusable = true
		r.refuse(path, err.Error(), "a folder that can be read", "")
		return l, false
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		return !strings.EqualFold(filepath.Ext(name), ".json") || strings.HasPrefix(name, ".")
	})
	if r.files += len(names); r.files > maxFiles {
		r.unusable = true
		r.refuse(path, "more files", fmt.Sprintf("at most %d", maxFiles), "a file may hold many policies in an array")
		return l, false
	}
	slices.Sort(names)
	return listing{path, folder, names}, true
}

// one reads a file, and takes it as it was last good if it cannot be used as it is.
func (r *reading) one(l listing, name string) {
	path := filepath.Join(l.path, name)
	data, ok := r.file(path, name, l.folder)
	if r.bytes > maxBytes {
		return
	}
	old, had := r.before[path]
	switch ok = ok && r.take(path, data); {
	case ok && had && old.is(data):
		r.good[path] = old
	case ok:
		r.good[path] = r.packer.pack(data)
	case had:
		known := len(r.findings)
		if was, err := old.unpack(); err != nil || !r.take(path, was) {
			r.unusable = true // what is in force is, so it cannot be
		}
		r.findings = r.findings[:known] // they were said when it was good
		r.good[path] = old
	case name == collectionsFile:
		// Without it, UIDs in other files would be read as names.
		r.unusable = true
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
	r.compilation.Add(policies)
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
