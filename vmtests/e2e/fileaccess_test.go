//go:build linux

package e2e

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kpm/vmtests/agent"
)

// fileOf makes a file that everyone may read, in a folder that root alone can change.
// It lies below /etc, which is the test's own.
func fileOf(t *testing.T, name string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/etc", "files-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, name)
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(path, []byte("contents\n"), 0o644), os.Chmod(path, 0o644)); err != nil {
		t.Fatal(err)
	}
	return path
}

// filePolicy is a policy of type FileAccess for one file.
func filePolicy(id, control, user, path string) string {
	return `{"PolicyId": "` + id + `", "PolicyType": "FileAccess", "Status": "enforce", "Actions": {"OnSuccess": {"Controls": ["` + control + `"]}},
		"UserCheck": ["` + user + `"], "MachineCheck": ["*"], "ApplicationCheck": ["` + path + `"]}`
}

// eventually waits until a command of a shell says what it should.
func (s *shell) eventually(line, text string) {
	s.t.Helper()
	said := ""
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if said = s.run(line); strings.Contains(said, text) {
			return
		}
	}
	s.t.Fatalf("%s never said %q, but %s", line, text, said)
}

func fileGrantsOf(t *testing.T, a *agent.Agent) (list []struct{ ID, User, FilePath string }) {
	t.Helper()
	out, err := a.Admin(t.Context(), "filegrants", "list", "--json")
	if err == nil {
		err = json.Unmarshal([]byte(out), &list)
	}
	if err != nil {
		t.Fatal(out, err)
	}
	return list
}

const notAllowed = "Permission denied"

// TestFileAccess: a policy keeps somebody from a file, they are asked for a reason, have
// access for a time, and lose it when that is revoked. After kill -9 in the middle of a
// grant all is as it was to be, and when policy is off the file is as it was.
func TestFileAccess(t *testing.T) {
	path, closed := fileOf(t, "list"), fileOf(t, "closed")
	name := "#4242"
	a := newAgent(t, "["+filePolicy("ask", "JUSTIFY", name, path)+","+filePolicy("never", "DENY", name, closed)+"]", nil)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(a.Log())
		}
	})
	s := newShell(t, a)
	s.eventually("cat "+path, notAllowed)
	s.eventually("cat "+closed, notAllowed)

	s.types("keepersudo --file-access " + path + " --for 30m\r")
	s.until("Reason for opening")
	s.until(": ")
	s.types("the month's end\r")
	if said := s.until(ready); !strings.Contains(said, "access for 30m") {
		t.Errorf("a grant says %q", said)
	}
	if said := s.run("cat " + path); !strings.Contains(said, "contents") {
		t.Errorf("with a grant: %s", said)
	}
	if said := s.run("keepersudo --file-access " + path); !strings.Contains(said, "access for") {
		t.Errorf("who has access already is told: %s", said)
	}
	if said := s.run("keepersudo --file-access " + closed); !strings.Contains(said, "denied by policy") && !strings.Contains(said, "never") {
		t.Errorf("a DENY says %s", said)
	}
	if said := s.run("keepersudo --file-access /etc/shadow"); strings.Contains(said, "access for") {
		t.Errorf("a file that no policy names: %s", said)
	}

	if err := a.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	list := fileGrantsOf(t, a)
	if len(list) != 1 || list[0].FilePath != path {
		t.Fatalf("after kill -9: %+v", list)
	}
	if out, err := a.Admin(t.Context(), "filegrants", "revoke", list[0].ID); err != nil {
		t.Fatal(out, err)
	}
	if said := s.run("cat " + path); !strings.Contains(said, notAllowed) {
		t.Errorf("revoked: %s", said)
	}
	if out, err := a.Admin(t.Context(), "filegrants", "give", name, closed); err == nil || !strings.Contains(out+err.Error(), "policy denies") {
		t.Errorf("an administrator gives what policy denies: %s %v", out, err)
	}

	if err := a.Write("Policies/policy.json", "[]"); err != nil {
		t.Fatal(err)
	}
	s.eventually("cat "+path, "contents")
	for _, path := range []string{path, closed} {
		for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
			if _, err := unix.Getxattr(path, "system.posix_acl_access", nil); err == unix.ENODATA {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s still has a list of ours", path)
			}
		}
		if st, err := os.Stat(path); err != nil || st.Mode() != 0o644 {
			t.Errorf("%s: %v %v", path, st.Mode(), err)
		}
	}
	eventually(t, "the journal has all of it", func() bool {
		seen := map[any]bool{}
		for _, r := range records(t, a) {
			if r["type"] == "file-access" {
				seen[r["cause"]] = true
			}
		}
		return seen["denied"] && seen["restored"] && ended(t, a, "it was revoked")
	})
}

// TestListedFileStaysDenied: asking what one may run says nothing of files, and gives
// nobody back what policy keeps them from.
func TestListedFileStaysDenied(t *testing.T) {
	path := fileOf(t, "closed")
	a := newAgent(t, "["+filePolicy("never", "DENY", "#4242", path)+"]", nil)
	s := newShell(t, a)
	s.eventually("cat "+path, notAllowed)
	if said := s.run("for i in 1 2 3 4 5; do keepersudo -l >/dev/null; sleep 0.2; cat " + path + "; done"); strings.Contains(said, "contents") {
		t.Errorf("after a listing the file is open: %s", said)
	}
}
