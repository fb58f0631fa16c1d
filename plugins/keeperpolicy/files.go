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
	sparing     func()          // Config.Sparing
	wide        func(many bool) // Config.Wide
	files       int
	bytes       int64
	many        bool // more than manyBytes
	// before are the files of the set in force; nil if there is none. good are
	// those of this one.
	before, good map[string]text
	packer       packer
	// unusable is true if it is not even known which files there are, or not all
	// of them could be read.
	unusable bool
}

// begin says that many policies are being read, and end that they have been.
func (r *reading) begin() {
	r.many = true
	if r.sparing != nil {
		r.sparing()
	}
	if r.wide != nil {
		r.wide(true)
	}
}

func (r *reading) end() {
	if r.many && r.wide != nil {
		r.wide(false)
	}
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
		root: cfg.Root, sparing: cfg.Sparing, wide: cfg.Wide, engine: policy.New(policy.Kinds(), controls.Standard()),
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

// each takes the files of folders whose names are meant, in their order. Of many, while
// it is found out what one means, the next is read and parsed beside that.
func (r *reading) each(list []listing, meant func(name string) bool) {
	var next []source
	for _, l := range list {
		for _, name := range l.names {
			if meant(name) {
				next = append(next, source{l, name})
			}
		}
	}
	for len(next) > 0 && !r.many {
		r.one(r.file(next[0]))
		next = next[1:]
	}
	if len(next) == 0 || r.bytes > maxBytes {
		return
	}
	stop, read := make(chan struct{}), make(chan parsed)
	go r.ahead(next, read, stop)
	for p := range read {
		if r.one(p); r.bytes > maxBytes {
			break
		}
	}
	close(stop)
	for range read { // it has ended when read is closed
	}
}

// source is a file that is to be read.
type source struct {
	listing
	name string
}

// ahead reads and parses files until stop is closed.
func (r *reading) ahead(files []source, read chan<- parsed, stop <-chan struct{}) {
	defer close(read)
	for _, f := range files {
		p := r.file(f)
		select {
		case <-stop: // else somebody may still receive
			return
		default:
		}
		select {
		case read <- p:
		case <-stop:
			return
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

// parsed is what a file holds, before that has a meaning on this machine.
type parsed struct {
	path        string
	data        []byte
	err         error // why it could not be read
	policies    []policy.Policy
	collections map[string]policy.Collection
	findings    []policy.Finding
}

func (p parsed) isCollections() bool { return filepath.Base(p.path) == collectionsFile }

// file reads and parses a file. It changes nothing of r.
func (r *reading) file(f source) parsed {
	path := filepath.Join(f.path, f.name)
	data, err := f.folder.Read(f.name, policy.MaxFile)
	if err != nil {
		return parsed{path: path, err: err}
	}
	return r.parse(path, data)
}

func (r *reading) parse(path string, data []byte) parsed {
	p := parsed{path: path, data: data}
	if p.isCollections() {
		p.collections, p.findings = policy.ParseCollections(r.name(path), data)
	} else {
		p.policies, p.findings = r.engine.Parse(r.name(path), data)
	}
	return p
}

// one takes a file, as it was last good if it cannot be used as it is.
func (r *reading) one(p parsed) {
	ok := r.counts(p)
	if r.bytes > maxBytes {
		return
	}
	old, had := r.before[p.path]
	switch ok = ok && r.take(p); {
	case ok && had && old.is(p.data):
		r.good[p.path] = old
	case ok:
		r.good[p.path] = r.packer.pack(p.data)
	case had:
		known := len(r.findings)
		if was, err := old.unpack(); err != nil || !r.take(r.parse(p.path, was)) {
			r.unusable = true // what is in force is, so it cannot be
		}
		r.findings = r.findings[:known] // they were said when it was good
		r.good[p.path] = old
	case p.isCollections():
		// Without it, UIDs in other files would be read as names.
		r.unusable = true
	}
}

// take adds what a file holds, unless it cannot be read to its end.
func (r *reading) take(p parsed) bool {
	r.findings = append(r.findings, p.findings...)
	if policy.Faulty(p.findings) {
		return false
	}
	if p.isCollections() {
		r.addCollections(p.path, p.collections)
	} else {
		r.compilation.Add(p.policies)
	}
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

// counts counts a file's bytes, and reports false if it could not be read, or if there are
// too many.
func (r *reading) counts(p parsed) bool {
	switch {
	case errors.Is(p.err, core.ErrTooLarge):
		r.refuse(p.path, "more than that", fmt.Sprintf("at most %d bytes", policy.MaxFile), "split the file")
		return false
	case p.err != nil:
		r.refuse(p.path, p.err.Error(), "a file that administrators alone can change", "links are not followed")
		return false
	}
	if r.bytes += int64(len(p.data)); r.bytes > manyBytes && !r.many {
		r.begin()
	}
	if r.bytes > maxBytes {
		r.unusable = true
		r.refuse(p.path, "more than that before it", fmt.Sprintf("at most %d bytes of policies", int64(maxBytes)), "")
		return false
	}
	return true
}
