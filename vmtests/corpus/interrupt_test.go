//go:build linux

package corpus

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Whoever interrupts in the middle of a large file is not kept until its end: by
// their own process, or by root's, which has a reader at work.
func TestInterruptedWithinAFile(t *testing.T) {
	i := newInspector(t)
	for dir := i.agent.Root; dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	large := stretched(t, filepath.Join(published(t, nil), "large.exe"), 3<<30)
	for name, uid := range map[string]uint32{"a user": 65534, "root": 0} {
		cmd := exec.CommandContext(t.Context(), filepath.Join(i.agent.Root, "KeeperAdminCLI"), "trust", "inspect", "--root", i.agent.Root, large, large)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		var out, diagnostics bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &diagnostics
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for began := time.Now(); !reading(cmd.Process.Pid, uid == 0) && time.Since(began) < time.Minute; {
			time.Sleep(time.Millisecond) // nothing tells a stranger
		}
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		err := cmd.Wait()
		if _, ended := err.(*exec.ExitError); !ended || out.Len() > 0 || !strings.Contains(diagnostics.String(), "interrupted") {
			t.Errorf("%s: %v, %q %q", name, err, out.String(), diagnostics.String())
		}
	}
}

// reading reports whether the process, or a child of it, has read some of the file.
func reading(pid int, child bool) bool {
	of := []string{fmt.Sprint(pid)}
	if child {
		of = nil
		lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
		for _, list := range lists {
			children, _ := os.ReadFile(list) // the thread may have ended
			of = append(of, strings.Fields(string(children))...)
		}
	}
	for _, pid := range of {
		counted, _ := os.ReadFile("/proc/" + pid + "/io")
		var read int64
		if _, err := fmt.Sscanf(string(counted), "rchar: %d", &read); err == nil && read > 32<<20 {
			return true
		}
	}
	return false
}

// stretched writes a signed program with a hole before its signature, which is of
// another file then.
func stretched(t *testing.T, path string, size int64) string {
	t.Helper()
	program := real(t, editor, "CompilerServices.Unsafe.dll")
	at := table(program)
	signature := bytes.Clone(program[at:])
	start := size - int64(len(signature))
	binary.LittleEndian.PutUint32(program[entry(program):], uint32(start))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for offset, part := range map[int64][]byte{0: program[:at], start: signature} {
		if _, err := f.WriteAt(part, offset); err != nil {
			t.Fatal(err)
		}
	}
	return path
}
