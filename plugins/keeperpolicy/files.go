package keeperpolicy

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"kpm/core/controls"
	"kpm/core/fault"
	"kpm/core/policy"
)

// Limits of all policy files together.
const (
	maxFiles = 10_000
	maxBytes = 64 << 20
)

// collectionsFile lies beside the policies and holds none.
const collectionsFile = "collections.json"

// reading gathers what the policy folders say.
type reading struct {
	root        string
	owned       func(fs.FileInfo) error
	engine      *policy.Engine
	policies    []policy.Policy
	collections map[string]policy.Collection
	findings    []policy.Finding
	files       int
	bytes       int64
}

// read reads Policies/*.json and Policies/synced/*.json below root. A folder
// that is missing holds nothing.
func read(root string, owned func(fs.FileInfo) error) *reading {
	r := newReading(root, owned)
	for _, dir := range folders(root) {
		r.folder(dir)
	}
	return r
}

func newReading(root string, owned func(fs.FileInfo) error) *reading {
	return &reading{root: root, owned: owned, engine: policy.New(policy.Kinds(), controls.Standard()), collections: map[string]policy.Collection{}}
}

func folders(root string) []string {
	return []string{filepath.Join(root, "Policies"), filepath.Join(root, "Policies", "synced")}
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

func (r *reading) folder(dir string) {
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		r.refuse(dir, err.Error(), "a folder", "")
		return
	}
	if !info.IsDir() {
		r.refuse(dir, "a "+kind(info), "a folder", "links are not followed")
		return
	}
	if !r.trusted(dir, info) {
		return
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		r.refuse(dir, err.Error(), "a folder that can be read", "")
		return
	}
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() || !strings.EqualFold(filepath.Ext(name), ".json") || strings.HasPrefix(name, ".") {
			continue
		}
		if r.files++; r.files > maxFiles {
			r.refuse(dir, "more files", fmt.Sprintf("at most %d", maxFiles), "a file may hold many policies in an array")
			return
		}
		path := filepath.Join(dir, name)
		data, ok := r.file(path)
		switch {
		case !ok:
		case name == collectionsFile:
			r.addCollections(path, data)
		default:
			policies, findings := r.engine.Parse(r.name(path), data)
			r.policies = append(r.policies, policies...)
			r.findings = append(r.findings, findings...)
		}
	}
}

func (r *reading) addCollections(path string, data []byte) {
	collections, findings := policy.ParseCollections(r.name(path), data)
	r.findings = append(r.findings, findings...)
	for uid, c := range collections {
		if _, twice := r.collections[uid]; twice {
			r.refuse(path, fmt.Sprintf("collection %q again", uid), "it in one of the two collections files", "")
		}
		r.collections[uid] = c
	}
}

// file returns a file's bytes. Only a regular file is opened, so that a FIFO
// cannot make the plugin wait, and it must be the one that was looked at.
func (r *reading) file(path string) ([]byte, bool) {
	info, err := os.Lstat(path)
	if err != nil {
		r.refuse(path, err.Error(), "a file", "")
		return nil, false
	}
	if !info.Mode().IsRegular() {
		r.refuse(path, "a "+kind(info), "a regular file", "links are not followed")
		return nil, false
	}
	if !r.trusted(path, info) {
		return nil, false
	}
	f, err := os.Open(path)
	if err != nil {
		r.refuse(path, err.Error(), "a file that can be read", "")
		return nil, false
	}
	defer f.Close()
	opened, err := f.Stat()
	if err != nil || !os.SameFile(info, opened) {
		r.refuse(path, "a file that changed while it was opened", "a file that stays", "it will be read again")
		return nil, false
	}
	data, err := io.ReadAll(io.LimitReader(f, policy.MaxFile+1))
	if err != nil {
		r.refuse(path, err.Error(), "a file that can be read", "")
		return nil, false
	}
	if r.bytes += int64(len(data)); r.bytes > maxBytes {
		r.refuse(path, "more than that before it", fmt.Sprintf("at most %d bytes of policies", int64(maxBytes)), "")
		return nil, false
	}
	return data, true
}

// trusted refuses what someone else could have written: a policy is the power
// to become root.
func (r *reading) trusted(path string, info fs.FileInfo) bool {
	if info.Mode().Perm()&0o022 != 0 {
		r.refuse(path, fmt.Sprintf("mode %04o", info.Mode().Perm()), "nobody but its owner able to write", "chmod go-w "+r.name(path))
		return false
	}
	if r.owned == nil {
		return true
	}
	if err := r.owned(info); err != nil {
		r.refuse(path, err.Error(), "an administrator as its owner", "chown root "+r.name(path))
		return false
	}
	return true
}

func kind(info fs.FileInfo) string {
	switch mode := info.Mode(); {
	case mode&fs.ModeSymlink != 0:
		return "link"
	case mode.IsDir():
		return "folder"
	case mode.IsRegular():
		return "regular file"
	}
	return "special file"
}
