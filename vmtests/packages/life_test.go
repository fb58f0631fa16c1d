//go:build linux

package packages

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kpm/launcher/journal"
	"kpm/vmtests/machine"
)

// The life of an agent on each release that packages are made for: installed, used by
// two users, restarted with the machine, upgraded while a command runs and a grant is
// in force, purged in the middle of both; and nothing is left.
func TestLife(t *testing.T) {
	for _, release := range []machine.Release{machine.Debian12, machine.Debian13, machine.Ubuntu2404} {
		t.Run(release.Name, func(t *testing.T) {
			b := bootOf(t, release)
			b.run("gpasswd", "--add", "bob", "sudo")
			b.run("sh", "-c", "echo root:secret | chpasswd") // or bob is the last administrator, and stays
			before := b.files()
			first := built
			if previous != "" {
				first = previous
			}
			b.install(fileIn(t, first, ".deb"))
			b.allow()
			if out, err := b.as("bob", "keepersudo", "id", "-u").CombinedOutput(); err == nil {
				t.Errorf("bob, whom no policy names: %s", out)
			}
			b.askForAReason()
			b.restarted()
			b.upgraded()
			b.run("KeeperAdminCLI", "audit", "verify")

			b.exchanged()
			at := b.terminal("alice")
			at.grant()
			b.eventually("alice is an administrator for a time, and bob none", func() bool { return b.administrators() == "alice" })
			runs := b.begin("alice")
			b.run("dpkg", "--purge", name)
			if members := b.administrators(); members != "bob" {
				t.Errorf("after the agent has gone administrators are %q, and were bob", members)
			}
			if out, status := at.types("keepersudo -n id -u"); status == "0" {
				t.Errorf("alice is still granted something: %s", out)
			}
			b.finish()
			// Who waits for a service that does not come back is told nothing.
			_, _ = b.Run(t.Context(), "pkill", "-KILL", "-x", "keepersudo")
			_ = runs.Wait()
			at.close()
			b.nothingLeft(before, append(backups, "/stop", "/ended", "/opt")...)
		})
	}
}

// backups are what the system's own tools have kept of files that they have changed.
var backups = []string{"/etc/group-", "/etc/gshadow-"}

// exchanged has policy take bob out of the administrators, and put alice in for the
// time of a grant.
func (b box) exchanged() {
	b.t.Helper()
	for file, policy := range map[string]string{
		"least.json": `{"PolicyId": "least", "PolicyName": "Bob is no administrator", "PolicyType": "LeastPrivilege", "Status": "enforce",
  "Actions": {"OnSuccess": {"Controls": []}}, "UserCheck": ["bob"], "MachineCheck": ["*"], "ApplicationCheck": []}`,
		"reason.json": fmt.Sprintf(idNeedsAReason, "administrator"),
	} {
		if err := os.WriteFile(filepath.Join(b.Root, root, "Policies", file), []byte(policy), 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
	b.run("systemctl", "reload", service)
	b.eventually("bob is no administrator", func() bool { return b.administrators() == "" })
}

// administrators are the members of the group, as the system's database has them.
func (b box) administrators() string {
	b.t.Helper()
	line := strings.TrimSpace(b.run("getent", "group", "sudo"))
	return line[strings.LastIndexByte(line, ':')+1:]
}

// idNeedsAReason is a policy for grants that cover something.
const idNeedsAReason = `{"PolicyId": "reason", "PolicyName": "id needs a reason", "PolicyType": "PrivilegeElevation", "Status": "enforce",
  "Actions": {"OnSuccess": {"Controls": ["JUSTIFY"]}}, "UserCheck": ["alice"], "MachineCheck": ["*"], "ApplicationCheck": ["{usr}/bin/id"],
  "Extension": {"Grant": {"For": "30m", "Covers": %q}}}`

// askForAReason has `id` ask alice for a reason, which is remembered for a time.
func (b box) askForAReason() {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.Root, root, "Policies/reason.json"), fmt.Appendf(nil, idNeedsAReason, "policy"), 0o644); err != nil {
		b.t.Fatal(err)
	}
	b.run("systemctl", "reload", service)
	b.eventually("a reason is asked for", func() bool { return b.as("alice", "keepersudo", "-n", "id", "-u").Run() != nil })
}

// restarted restarts the machine in the middle of a grant: the service comes with it,
// the journal goes on, and the grant has ended.
func (b box) restarted() {
	b.t.Helper()
	at := b.terminal("alice")
	at.grant()
	was := b.verified()
	at.leave()
	if list := b.run("KeeperAdminCLI", "grants", "list", "--json"); !strings.Contains(list, `"alice"`) {
		b.t.Errorf("the terminal is gone before the restart: %s", list)
	}
	if err := b.Reboot(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	_ = at.keys.Close()
	b.run("systemctl", "is-active", service)
	b.run("KeeperAdminCLI", "status")
	if out, err := b.as("alice", "keepersudo", "whoami").CombinedOutput(); err != nil || string(out) != "root\n" {
		b.t.Errorf("alice after the restart: %v, %s", err, out)
	}
	if list := b.run("KeeperAdminCLI", "grants", "list", "--json"); strings.Contains(list, `"alice"`) {
		b.t.Errorf("the grant outlived the restart: %s", list)
	}
	again := b.terminal("alice")
	if out, status := again.types("keepersudo -n id -u"); status == "0" {
		b.t.Errorf("nothing was asked after the restart: %s", out)
	}
	again.close()
	if now := b.verified(); now.First != was.First || now.Last <= was.Last {
		b.t.Errorf("the journal does not go on: %+v, before it %+v", now, was)
	}
	if out := b.run("KeeperAdminCLI", "audit", "list", "--json", "-n", "0"); !strings.Contains(out, "the machine was restarted") {
		b.t.Errorf("the journal does not say why the grant has ended: %s", out)
	}
}

// upgraded upgrades in the middle of a grant and of a command.
func (b box) upgraded() {
	b.t.Helper()
	at := b.terminal("alice")
	at.grant()
	runs := b.begin("alice")
	was := b.verified()
	b.install(another(b.t, "1.1.0", func(string) {}))
	if out := b.run("KeeperAdminCLI", "status", "--json"); !strings.Contains(out, `"healthy":true`) {
		b.t.Errorf("after the upgrade: %s", out)
	}
	if out, status := at.types("keepersudo -n id -u"); status != "0" || strings.TrimSpace(out) != "0" {
		b.t.Errorf("the grant did not outlive the upgrade: %s, %s", status, out)
	}
	at.close()
	b.finish()
	if err := runs.Wait(); runs.ProcessState.ExitCode() != 7 {
		b.t.Errorf("who waited was told %v, expected exit status 7", err)
	}
	if now := b.verified(); now.First != was.First || now.Last <= was.Last {
		b.t.Errorf("the journal does not go on: %+v, before it %+v", now, was)
	}
}

// verified is what the journal is, if it is unbroken.
func (b box) verified() (report journal.Report) {
	b.t.Helper()
	out := b.run("KeeperAdminCLI", "audit", "verify", "--json")
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		b.t.Fatalf("%v: %s", err, out)
	}
	return report
}

// begin starts a command that runs until finish, and ends with status 7.
func (b box) begin(user string) *exec.Cmd {
	b.t.Helper()
	for _, name := range []string{"stop", "ended"} {
		_ = os.Remove(filepath.Join(b.Root, name))
	}
	runs := b.as(user, "keepersudo", "sh", "-c", "echo begun; while [ ! -e /stop ]; do sleep 0.05; done; echo done > /ended; exit 7")
	stdout, err := runs.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := runs.Start(); err != nil {
		b.t.Fatal(err)
	}
	if _, err := io.ReadFull(stdout, make([]byte, 6)); err != nil {
		b.t.Fatal(err)
	}
	return runs
}

// finish lets the command come to its end, and waits for that.
func (b box) finish() {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.Root, "stop"), nil, 0o644); err != nil {
		b.t.Fatal(err)
	}
	b.eventually("the command has come to its end", func() bool {
		text, err := os.ReadFile(filepath.Join(b.Root, "ended"))
		return err == nil && string(text) == "done\n"
	})
}

// terminal is a shell of a user at a terminal of their own, which grants belong to.
type terminal struct {
	b     box
	shell *exec.Cmd
	keys  io.WriteCloser
	lines int
}

func (b box) terminal(user string) *terminal {
	b.t.Helper()
	at := &terminal{b: b, shell: b.as(user, "script", "-qfc", "sh", "/dev/null")}
	keyboard, keys, err := os.Pipe()
	if err != nil {
		b.t.Fatal(err)
	}
	at.shell.Stdin, at.keys = keyboard, keys
	err = at.shell.Start()
	_ = keyboard.Close()
	if err != nil {
		b.t.Fatal(err)
	}
	return at
}

// types types a command, and returns what it printed and its exit status.
func (at *terminal) types(command string) (out, status string) {
	at.b.t.Helper()
	at.lines++
	file := fmt.Sprintf("/var/tmp/%d.%d", at.shell.Process.Pid, at.lines)
	if _, err := fmt.Fprintf(at.keys, "{ %s; } >%s 2>&1; echo $? >%s.new; mv %s.new %s.status\n", command, file, file, file, file); err != nil {
		at.b.t.Fatal(err)
	}
	at.b.eventually(command, func() bool {
		text, err := os.ReadFile(filepath.Join(at.b.Root, file+".status"))
		status = strings.TrimSpace(string(text))
		return err == nil
	})
	text, err := os.ReadFile(filepath.Join(at.b.Root, file))
	if err != nil {
		at.b.t.Fatal(err)
	}
	return string(text), status
}

// grant has what policy asks for remembered at this terminal.
func (at *terminal) grant() {
	at.b.t.Helper()
	if out, status := at.types("keepersudo --for 30m --reason test id -u"); status != "0" {
		at.b.t.Fatalf("with a reason: %s, %s", status, out)
	}
	if out, status := at.types("keepersudo -n id -u"); status != "0" {
		at.b.t.Fatalf("it is not remembered: %s, %s", status, out)
	}
}

// leave leaves the terminal alone in the machine. What waits for it outside would be
// stopped with it when the machine goes down, and then wait for ever, as would the machine.
func (at *terminal) leave() {
	_ = at.shell.Process.Kill()
	_ = at.shell.Wait()
}

func (at *terminal) close() {
	_ = at.keys.Close()
	killed := time.AfterFunc(10*time.Second, func() { _ = at.shell.Process.Kill() })
	_ = at.shell.Wait()
	killed.Stop()
}
