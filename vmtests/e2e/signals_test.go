//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kpm/vmtests/agent"
	"kpm/vmtests/terminal"
)

// stillRuns asserts that the service runs, and elevations succeed.
func stillRuns(t *testing.T, a *agent.Agent, after string) {
	t.Helper()
	if out, err := a.Sudo(t.Context(), 4242, "id", "-u").CombinedOutput(); err != nil || string(out) != "0\n" {
		t.Errorf("after %s: %v: %s\n%s", after, err, out, a.Log())
	}
	select {
	case <-a.Exited():
		t.Fatalf("%s has ended the service:\n%s", after, a.Log())
	default:
	}
}

// TestSignalsThatPeopleSend: none ends the service like a crash. What runs goes
// on under all of them.
func TestSignalsThatPeopleSend(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	marker := fmt.Sprintf("6%08d", time.Now().UnixNano()%1e8)
	command := a.Sudo(t.Context(), 4242, "sleep", marker)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the command runs", func() bool { return len(started(t, "sleep", marker)) == 1 })
	for _, sig := range []syscall.Signal{
		syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE, syscall.SIGALRM, syscall.SIGWINCH, syscall.SIGCONT, syscall.SIGIO,
		syscall.SIGPWR, syscall.SIGVTALRM, syscall.SIGURG, syscall.SIGXCPU, syscall.SIGHUP,
	} {
		if err := syscall.Kill(a.PID(), sig); err != nil {
			t.Fatal(err)
		}
		stillRuns(t, a, sig.String())
	}
	if len(started(t, "sleep", marker)) != 1 {
		t.Error("the command has ended")
	}
	if err := syscall.Kill(a.PID(), syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-a.Exited():
	case <-time.After(patience):
		t.Fatal("SIGQUIT stops nothing")
	}
	if _, err := a.Ports(); !errors.Is(err, fs.ErrNotExist) || strings.Contains(a.Log(), "goroutine ") {
		t.Errorf("SIGQUIT has ended it like a crash: %v\n%s", err, a.Log())
	}
	if len(started(t, "sleep", marker)) != 1 {
		t.Error("the command has ended with the service")
	}
	for _, pid := range started(t, "sleep", marker) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = command.Process.Kill() // it waits for the next service
	_ = command.Wait()
}

// TestReload: SIGHUP puts in force what can change live, says what waits for a
// restart, and leaves what cannot be used as it was.
func TestReload(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	if strings.Contains(a.Log(), "level=INFO") {
		t.Fatalf("the log is wordy already:\n%s", a.Log())
	}
	reload := func(says string) {
		t.Helper()
		if err := syscall.Kill(a.PID(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the log says "+says, func() bool { return strings.Contains(a.Log(), says) })
	}
	write := func(name, text string) {
		t.Helper()
		if err := a.Write(name, text); err != nil {
			t.Fatal(err)
		}
	}
	write("appsettings.json", `{"Settings":{"KestrelHttpPort":0,"KestrelHttpsPort":1111111},"MqttBrokerSettings":{"Port":0}}`)
	reload("reload: settings are as before")
	write("appsettings.json", `{"Settings":{"KestrelHttpPort":0,"KestrelHttpsPort":0,"system.logging.level":"Information","RequireJobToken":true},"MqttBrokerSettings":{"Port":0}}`)
	write("Jobs/new-job.json", `{"id":"new-job","name":"New","enabled":true,"tasks":[{"id":"say","command":"log-message","parameters":{"Message":"the new job ran"}}]}`)
	reload(`changed=Settings:system.logging.level after_a_restart=Settings:RequireJobToken`)
	reload(`msg="reloaded policies" by=KeeperPolicy`)
	if out, err := a.Admin(t.Context(), "jobs", "run", "--id", "new-job"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	eventually(t, "the new job has run, at the new level", func() bool { return strings.Contains(a.Log(), "the new job ran") })

	// The launch job is broken, and stays what it was.
	write("Jobs/LaunchPrivilegeElevation.json", `{"id": "LaunchPrivilegeElevation",`)
	reload("job file has become broken; the job stays as it was")
	stillRuns(t, a, "a broken file")

	// So does a policy that is put in force.
	write("Policies/policy.json", strings.Replace(allowAll, `"ALLOW"`, `"DENY"`, 1))
	if err := syscall.Kill(a.PID(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new policy is in force", func() bool { return a.Sudo(t.Context(), 4242, "id").Run() != nil })
	select {
	case <-a.Exited():
		t.Errorf("it has ended:\n%s", a.Log())
	default:
	}
}

// TestALogThatNobodyReads: the other end of a pipe goes, and the service stays.
func TestALogThatNobodyReads(t *testing.T) {
	a := laidOut(t, allowAll)
	if err := a.Write("appsettings.json", `{"Settings":{"KestrelHttpPort":0,"KestrelHttpsPort":0,"system.logging.level":"Information"},"MqttBrokerSettings":{"Port":0}}`); err != nil {
		t.Fatal(err)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	service := exec.Command(filepath.Join(a.Root, "KeeperPrivilegeManager"), "run", "--root", a.Root)
	service.Stdout, service.Stderr = writer, writer
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	reader.Close()
	ended := make(chan error, 1)
	go func() { ended <- service.Wait() }()
	t.Cleanup(func() {
		_ = service.Process.Kill()
		<-ended
	})
	eventually(t, "it is ready", func() bool {
		ports, err := a.Ports()
		return err == nil && ports.PID == service.Process.Pid
	})
	for range 3 {
		if out, err := a.Sudo(t.Context(), 4242, "id", "-u").CombinedOutput(); err != nil || string(out) != "0\n" {
			t.Errorf("%v: %s", err, out)
		}
	}
	if err := service.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
	ended <- nil
}

// TestReadyOnATerminal: whoever starts the service by hand is told when it is
// ready.
func TestReadyOnATerminal(t *testing.T) {
	a := laidOut(t, allowAll)
	term, err := terminal.Open(0, 24, 80)
	if err != nil {
		t.Fatal(err)
	}
	defer term.Close()
	service := exec.Command(filepath.Join(a.Root, "KeeperPrivilegeManager"), "run", "--root", a.Root)
	service.SysProcAttr = &syscall.SysProcAttr{}
	term.Attach(service)
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = service.Process.Kill(); _ = service.Wait() }()
	if err := term.Expect("KeeperPrivilegeManager is ready", patience); err != nil {
		t.Error(err)
	}
}
