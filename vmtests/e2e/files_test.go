//go:build linux

package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kpm/vmtests/agent"
)

// badFiles are what no reader of ours takes, whatever the file is for.
var badFiles = []struct {
	name string
	put  func(path string) error
}{
	{"cut short", holding(`{"id": "x", "PolicyId": "x",`)},
	{"no object", holding(`"text"`)},
	{"not text", holding("{\"id\": \"\xff\xfe\"}")},
	{"empty", holding("")},
	{"deeper than any reader goes", holding(strings.Repeat(`{"a":`, 10000) + "1" + strings.Repeat("}", 10000))},
	{"huge", holding("{\"id\": \"" + strings.Repeat("x", 17<<20) + "\"}")},
	{"a FIFO", func(path string) error { return syscall.Mkfifo(path, 0o600) }},
	{"a link", func(path string) error { return os.Symlink("/etc/passwd", path) }},
	{"a file of somebody else's", func(path string) error {
		return errors.Join(holding("{}")(path), os.Chown(path, 4343, 0))
	}},
}

func holding(text string) func(string) error {
	return func(path string) error { return os.WriteFile(path, []byte(text), 0o644) }
}

// replace puts a bad file in the place of name below the agent root.
func replace(t *testing.T, a *agent.Agent, name string, put func(string) error) {
	t.Helper()
	path := filepath.Join(a.Root, name)
	err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), put(path+".next"), os.Rename(path+".next", path))
	if err != nil {
		t.Fatal(err)
	}
}

// TestBadSettings: the service does not start, and says which file it is.
func TestBadSettings(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, tc := range badFiles {
		replace(t, a, "appsettings.json", tc.put)
		_, err := a.Start(t.Context())
		if err == nil {
			t.Fatalf("%s: the service started", tc.name)
		}
		if last := lastLine(err.Error()); !strings.Contains(last, "appsettings.json") || len(last) > 2000 {
			t.Errorf("%s: the service said %.2000s", tc.name, last)
		}
	}
}

// TestBadPluginsAndJobs: each bad file disables what it describes and nothing
// else, and is named where an administrator looks.
func TestBadPluginsAndJobs(t *testing.T) {
	ids := map[string]string{}
	a := newAgent(t, allowAll, func(a *agent.Agent) {
		for i, tc := range badFiles {
			id := string(rune('A' + i))
			ids[id] = tc.name
			replace(t, a, "Plugins/Bad"+id+".json", tc.put)
			replace(t, a, "Jobs/bad"+id+".json", tc.put)
		}
	})
	plugins, err := a.Admin(t.Context(), "plugins", "list")
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := a.Admin(t.Context(), "jobs", "list")
	if err != nil {
		t.Fatal(err)
	}
	for id, name := range ids {
		for file, list := range map[string]string{"Bad" + id: plugins, "bad" + id: jobs} {
			if line := lineWith(list, file); line == "" || len(line) > 2000 {
				t.Errorf("%s: %s is listed as %.2000q", name, file, line)
			}
			if line := lineWith(a.Log(), file+".json"); line == "" || len(line) > 2000 {
				t.Errorf("%s: of %s.json the log says %.2000q", name, file, line)
			}
		}
	}
	if out, err := a.Sudo(t.Context(), 4242, "id", "-u").CombinedOutput(); err != nil || string(out) != "0\n" {
		t.Errorf("%v: %s", err, out)
	}
}

// TestBadPolicies: of a file that cannot be read the last good version stays in
// force, beside what the others say by then, and the log names it. If one is there
// from the start, nothing is allowed.
func TestBadPolicies(t *testing.T) {
	a := newAgent(t, strings.Replace(allowAll, `"ApplicationCheck":["*"]`, `"ApplicationCheck":["/usr/bin/id"]`, 1), nil)
	names := []string{"Policies/bad.json", "Policies/collections.json", "Policies/synced/bad.json", "Policies/synced/collections.json"}
	replace(t, a, "Policies/collections.json", holding("{}"))
	replace(t, a, "Policies/synced/collections.json", holding("{}"))
	another := func(program string) {
		replace(t, a, "Policies/another.json", holding(strings.Replace(strings.Replace(allowAll, "all", "another", 1), `"ApplicationCheck":["*"]`, `"ApplicationCheck":["/usr/bin/`+program+`"]`, 1)))
	}
	complaints := func(name string) int {
		data, _ := os.ReadFile(filepath.Join(a.Root, "Plugins/bin/KeeperLogger/Log/KeeperLogger.log"))
		return strings.Count(string(data), "KeeperPolicy: "+name)
	}
	allowed := func(command string) bool { return a.Sudo(t.Context(), 4242, command).Run() == nil }
	another("uname")
	eventually(t, "good collections have been read", func() bool { return allowed("uname") })
	for i, tc := range badFiles {
		before := map[string]int{}
		for _, name := range names {
			before[name] = complaints(name)
			replace(t, a, name, tc.put)
		}
		now, then := []string{"whoami", "uname"}[i%2], []string{"uname", "whoami"}[i%2]
		another(now)
		eventually(t, tc.name+": each file is named", func() bool {
			for _, name := range names {
				if complaints(name) == before[name] {
					return false
				}
			}
			return true
		})
		eventually(t, tc.name+": the others are in force", func() bool { return allowed(now) && !allowed(then) })
		if !allowed("id") {
			t.Errorf("%s: it has taken the force of another file", tc.name)
		}
	}
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if allowed("id") {
		t.Error("allowed without a good policy file")
	}
	for _, name := range names {
		if err := os.Remove(filepath.Join(a.Root, name)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the good files are in force", func() bool { return allowed("id") && allowed("whoami") })
}

// lastLine is the last line of text that says something.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
