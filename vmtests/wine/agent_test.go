//go:build linux

package wine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// install puts an agent on drive C.
func install(t *testing.T) *agent {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	m := windows(t, t.TempDir())
	drive := filepath.Join(m.root, prefix, "drive_c")
	a := &agent{m, t, ctx, filepath.Join(drive, "KPM")}
	for dir, packages := range map[string][]string{
		".":                          {"kpm/cmd/KeeperPrivilegeManager", "kpm/cmd/KeeperAdminCLI", "kpm/cmd/keeperlaunch", "kpm/cmd/keeperreader", "kpm/cmd/keepersudo", "kpm/cmd/KeeperRunAs", "kpm/cmd/keeperAgent"},
		"Plugins/bin/KeeperPolicy":   {"kpm/cmd/KeeperPolicy"},
		"Plugins/bin/KeeperLogger":   {"kpm/cmd/KeeperLogger"},
		"Jobs/bin/RedirectEvaluator": {"kpm/cmd/RedirectEvaluator"},
		"Jobs/bin/KeeperInventory":   {"kpm/cmd/KeeperInventory"},
	} {
		a.folder(filepath.Join(a.root, dir), 0o755)
		build(t, append([]string{"build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(a.root, dir) + "/"}, packages...)...)
	}
	a.folder(filepath.Join(a.root, "Policies"), 0o755)
	a.write("KPM/appsettings.json", `{"Settings": {"KestrelHttpPort": 0, "KestrelHttpsPort": 0}, "MqttBrokerSettings": {"Port": 0}}`, 0o644)
	a.write("KPM/Policies/tools.json", policies, 0o644)
	source := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(source, []byte(toolSource), 0o600); err != nil {
		t.Fatal(err)
	}
	a.folder(filepath.Join(drive, "Tools"), 0o755)
	build(t, "build", "-ldflags", "-s -w", "-o", filepath.Join(drive, "Tools", "tool.exe"), source)
	a.folder(filepath.Join(drive, "Shared"), 0o777)
	program, err := os.ReadFile(filepath.Join(drive, "Tools", "tool.exe"))
	if err != nil {
		t.Fatal(err)
	}
	a.write("Shared/tool.exe", string(program), 0o777)
	return a
}

func (a *agent) folder(path string, mode os.FileMode) {
	a.t.Helper()
	if err := errors.Join(os.MkdirAll(path, 0o755), os.Chmod(path, mode)); err != nil {
		a.t.Fatal(err)
	}
}

func (a *agent) write(name, text string, mode os.FileMode) {
	a.t.Helper()
	path := filepath.Join(filepath.Dir(a.root), name)
	if err := errors.Join(os.WriteFile(path, []byte(text), mode), os.Chmod(path, mode)); err != nil {
		a.t.Fatal(err)
	}
}

// run runs a program to its end.
func (a *agent) run(program string, args ...string) (status int, out string) {
	a.t.Helper()
	text, err := outputOf(a.t, a.Command(a.ctx, program, args...))
	return a.status(err), string(text)
}

func (a *agent) status(err error) int {
	a.t.Helper()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		a.t.Fatal(err)
	}
	if exit != nil {
		return exit.ExitCode()
	}
	return 0
}

// must is run for what has to succeed.
func (a *agent) must(program string, args ...string) string {
	a.t.Helper()
	status, out := a.run(program, args...)
	if status != 0 {
		a.t.Fatalf("%s %q: exit code %d\n%s", program, args, status, out)
	}
	return out
}

// sudo runs a command by keepersudo.exe, on pipes.
func (a *agent) sudo(input []byte, argv ...string) (status int, out, said []byte) {
	a.t.Helper()
	cmd := a.Command(a.ctx, inside+`\keepersudo.exe`, append([]string{"--root", inside}, argv...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &stdout, &stderr
	cmd.WaitDelay = patience // somebody else has the pipes: said here, instead of waited for
	return a.status(cmd.Run()), stdout.Bytes(), stderr.Bytes()
}

// patience is how long the service may take to start or to stop.
const patience = 2 * time.Minute

// ready waits until the service has written run/ports.json, and returns its pid.
func (a *agent) ready() int {
	a.t.Helper()
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		var ports struct {
			PID int `json:"pid"`
		}
		data, err := os.ReadFile(filepath.Join(a.root, "run", "ports.json"))
		if err == nil && json.Unmarshal(data, &ports) == nil && ports.PID != 0 {
			return ports.PID
		}
	}
	status, out := a.run(system+"sc.exe", "query", "KeeperPrivilegeManager")
	a.t.Fatalf("the service is not ready; sc.exe says (exit code %d): %s", status, out)
	return 0
}

// boot starts the machine, and with it the service. sc.exe start would meet what
// Wine does by itself: without programs it shuts down, and boots for the next one.
func (a *agent) boot() {
	a.t.Helper()
	if err := a.Restart(a.ctx); err != nil {
		a.t.Fatal(err)
	}
	a.must(system+"cmd.exe", "/c", "exit")
	a.ready()
}

// hold keeps Windows running without the service: the next program would boot it
// otherwise, and the service with it, on that program's pipes.
func (a *agent) hold() {
	a.t.Helper()
	input, hold, err := os.Pipe()
	if err != nil {
		a.t.Fatal(err)
	}
	defer input.Close()
	holder := a.Command(a.ctx, tool, "0")
	holder.Stdin = input
	if err := holder.Start(); err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() {
		hold.Close()
		holder.Wait() // its status is of no interest
	})
}

// stopped waits until the manager says that the service has stopped, or that there
// is none.
func (a *agent) stopped() {
	a.t.Helper()
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if status, out := a.run(system+"sc.exe", "query", "KeeperPrivilegeManager"); status != 0 || strings.Contains(out, "STOPPED") {
			return
		}
	}
	a.t.Fatal("the service does not stop")
}

// record is what is looked at of a record of the journal.
type record struct {
	Type, Request, UserID, TargetID string
	Program                         struct {
		Path      string
		Protected bool
	}
	Exit   *struct{ Code, Signal int }
	Origin *struct{ By, Agent string }
	Child  *struct{ Group string }
}

// journal returns the records about requests.
func (a *agent) journal() (records []record) {
	a.t.Helper()
	segments, err := filepath.Glob(filepath.Join(a.root, "Audit", "*.jsonl"))
	if err != nil || len(segments) == 0 {
		a.t.Fatalf("no journal: %v", err)
	}
	for _, segment := range segments {
		data, err := os.ReadFile(segment)
		if err != nil {
			a.t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			var r record
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				a.t.Fatalf("%v in %s", err, line)
			}
			if r.Request != "" {
				records = append(records, r)
			}
		}
	}
	return records
}

// last returns the records of the last request, and their types.
func (a *agent) last() (records []record, types string) {
	a.t.Helper()
	all := a.journal()
	if len(all) == 0 {
		a.t.Fatal("the journal names no request")
	}
	id := all[len(all)-1].Request
	for _, r := range all {
		if r.Request == id {
			records = append(records, r)
			types += " " + r.Type
		}
	}
	return records, strings.TrimPrefix(types, " ")
}

// verify has the journal verified.
func (a *agent) verify() {
	a.t.Helper()
	if out := a.must(inside+`\KeeperAdminCLI.exe`, "--root", inside, "audit", "verify"); !strings.Contains(out, "unbroken") {
		a.t.Errorf("audit verify: %s", out)
	}
}
