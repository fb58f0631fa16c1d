//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kpm/vmtests/agent"
)

// readers are the processes in which the service has signatures read.
func readers(t *testing.T, a *agent.Agent) []int { return children(t, a, "keeperreader") }

// children are the service's child processes with that name. The kernel lists
// them by the thread that started them, which may be any.
func children(t *testing.T, a *agent.Agent, name string) (pids []int) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", a.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		listed, _ := os.ReadFile(task) // a thread may have ended
		for field := range strings.FieldsSeq(string(listed)) {
			comm, _ := os.ReadFile("/proc/" + field + "/comm")
			var pid int
			if fmt.Sscan(field, &pid); string(comm) == name+"\n" {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// TestSignaturesAreReadWithoutPrivilege: what a user chose is read by a process
// that is not root, and one that is killed costs its own request at most.
func TestSignaturesAreReadWithoutPrivilege(t *testing.T) {
	a := newAgent(t, allowAll, func(a *agent.Agent) {
		request := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
			"-subj", "/CN=root", "-keyout", "/dev/null", "-out", filepath.Join(a.Root, "ca.pem"))
		if out, err := request.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if err := a.Write("appsettings.json", `{
  "Settings": {"KestrelHttpPort": 0, "KestrelHttpsPort": 0}, "MqttBrokerSettings": {"Port": 0}, "Trust": {"Roots": ["ca.pem"]}
}`); err != nil {
			t.Fatal(err)
		}
	})
	tool := filepath.Join(reachable(t), "tool")
	if err := errors.Join(os.WriteFile(tool, []byte("#!/bin/sh\nid -u\n"), 0o755), os.Chown(tool, 4242, 4242)); err != nil {
		t.Fatal(err)
	}
	elevate := func() (string, error) {
		out, err := a.Sudo(t.Context(), 4242, tool).CombinedOutput()
		return string(out), err
	}
	if out, err := elevate(); err != nil || out != "0\n" {
		t.Fatalf("%s, %v", out, err)
	}
	eventually(t, "readers wait", func() bool { return len(readers(t, a)) > 0 })
	eventually(t, "every reader is confined", func() bool { // one may just have been started
		for _, pid := range readers(t, a) {
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			if os.IsNotExist(err) {
				continue // the one that has read the tool
			}
			for _, says := range []string{"CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
				if err != nil || !strings.Contains(string(status), says) {
					return false
				}
			}
			if strings.Contains(string(status), "Uid:\t0") {
				return false
			}
		}
		return true
	})
	for _, pid := range readers(t, a) {
		syscall.Kill(pid, syscall.SIGKILL) // it may have ended
	}
	if out, err := elevate(); err != nil || out != "0\n" {
		t.Errorf("after they were killed: %s, %v", out, err)
	}
}
