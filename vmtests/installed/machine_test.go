//go:build linux

package installed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kpm/vmtests/agent"
	"kpm/vmtests/machine"
	"kpm/vmtests/terminal"
)

// patience is how long a test waits for what must come to pass, also on a machine
// that is busy with other things.
const patience = 2 * time.Minute

const (
	cache   = "/var/cache/kpm-vmtests"
	root    = "/opt/KeeperPrivilegeManager"
	service = "keeper-privilege-manager.service"
)

// policies: alice may do anything but whoami, for which one must be in the
// group ops. Bob is in it, and may do nothing else.
const policies = `[
 {"PolicyId": "alice", "PolicyName": "Alice administers", "PolicyType": "PrivilegeElevation", "Status": "enforce",
  "Actions": {"OnSuccess": {"Controls": ["ALLOW"]}},
  "UserCheck": ["alice"], "MachineCheck": ["*"], "ApplicationCheck": ["*"], "TargetUserCheck": ["*"]},
 {"PolicyId": "not-whoami", "PolicyName": "Whoami is for ops", "PolicyType": "PrivilegeElevation", "Status": "enforce",
  "Actions": {"OnSuccess": {"Controls": ["DENY"]}},
  "UserCheck": ["alice"], "MachineCheck": ["*"], "ApplicationCheck": ["/usr/bin/whoami"]},
 {"PolicyId": "ops", "PolicyName": "Operators", "PolicyType": "PrivilegeElevation", "Status": "enforce",
  "Actions": {"OnSuccess": {"Controls": ["ALLOW"]}},
  "UserCheck": ["%ops"], "MachineCheck": ["*"], "ApplicationCheck": ["/usr/bin/whoami"], "TargetUserCheck": ["*"]},
  {"PolicyId": "payroll", "PolicyType": "FileAccess", "Status": "enforce", "Actions": {"OnSuccess": {"Controls": ["ALLOW"]}},
   "UserCheck": ["alice"], "MachineCheck": ["*"], "ApplicationCheck": ["/srv/payroll/list"]}
]`

// box is the machine that the tests of this package share. A test that needs another
// one has it here until its end; none runs beside another.
var box *machine.Machine

func TestMain(m *testing.M) {
	terminal.DefaultSignals()
	status, err := inMachine(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = max(status, 1)
	}
	os.Exit(status)
}

func inMachine(run func() int) (status int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 12*time.Minute) // it may have to make the machine first
	defer cancel()
	down, err := up(ctx, machine.Debian12)
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, down()) }()
	return run(), nil
}

// up boots a machine with the agent, and has the tests drive it until down.
func up(ctx context.Context, release machine.Release) (down func() error, err error) {
	tree, err := release.Tree(ctx, cache, os.Stderr)
	if err != nil {
		return nil, err
	}
	booted, err := machine.Boot(ctx, tree, install)
	if err != nil {
		return nil, err
	}
	before := box
	box = booted
	down = func() error {
		box = before
		return booted.Close()
	}
	for _, command := range [][]string{
		{"groupadd", "ops"}, {"usermod", "-aG", "ops", "bob"}, {"systemctl", "enable", "--now", service},
	} {
		if _, err := box.Run(ctx, command...); err != nil {
			return nil, errors.Join(err, down())
		}
	}
	if err := ready(ctx); err != nil {
		return nil, errors.Join(err, down())
	}
	return down, nil
}

// TestMachinesLiveApart: two machines that run at once share no cgroup, or the
// systemd of one would end what the other runs.
func TestMachinesLiveApart(t *testing.T) {
	tree, err := machine.Tree(t.Context(), cache, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	other, err := machine.Boot(t.Context(), tree, nil)
	if err != nil {
		t.Fatal(err)
	}
	places := map[string]*machine.Machine{}
	for _, m := range []*machine.Machine{box, other} {
		place, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", m.Leader()))
		if err != nil {
			t.Error(err)
		}
		for line := range strings.Lines(string(place)) {
			// Version 2's, and version 1's of systemd: no other holds processes.
			if strings.HasPrefix(line, "0::") || strings.Contains(line, ":name=systemd:") {
				if places[line] != nil {
					t.Errorf("both machines live in %s", line)
				}
				places[line] = m
			}
		}
	}
	if len(places) < 2 {
		t.Errorf("the machines live nowhere: %v", places)
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	if out, err := box.Run(t.Context(), "systemctl", "is-active", service); err != nil {
		t.Errorf("after the end of the other machine: %v: %s", err, out)
	}
}

// install lays out the agent's directory, its unit, and what sudo needs to do
// the same for alice.
func install(machine string) error {
	at := machine + root
	hostname, err := os.Hostname()
	if err != nil {
		return err
	}
	staged, err := agent.Staged()
	if err != nil {
		return err
	}
	if err := os.CopyFS(at, os.DirFS(staged)); err != nil {
		return err
	}
	for _, state := range []string{"run", "State", "Audit", "appsettings.json"} {
		if err := os.RemoveAll(filepath.Join(at, state)); err != nil {
			return err
		}
	}
	packaged := map[string]string{} // what an installer brings, as it is
	for _, name := range []string{"pam.deb", service} {
		text, err := os.ReadFile("../../packaging/linux/" + name)
		if err != nil {
			return err
		}
		packaged[name] = string(text)
	}
	if err := os.MkdirAll(machine+"/usr/lib/pam.d", 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{
		machine + "/usr/lib/pam.d/kpm": packaged["pam.deb"],
		// What people's PAM sessions have, and nobody else.
		machine + "/etc/security/limits.d/kpm.conf": "alice hard nofile 777\nbob hard nofile 888\n",
		machine + "/etc/environment":                "KPM_OF_PAM=set\n",
		at + "/Policies/people.json":                policies,
		machine + "/etc/systemd/system/" + service:  packaged[service],
		// sudo looks itself up, on a network that is not there.
		machine + "/etc/hosts":           "127.0.0.1 localhost " + hostname + "\n",
		machine + "/etc/sudoers.d/alice": "alice ALL=(ALL:ALL) NOPASSWD: ALL\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return os.Symlink(root+"/keepersudo", machine+"/usr/local/bin/keepersudo")
}

// ready waits until the unit's process is the one that run/ports.json names.
func ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		out, err := box.Run(ctx, "systemctl", "show", "-P", "MainPID", service)
		if err != nil {
			return err
		}
		var ports struct{ PID int }
		data, _ := os.ReadFile(box.Root + root + "/run/ports.json")
		if json.Unmarshal(data, &ports) == nil && fmt.Sprintln(ports.PID) == out && ports.PID != 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			log, err := box.Run(context.Background(), "journalctl", "--no-pager", "-u", service)
			return errors.Join(ctx.Err(), err, errors.New(log))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// systemctl runs systemctl in the machine and waits until the service is ready.
func systemctl(t *testing.T, verb string) {
	t.Helper()
	// Tests start it more often than systemd takes for healthy.
	if _, err := box.Run(t.Context(), "systemctl", "reset-failed", service); err != nil {
		t.Fatal(err)
	}
	if _, err := box.Run(t.Context(), "systemctl", verb, service); err != nil {
		t.Fatal(err)
	}
	if err := ready(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// as returns a command that user runs in the machine, in their home directory
// and with all their groups.
func as(ctx context.Context, user string, argv ...string) *exec.Cmd {
	return box.Command(ctx, append([]string{"env", "-C", "/home/" + user, "PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/home/" + user, "USER=" + user, "LOGNAME=" + user,
		"setpriv", "--reuid=" + user, "--regid=" + user, "--init-groups", "--"}, argv...)...)
}

// outcome is what a caller sees of a command.
type outcome struct {
	Stdout, Stderr string
	Status         int
}

// says runs argv as user to its end.
func says(t *testing.T, user string, argv ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := as(ctx, user, argv...)
	cmd.WaitDelay = patience // what was left in the background has the pipes
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	var exit *exec.ExitError
	if failed := cmd.Run(); failed != nil && !errors.As(failed, &exit) {
		t.Fatalf("%v: %v", argv, failed)
	}
	return outcome{out.String(), err.String(), cmd.ProcessState.ExitCode()}
}

// eventually waits for a condition that nothing announces.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			log, _ := box.Run(context.Background(), "journalctl", "--no-pager", "-u", service, "-n", "50")
			t.Fatalf("never: %s\n%s", what, log)
		}
	}
}

// running lists the processes of this machine whose command line is argv.
func running(t *testing.T, argv ...string) (pids []string) {
	t.Helper()
	want := strings.Join(argv, "\x00") + "\x00"
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if line, err := os.ReadFile(file); err == nil && string(line) == want {
			pids = append(pids, filepath.Base(filepath.Dir(file)))
		}
	}
	return pids
}

// verified asserts that the journal is unbroken.
func verified(t *testing.T) {
	t.Helper()
	if _, err := box.Run(t.Context(), root+"/KeeperAdminCLI", "audit", "verify"); err != nil {
		t.Error(err)
	}
}
