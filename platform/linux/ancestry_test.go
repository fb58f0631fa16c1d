//go:build linux

package linux

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"kpm/core"
)

// A script that env starts is called what its interpreter is called: only its
// arguments say what it is.
func TestAncestors(t *testing.T) {
	script := filepath.Join(t.TempDir(), "claude")
	if err := os.WriteFile(script, []byte("#!/usr/bin/env python3\nimport subprocess\nsubprocess.run(['/bin/sh', '-c', 'echo ready; read wait; exit'])\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	if _, err := out.Read(make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	var shell core.ProcessID
	for _, pid := range allPids() {
		if st, ok := readStat(pid); ok && st.parent == cmd.Process.Pid {
			shell = core.ProcessID{PID: pid, Start: st.start}
		}
	}
	list, err := NewAncestry().Ancestors(shell)
	if err != nil || len(list) < 3 {
		t.Fatal(list, err)
	}
	agent, _ := readStat(cmd.Process.Pid)
	leader := core.ProcessID{PID: agent.pid, Start: agent.start}
	if list[0].ID != shell || list[0].Leader != leader || list[0].Terminal != "" || list[0].Program == "" {
		t.Errorf("the process itself: %+v", list[0])
	}
	if list[1].ID != leader || list[1].Leader != leader || !strings.Contains(list[1].Program, "python3") || !slices.Contains(list[1].Names, script) {
		t.Errorf("its parent: %+v", list[1])
	}
	if list[2].ID.PID != os.Getpid() || list[2].Leader == leader {
		t.Errorf("the parent of that: %+v", list[2])
	}
	if _, err := NewAncestry().Ancestors(core.ProcessID{PID: shell.PID, Start: shell.Start + 1}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of another process with its number: %v", err)
	}
}

// Who has started a process is its real user, and no other process with its number is
// taken for it.
func TestStarter(t *testing.T) {
	cmd := exec.Command("cat")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4242, Gid: 4242}}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	st, ok := readStat(cmd.Process.Pid)
	id := core.ProcessID{PID: st.pid, Start: st.start}
	if user, err := NewAncestry().Starter(id); !ok || err != nil || user != "4242" {
		t.Errorf("%v: %q, %v", ok, user, err)
	}
	if user, err := NewAncestry().Starter(core.ProcessID{PID: id.PID, Start: id.Start + 1}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of another process with its number: %q, %v", user, err)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if user, err := NewAncestry().Starter(id); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of one that has ended: %q, %v", user, err)
	}
}

func TestTerminalName(t *testing.T) {
	for number, want := range map[uint32]string{
		0: "", 136 << 8: "pts/0", 136<<8 | 3: "pts/3", 136<<8 | 255: "pts/255", 136<<8 | 1<<20: "pts/256", 4<<8 | 1: "tty1", 4<<8 | 64: "4:64", 5 << 8: "5:0",
	} {
		if got := terminalName(number); got != want {
			t.Errorf("%#x is %q, expected %q", number, got, want)
		}
	}
}
