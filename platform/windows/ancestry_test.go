//go:build windows

package windows

import (
	"errors"
	"io/fs"
	"os/exec"
	"strings"
	"testing"

	"kpm/core"
)

// What a process descends from, as far up as anybody is left.
func TestAncestors(t *testing.T) {
	cmd := exec.Command(system("cmd.exe"), "/d")
	in, err := cmd.StdinPipe()
	must(t, err)
	must(t, cmd.Start())
	defer cmd.Wait()
	defer in.Close()
	process, err := openPid(cmd.Process.Pid)
	must(t, err)
	a, self := NewAncestry(), NewTree().Self()
	list, err := a.Ancestors(process)
	if err != nil || len(list) < 2 || list[0].ID != process || list[1].ID != self || !strings.HasSuffix(strings.ToLower(list[0].Program), `\cmd.exe`) || list[1].Program == "" {
		t.Fatalf("%+v, %v; expected %v, %v", list, err, process, self)
	}
	if user, err := a.Starter(process); err != nil || user != own().Account.User {
		t.Errorf("it is %s's, %v", user, err)
	}
	later := process
	later.Start++
	if _, err := a.Ancestors(later); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("another process of that number: %v", err)
	}
	in.Close()
	must(t, cmd.Wait())
	if _, err := a.Ancestors(process); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("one that has ended: %v", err)
	}
	if _, err := a.Starter(process); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the user of one that has ended: %v", err)
	}
}

// An interpreter says what it runs by its command line alone. One that keeps it back
// is nobody known.
func TestWordsOfAnInterpreter(t *testing.T) {
	self, err := openPid(NewTree().Self().PID)
	must(t, err)
	process, ok := openExactly(self, processQuery)
	if !ok {
		t.Fatal("this process is not there")
	}
	words, err := NewAncestry().words(process)
	if err != nil && wine() {
		t.Logf("not shown here: the command line of a process: %v", err)
	} else if err != nil || len(words) == 0 || len(words) > maxWords || !strings.Contains(words[0], "tests") {
		t.Errorf("%q, %v", words, err)
	}
	full := NewAncestry()
	full.hangs[own().Account.User] = maxUserHangs
	if words, err := full.words(process); err == nil {
		t.Errorf("beyond what may hang: %q", words)
	}
}

// openPid is the process of a pid now.
func openPid(pid int) (core.ProcessID, error) {
	one, err := NewAncestry().look(pid)
	return one.id, err
}
