//go:build linux

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kpm/vmtests/agent"
)

// programs are some on a file system of their own. It is the only one that is watched:
// nothing else of this machine is ever stopped.
func programs(t *testing.T, names ...string) string {
	t.Helper()
	dir := filepath.Join(reachable(t), "fs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NODEV, "size=64m,mode=755"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	shell, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), shell, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// gated has executions in dir decided about.
func gated(t *testing.T, dir string) func(*agent.Agent) {
	return func(a *agent.Agent) {
		text := fmt.Sprintf(`{"Interception": {"Executions": true, "Mounts": [%q]}}`, dir)
		if err := os.WriteFile(filepath.Join(a.Root, "appsettings.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func typed(kind, id, control, program, more string) string {
	return fmt.Sprintf(`{"PolicyId": %q, "PolicyName": %q, "PolicyType": %q, "Status": "enforce", "Actions": {"OnSuccess": {"Controls": [%q]}},
 "UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": [%q]%s}`, id, "Policy "+id, kind, control, program, more)
}

// executed runs a program as a user and says whether that might be.
func executed(t *testing.T, uid uint32, program string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-c", "exit 0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	err := cmd.Run()
	if err != nil && !errors.Is(err, unix.EPERM) {
		t.Fatalf("%s: %v", program, err)
	}
	return err == nil
}

// executions are the records about executions, as cause, outcome and program.
func executions(t *testing.T, a *agent.Agent) (list []string) {
	for _, r := range records(t, a) {
		if r["type"] == "execution" {
			program, _ := r["program"].(map[string]any)
			list = append(list, fmt.Sprintf("%v %v %v", r["cause"], r["outcome"], program["requested"]))
		}
	}
	return list
}

// TestExecutionsAreStopped: a policy of type FileAccess keeps people from executing a
// program, also when policies change, and not root. Whatever becomes of the service and
// of keeperexec, programs go on.
func TestExecutionsAreStopped(t *testing.T) {
	dir := programs(t, "no", "yes")
	no, yes := filepath.Join(dir, "no"), filepath.Join(dir, "yes")
	deny := "[" + typed("FileAccess", "files", "DENY", no, "") + "]"
	a := newAgent(t, deny, gated(t, dir))
	eventually(t, "a program that is denied is stopped", func() bool { return !executed(t, 4242, no) })
	for program, want := range map[string]bool{no: false, yes: true} {
		if got := executed(t, 4242, program); got != want {
			t.Errorf("%s: %v", program, got)
		}
		if !executed(t, 0, program) {
			t.Errorf("root may not execute %s", program)
		}
	}
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("#!"+no+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if executed(t, 4242, script) {
		t.Error("a script is run by an interpreter that is denied")
	}
	eventually(t, "that is on record", func() bool { return slices.Contains(executions(t, a), "file-access DENY no") })

	if err := a.Write("Policies/policy.json", strings.Replace(deny, no, yes, 1)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "other policies are in force", func() bool {
		sudoed(t, a, "true") // any answer says which policies it is from
		return executed(t, 4242, no) && !executed(t, 4242, yes)
	})

	// Stopped, killed, switched off: nobody waits for ever.
	freeze(t, a.PID())
	executed(t, 4242, no)
	executed(t, 4242, yes)
	if err := syscall.Kill(a.PID(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the service decides again", func() bool { return !executed(t, 4242, yes) })
	if out, err := a.Admin(t.Context(), "interception", "disable", "exec"); err != nil {
		t.Fatal(out, err)
	}
	if !executed(t, 4242, yes) {
		t.Error("it is disabled, and programs are stopped")
	}
	if out, err := a.Admin(t.Context(), "interception", "enable", "exec"); err != nil {
		t.Fatal(out, err)
	}
	if err := a.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another service stops programs", func() bool { return !executed(t, 4242, yes) })
	if err := a.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "programs go on without a service", func() bool { return executed(t, 4242, yes) })
}

// TestChildrenOfCommands: what an elevated command starts is held to the rule of the
// policy that allows it, and where nothing can hold it to that it is not run.
func TestChildrenOfCommands(t *testing.T) {
	dir := programs(t, "tool", "plain", "no", "sh")
	at := func(name string) string { return filepath.Join(dir, name) }
	rule := func(mode string) string {
		return "[" + strings.Join([]string{
			typed("PrivilegeElevation", "sh", "ALLOW", at("sh"), `, "Extension": {"ChildProcesses": "`+mode+`"}`),
			typed("PrivilegeElevation", "tool", "ALLOW", at("tool"), ""),
			typed("PrivilegeElevation", "no", "DENY", at("no"), ""),
		}, ",\n") + "]"
	}
	a := newAgent(t, rule("own-rule"), gated(t, dir))
	// Each in a shell of its own, which says how it ended.
	script := fmt.Sprintf("for p in tool plain no; do %s/$p -c 'exit 0' 2>/dev/null && echo $p runs || echo $p is refused; done", dir)
	for mode, want := range map[string]string{
		"own-rule": "tool runs\nplain is refused\nno is refused\n",
		"deny":     "tool is refused\nplain is refused\nno is refused\n",
		"inherit":  "tool runs\nplain runs\nno is refused\n",
	} {
		if err := a.Write("Policies/policy.json", rule(mode)); err != nil {
			t.Fatal(err)
		}
		eventually(t, mode, func() bool {
			out, status := sudoed(t, a, at("sh"), "-c", script)
			if out != want {
				t.Logf("%s: %d: %s", mode, status, out)
			}
			return out == want && status == 0
		})
	}
	for _, want := range []string{"child ALLOW tool", "child DENY plain", "child DENY no"} {
		eventually(t, "on record is "+want, func() bool { return slices.Contains(executions(t, a), want) })
	}
	if !executed(t, 4242, at("no")) {
		t.Error("what people run without elevation is stopped")
	}

	if out, err := a.Admin(t.Context(), "interception", "disable", "exec"); err != nil {
		t.Fatal(out, err)
	}
	if err := a.Write("Policies/policy.json", rule("deny")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a command with a rule is refused", func() bool {
		out, status := sudoed(t, a, at("sh"), "-c", "echo it ran")
		return status != 0 && strings.Contains(out, "this machine cannot keep it")
	})
}
