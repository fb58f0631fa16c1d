package keeperpolicy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kpm/core"
	"kpm/core/fault"
	"kpm/core/policy"
)

// linter reads files that need not be trusted yet.
type linter struct {
	*reading
	at      string // the agent root
	tools   Tools
	sources map[string][]byte
	written []policy.Policy // in the order of their files
}

// argument reads a file, or every policy file of a folder.
func (l *linter) argument(path string) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		l.policies(path)
		return
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		l.refuse(path, err.Error(), "a folder that can be read", "")
		return
	}
	var files []string
	for _, entry := range entries {
		name := entry.Name()
		switch {
		case entry.IsDir() && name == syncedFolder:
			defer l.argument(filepath.Join(path, name)) // after its own, as the service does
		case entry.IsDir() || strings.HasPrefix(name, ".") || !strings.EqualFold(filepath.Ext(name), ".json"):
		case name == collectionsFile:
			l.collections(filepath.Join(path, name))
		default:
			files = append(files, filepath.Join(path, name))
		}
	}
	for _, file := range files {
		l.policies(file)
	}
}

func (l *linter) policies(path string) {
	if data, ok := l.file(path); ok {
		policies, findings := l.engine.Parse(path, data)
		l.written = append(l.written, policies...)
		l.findings = append(l.findings, findings...)
	}
}

func (l *linter) collections(path string) {
	if data, ok := l.file(path); ok {
		collections, findings := policy.ParseCollections(path, data)
		l.findings = append(l.findings, findings...)
		l.addCollections(path, collections)
	}
}

// file reads a file, and says what would keep the service from reading it.
func (l *linter) file(path string) ([]byte, bool) {
	data, err := os.ReadFile(path)
	if err != nil {
		l.refuse(path, err.Error(), "a file that can be read", "")
		return nil, false
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	l.sources[path] = data
	l.files++
	l.bytes += int64(len(data))
	switch {
	case l.files == maxFiles+1:
		l.refuse(path, "more files", fmt.Sprintf("at most %d", maxFiles), "the service reads none then; a file may hold many policies in an array")
	case l.bytes > maxBytes && l.bytes-int64(len(data)) <= maxBytes:
		l.refuse(path, "more than that before it", fmt.Sprintf("at most %d bytes of policies", int64(maxBytes)), "the service reads none then")
	}
	l.modes(path)
	return data, true
}

// modes looks whether the service will read a file that lies where it looks, or
// would read one like it.
func (l *linter) modes(path string) {
	full, err := filepath.Abs(path)
	if err != nil {
		return
	}
	dir, name := filepath.Split(full)
	if slices.Contains(folders(filepath.Clean(l.at)), filepath.Clean(dir)) && l.tools.Open != nil {
		folder, err := l.tools.Open(l.at, filepath.Clean(dir))
		if errors.Is(err, errors.ErrUnsupported) {
			return
		}
		if err == nil {
			defer folder.Close()
			_, err = folder.Read(name, policy.MaxFile)
		}
		if err != nil && !errors.Is(err, core.ErrTooLarge) {
			l.refuse(path, err.Error(), "a file that administrators alone can change", "the service refuses it as it is")
		}
		return
	}
	info, err := os.Lstat(full)
	if err != nil || platform() == core.Windows {
		return
	}
	found := ""
	switch {
	case info.Mode()&os.ModeSymlink != 0:
		found = "a link"
	case info.Mode().Perm()&0o022 != 0:
		found = fmt.Sprintf("mode %04o", info.Mode().Perm())
	default:
		return
	}
	l.findings = append(l.findings, policy.Finding{Severity: policy.Note, Index: -1, Fault: fault.Fault{
		File: path, Found: found, Expected: "a file that root owns and nobody else can write",
		Remedy: "the service refuses it as it is: put it in place with install -o root -g root -m 0644",
	}})
}

// ownPolicies reports whether a file lies where policies for this machine alone do.
// What is synchronised may be for many, and name people of others.
func (l *linter) ownPolicies(path string) bool {
	folder, err := filepath.Abs(folders(l.at)[0])
	full, errFull := filepath.Abs(path)
	return err == nil && errFull == nil && filepath.Dir(full) == folder
}

// localNames reports whether this machine's own files and database say who there is.
func localNames() bool {
	switch platform() {
	case core.Linux:
		return !namesDirectory("/etc/nsswitch.conf", "passwd")
	case core.Windows:
		return true
	default: // without cgo nothing asks macOS's directory
		return false
	}
}

// jobsOf says which jobs an agent root has; nil if it cannot be seen.
func jobsOf(root string) func(id string) bool {
	entries, err := os.ReadDir(filepath.Join(root, "Jobs"))
	if err != nil {
		return nil
	}
	return func(id string) bool {
		return slices.ContainsFunc(entries, func(entry os.DirEntry) bool { return strings.EqualFold(entry.Name(), id+".json") })
	}
}

// trustsNobody reports whether the settings of an agent root name no signer. Settings
// that cannot be read may name some.
func trustsNobody(root string) bool {
	data, err := os.ReadFile(filepath.Join(root, "appsettings.json"))
	if errors.Is(err, os.ErrNotExist) {
		_, err = os.Stat(root)
		return err == nil
	}
	var named struct {
		Settings struct{ AlternativeSignatures []string }
		Trust    struct{ Roots, AppleRoots, FileCertificates, OpenPgpKeys []string }
	}
	if err != nil || json.Unmarshal(bytes.TrimPrefix(data, []byte("\ufeff")), &named) != nil {
		return false
	}
	t := named.Trust
	return len(named.Settings.AlternativeSignatures)+len(t.Roots)+len(t.AppleRoots)+len(t.FileCertificates)+len(t.OpenPgpKeys) == 0
}

// facts are those of this machine, at the time now on its clock.
func facts(resolve resolver, now time.Time) policy.Facts {
	return policy.Facts{
		Now:  now,
		User: func(name string) bool { _, err := user.Lookup(name); return err == nil },
		Group: func(name string) bool {
			_, err := user.LookupGroup(name)
			return err == nil
		},
		UserID:  func(id string) bool { _, err := user.LookupId(id); return err == nil },
		GroupID: func(id string) bool { _, err := user.LookupGroupId(id); return err == nil },
		Program: func(path string) (string, bool, bool) {
			if resolve == nil {
				return path, false, true
			}
			to, err := resolve(path, nil)
			if errors.Is(err, errors.ErrUnsupported) {
				return path, false, true // whatever it is
			}
			if err != nil {
				return path, false, false
			}
			info, err := os.Stat(to)
			return to, err == nil && info.IsDir(), err == nil
		},
	}
}
