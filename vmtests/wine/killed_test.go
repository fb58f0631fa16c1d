//go:build linux

package wine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// waitSource is a task's program that takes longer than any test.
const waitSource = `package main

import "time"

func main() { time.Sleep(time.Hour) }
`

// holdSource makes a keeperlaunch that is created while there is a file C:\Shared\hold
// wait before it reads its orders, until somebody removes the file.
const holdSource = `package main

import (
	"os"
	"time"
)

func init() {
	for {
		if _, err := os.Stat("C:/Shared/hold"); err != nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}
`

// slow is a job in place of a default one, whose first task never ends.
func slow(id, event string) string {
	return fmt.Sprintf(`{"id": %q, "name": "Slowly", "enabled": true, "events": [{"eventType": "Custom", "customEvent": %q}],
  "tasks": [{"id": "wait", "ExecutionType": "Service", "command": "wait", "timeoutSeconds": 3000}]}`, id, event)
}

// begin starts the service by hand: whoever is killed under Wine stays RUNNING to the
// service control manager.
func (a *agent) begin() (service *exec.Cmd, pid int) {
	a.t.Helper()
	log, err := os.Create(filepath.Join(a.t.TempDir(), "log"))
	if err != nil {
		a.t.Fatal(err)
	}
	defer log.Close()
	if err := os.Remove(filepath.Join(a.root, "run", "ports.json")); err != nil && !os.IsNotExist(err) {
		a.t.Fatal(err)
	}
	service = a.Command(a.ctx, inside+`\KeeperPrivilegeManager.exe`, "run", "--root", inside)
	service.Stdout, service.Stderr = log, log
	if err := service.Start(); err != nil {
		a.t.Fatal(err)
	}
	return service, a.ready()
}

// kill is TerminateProcess of the service.
func (a *agent) kill(service *exec.Cmd, pid int) {
	a.t.Helper()
	a.must(system+"taskkill.exe", "/f", "/pid", strconv.Itoa(pid))
	service.Wait() // its status is that of a process which was killed
}

// processes are those of this machine that run a program, as the host numbers them.
func (a *agent) processes(program string) (pids []int) {
	a.t.Helper()
	mine, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", a.leader))
	if err != nil {
		a.t.Fatal(err)
	}
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		a.t.Fatal(err)
	}
	for _, entry := range entries {
		line, err := os.ReadFile(filepath.Join(entry, "cmdline"))
		theirs, _ := os.Readlink(filepath.Join(entry, "ns", "pid"))
		if pid, number := strconv.Atoi(filepath.Base(entry)); err == nil && number == nil && theirs == mine && bytes.Contains(line, []byte(program)) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// freeze stops all processes of a program until the test ends or thaw is called.
func (a *agent) freeze(program string) (thaw func()) {
	a.t.Helper()
	pids := a.processes(program)
	if len(pids) == 0 {
		a.t.Fatalf("no %s runs", program)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			a.t.Fatal(err)
		}
	}
	thaw = func() {
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGCONT) // it may have ended
		}
	}
	a.t.Cleanup(thaw)
	return thaw
}

// holdable puts a keeperlaunch in place that holdHelpers can hold: who is stopped while
// it is being created holds the service, which waits for that.
func (a *agent) holdable() {
	a.t.Helper()
	dir := a.t.TempDir()
	source, overlay := filepath.Join(dir, "hold.go"), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(source, []byte(holdSource), 0o600); err != nil {
		a.t.Fatal(err)
	}
	folder, err := filepath.Abs("../../cmd/keeperlaunch")
	if err != nil {
		a.t.Fatal(err)
	}
	// go help build, -overlay: files that are not on disk.
	added, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(folder, "hold.go"): source}})
	if err != nil {
		a.t.Fatal(err)
	}
	if err := os.WriteFile(overlay, added, 0o600); err != nil {
		a.t.Fatal(err)
	}
	build(a.t, "build", "-trimpath", "-overlay", overlay, "-ldflags", "-s -w", "-o", a.root+"/", "kpm/cmd/keeperlaunch")
}

// holdHelpers holds the helpers that are created from now on, until the test ends or
// release is called.
func (a *agent) holdHelpers() (release func()) {
	a.t.Helper()
	a.write("Shared/hold", "", 0o644)
	release = func() { os.Remove(filepath.Join(filepath.Dir(a.root), "Shared", "hold")) } // it may be gone
	a.t.Cleanup(release)
	return release
}

// The service is killed at every state of a request. Its caller hears of it, the next
// service ends what is left and says so, nothing runs that had not been let go, the next
// command works, and the journal is whole.
func TestAServiceThatIsKilledOnWindows(t *testing.T) {
	a := install(t)
	source := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(source, []byte(waitSource), 0o600); err != nil {
		t.Fatal(err)
	}
	a.folder(filepath.Join(a.root, "Jobs", "bin", "wait"), 0o755)
	build(t, "build", "-ldflags", "-s -w", "-o", filepath.Join(a.root, "Jobs", "bin", "wait", "wait.exe"), source)
	a.holdable()
	asked := strings.ReplaceAll(policies, "ALLOW", "JUSTIFY")
	for _, c := range []struct {
		state   string
		records string // of the request when the service is killed
		runs    bool
		freeze  string            // a program that is stopped before somebody asks
		helper  bool              // the helper that is created for the request is held
		files   map[string]string // in place of others
	}{
		{state: "Evaluating", records: "opened evaluating", freeze: "KeeperPolicy.exe"},
		{state: "Pending", records: "opened evaluating pending", files: map[string]string{
			"KPM/Policies/tools.json":                           asked,
			"KPM/Jobs/privilege-elevation-policy-controls.json": slow("privilege-elevation-policy-controls", "PolicyEvaluationPending"),
		}},
		{state: "Allowed", records: "opened evaluating allowed", files: map[string]string{
			"KPM/Jobs/LaunchPrivilegeElevation.json": slow("LaunchPrivilegeElevation", "LaunchPrivilegeElevation"),
		}},
		{state: "Launching", records: "opened evaluating allowed launching launched", helper: true}, // on record before it is let go
		{state: "Running", records: "opened evaluating allowed launching launched", runs: true},
	} {
		t.Run(c.state, func(t *testing.T) {
			a := &agent{a.Machine, t, a.ctx, a.root}
			for name, text := range c.files {
				path := filepath.Join(filepath.Dir(a.root), name)
				before, err := os.ReadFile(path)
				a.write(name, text, 0o644)
				t.Cleanup(func() {
					if err != nil {
						os.Remove(path) // the next service writes its own
						return
					}
					a.write(name, string(before), 0o644)
				})
			}
			service, pid := a.begin()
			t.Cleanup(func() { a.kill(service, pid) })
			thaw := func() {}
			if c.freeze != "" {
				thaw = a.freeze(c.freeze)
			}
			if c.helper {
				thaw = a.holdHelpers()
			}
			// A command that waits for input which does not come.
			caller := a.Command(a.ctx, inside+`\keepersudo.exe`, "--root", inside, tool, "0")
			input, hold, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer hold.Close()
			said, says, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			caller.Stdin, caller.Stderr = input, says
			asked := len(a.journal())
			if err := caller.Start(); err != nil {
				t.Fatal(err)
			}
			input.Close()
			says.Close()
			for until := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
				if len(a.journal()) > asked {
					if _, types := a.last(); types == c.records {
						break
					}
				}
				if time.Now().After(until) {
					_, types := a.last()
					t.Fatalf("recorded: %s, expected %s", types, c.records)
				}
			}
			if c.runs {
				first := make([]byte, 64)
				if n, err := said.Read(first); err != nil || n == 0 {
					t.Fatalf("%q, %v", first[:n], err)
				}
			} else if runs := a.processes(tool); len(runs) > 1 { // keepersudo's own command line names it
				t.Errorf("it runs: %v", runs)
			}

			a.kill(service, pid)
			if status := a.status(caller.Wait()); status != 1 {
				t.Errorf("the caller ended with exit code %d", status)
			}
			thaw()
			service, pid = a.begin()
			records, types := a.last()
			if want := c.records + " failed"; types != want {
				t.Errorf("recorded: %s, expected %s; %+v", types, want, records[len(records)-1])
			}
			if _, err := io.Copy(io.Discard, said); err != nil { // which ends with the command
				t.Error(err)
			}
			if runs := a.processes(tool); len(runs) > 0 {
				t.Errorf("it is left: %v", runs)
			}
			a.verify()
			if len(c.files) == 0 {
				if status, _, said := a.sudo(nil, "cmd", "/c", "exit", "5"); status != 5 {
					t.Errorf("the next command: exit code %d, %s", status, said)
				}
			}
		})
	}
}
