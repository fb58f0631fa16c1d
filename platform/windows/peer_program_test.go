//go:build windows

package windows

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/windows"

	"kpm/core"
)

// waiting starts a copy of a program that waits for its input, in dir, and returns
// the copy's path.
func waiting(t *testing.T, dir string) (cmd *exec.Cmd, id core.ProcessID, path string) {
	t.Helper()
	data, err := os.ReadFile(helperPath())
	must(t, err)
	path = filepath.Join(dir, "program.exe")
	must(t, os.WriteFile(path, data, 0o755))
	cmd = exec.Command(path)
	in, err := cmd.StdinPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		in.Close()
		cmd.Wait() // its status says that it ran nothing
	})
	process, err := openPID(cmd.Process.Pid)
	must(t, err)
	return cmd, process, path
}

// openPID names a process that is alive.
func openPID(pid int) (core.ProcessID, error) {
	process, err := os.FindProcess(pid)
	if err != nil {
		return core.ProcessID{}, err
	}
	defer process.Release()
	id := core.ProcessID{PID: pid}
	var stampErr error
	err = process.WithHandle(func(handle uintptr) {
		id.Start, stampErr = startStamp(windows.Handle(handle))
	})
	return id, errors.Join(err, stampErr)
}

func TestProgramOfAProcess(t *testing.T) {
	_, id, path := waiting(t, folder(t))
	f, err := Peers{}.Program(id)
	must(t, err)
	defer f.Close()
	want, err := os.ReadFile(path)
	must(t, err)
	if got, err := io.ReadAll(f); err != nil || string(got) != string(want) {
		t.Errorf("%d bytes of %s, %v; expected the %d of %s", len(got), f.Name(), err, len(want), path)
	}
	// Nobody writes to it while its signature is judged.
	if w, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil {
		w.Close()
		t.Error("it can be written to")
	}
}

// Attack: the process asked about has ended, and its pid is another's, or nobody's
// and kept by somebody who still has a handle.
func TestProgramOfAReusedPid(t *testing.T) {
	cmd, id, _ := waiting(t, folder(t))
	for _, start := range []uint64{0, id.Start - 1, id.Start + 1} {
		if f, err := (Peers{}).Program(core.ProcessID{PID: id.PID, Start: start}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("of another process of the pid: %v, %v", f, err)
		}
	}
	must(t, cmd.Process.Kill()) // cmd has a handle until it is waited for
	wait(t, "it ends", func() bool { return !NewTree().Alive(id) })
	if f, err := (Peers{}).Program(id); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a process that has ended: %v, %v", f, err)
	}
}

// Attack: a user's program is renamed while it runs, and a signed one takes its
// name. The path says nothing then.
func TestProgramWhereOthersCanExchangeIt(t *testing.T) {
	dir := folder(t)
	inner := filepath.Join(dir, "open")
	must(t, os.Mkdir(inner, 0o755))
	_, id, path := waiting(t, inner)
	if f, err := (Peers{}).Program(id); err != nil {
		t.Errorf("control: %v", err)
	} else {
		f.Close()
	}
	everybodyMay(t, inner)
	must(t, os.Rename(path, path+".old"))
	write(t, path, "MZ, and signed")
	if f, err := (Peers{}).Program(id); !errors.Is(err, core.ErrNotProtected) {
		t.Errorf("%v, %v", f, err)
	}
}
