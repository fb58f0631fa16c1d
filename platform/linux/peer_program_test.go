//go:build linux

package linux

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
)

// runs starts a program that goes on until the test is over.
func runs(t *testing.T, path string, args ...string) core.ProcessID {
	t.Helper()
	cmd := exec.Command(path, args...)
	must(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return idOf(t, cmd.Process.Pid)
}

// same reports whether f is the file at path.
func same(t *testing.T, f *os.File, path string) bool {
	t.Helper()
	is, err := f.Stat()
	must(t, err)
	want, err := os.Stat(path)
	must(t, err)
	return os.SameFile(is, want)
}

func TestProgramIsWhatTheKernelExecutes(t *testing.T) {
	dir := public(t)
	sleep := filepath.Join(dir, "sleep")
	duplicate(t, "/usr/bin/sleep", sleep)
	link, script := filepath.Join(dir, "link"), filepath.Join(dir, "script")
	must(t, os.Symlink(sleep, link))
	must(t, os.WriteFile(script, []byte("#!/usr/bin/tail -f\n"), 0o755))
	for _, tc := range []struct {
		what, path string
		argv       []string
		want       string
	}{
		{"a program", sleep, []string{sleep, "1000"}, sleep},
		{"a program by a link", link, []string{link, "1000"}, sleep},
		{"a program under another name", sleep, []string{"/usr/bin/true", "1000"}, sleep},
		// Whoever has signed an interpreter has said nothing of the script
		// (CVE-2022-1117).
		{"a script", script, []string{script}, "/usr/bin/tail"},
	} {
		cmd := &exec.Cmd{Path: tc.path, Args: tc.argv}
		must(t, cmd.Start())
		f, err := (&Peers{}).Program(idOf(t, cmd.Process.Pid))
		if err != nil {
			t.Errorf("%s: %v", tc.what, err)
		} else if !same(t, f, tc.want) {
			t.Errorf("%s: it is %s, expected %s", tc.what, f.Name(), tc.want)
		} else if _, err := f.Read(make([]byte, 4)); err != nil {
			t.Errorf("%s: cannot be read: %v", tc.what, err)
		}
		f.Close()
		cmd.Process.Kill()
		cmd.Wait()
	}
}

// Attack: the process asked about has ended, and its pid is another's
// (CVE-2019-6133).
func TestProgramOfAReusedPid(t *testing.T) {
	first := exec.Command("/usr/bin/sleep", "1000")
	must(t, first.Start())
	id := idOf(t, first.Process.Pid)
	must(t, first.Process.Kill())
	first.Wait()
	if f, err := (&Peers{}).Program(id); !errors.Is(err, errVanished) {
		t.Fatalf("of a process that has ended: %v, %v", f, err)
	}
	for range 1000 {
		time.Sleep(10 * time.Millisecond) // a tick of the start stamp
		must(t, os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(id.PID-1)), 0))
		second := exec.Command("/usr/bin/tail", "-f", "/dev/null")
		must(t, second.Start())
		again := second.Process.Pid
		f, err := (&Peers{}).Program(id)
		second.Process.Kill()
		second.Wait()
		if !errors.Is(err, errVanished) {
			t.Fatalf("process %d has pid %d's program: %v, %v", again, id.PID, f, err)
		}
		if again == id.PID {
			return
		}
	}
	t.Fatal("the pid was never used again")
}

func TestProgramOfNobody(t *testing.T) {
	own := idOf(t, os.Getpid())
	for what, id := range map[string]core.ProcessID{
		"a stamp too late": {PID: own.PID, Start: own.Start + 1},
		"no stamp":         {PID: own.PID},
		"pid 0":            {},
		"a negative pid":   {PID: -1},
		"no such pid":      {PID: 1 << 22},
	} {
		if f, err := (&Peers{}).Program(id); err == nil {
			f.Close()
			t.Errorf("%s: has a program", what)
		}
	}
	// Kernel threads run nothing that anybody could have signed.
	if stat, ok := readStat(2); ok {
		if f, err := (&Peers{}).Program(core.ProcessID{PID: 2, Start: stat.start}); err == nil {
			f.Close()
			t.Error("kthreadd has a program")
		}
	}
}

// What has no place in the file system has no place in a policy: a replaced
// file, and bytes that were never in one.
func TestProgramThatIsNowhere(t *testing.T) {
	path := filepath.Join(public(t), "sleep")
	duplicate(t, "/usr/bin/sleep", path)
	replaced := runs(t, path, "1000")
	must(t, os.Remove(path))
	if f, err := (&Peers{}).Program(replaced); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a deleted program: %v, %v", f, err)
	}
	duplicate(t, "/usr/bin/tail", path)
	if f, err := (&Peers{}).Program(replaced); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a program with another in its place: %v, %v", f, err)
	}

	memory, err := unix.MemfdCreate("sleep", 0)
	must(t, err)
	file := os.NewFile(uintptr(memory), "memory")
	defer file.Close()
	code, err := os.ReadFile("/usr/bin/sleep")
	must(t, err)
	_, err = file.Write(code)
	must(t, err)
	cmd := exec.Command("/proc/self/fd/3", "1000")
	cmd.ExtraFiles = []*os.File{file}
	must(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	if f, err := (&Peers{}).Program(idOf(t, cmd.Process.Pid)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a program in memory: %v, %v", f, err)
	}
}

// The handle is the program that ran; what the process runs by now is another
// question, which its user asks again.
func TestProgramWhenTheProcessRunsAnother(t *testing.T) {
	cmd := exec.Command("/usr/bin/dash", "-c", "echo ready; read go; exec tail -f /dev/null")
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	defer cmd.Wait()
	defer cmd.Process.Kill()
	_, err = bufio.NewReader(stdout).ReadString('\n')
	must(t, err)
	id := idOf(t, cmd.Process.Pid)
	before, err := (&Peers{}).Program(id)
	must(t, err)
	defer before.Close()
	_, err = stdin.Write([]byte("go\n"))
	must(t, err)
	for {
		after, err := (&Peers{}).Program(id)
		must(t, err) // its stamp is the same
		changed := same(t, after, "/usr/bin/tail")
		after.Close()
		if changed {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if !same(t, before, "/usr/bin/dash") {
		t.Error("the handle follows the process")
	}
}

// A daemon of somebody's keeps nobody waiting who asks what a process runs.
func TestProgramOnAHungFileSystem(t *testing.T) {
	source, mounted := public(t), public(t)
	duplicate(t, "/usr/bin/sleep", filepath.Join(source, "sleep"))
	daemon := exec.Command("bindfs", "-f", "-o", "allow_other,attr_timeout=0,entry_timeout=0", source, mounted)
	before := device(t, mounted)
	must(t, daemon.Start())
	t.Cleanup(func() {
		daemon.Process.Signal(unix.SIGCONT)
		unix.Unmount(mounted, unix.MNT_DETACH)
		daemon.Process.Kill()
		daemon.Wait()
	})
	for device(t, mounted) == before {
		time.Sleep(time.Millisecond)
	}
	id := runs(t, filepath.Join(mounted, "sleep"), "1000")
	must(t, daemon.Process.Signal(unix.SIGSTOP))
	if f, err := (&Peers{}).Program(id); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("%v, %v; expected fs.ErrPermission at once", f, err)
	}
}

func BenchmarkProgram(b *testing.B) {
	id := idOf(b, os.Getpid())
	for b.Loop() {
		f, err := (&Peers{}).Program(id)
		if err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}
