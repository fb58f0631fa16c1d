//go:build linux

package linux

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

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
)

// public returns a directory that only root can change and everyone can reach,
// unlike t.TempDir.
func public(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/opt", "kpm-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// handle opens path as the local door's client does: O_PATH, nothing read.
func handle(t testing.TB, path string) *os.File {
	t.Helper()
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("open %s: %v", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	t.Cleanup(func() { f.Close() })
	return f
}

func program(t testing.TB, path string) string {
	t.Helper()
	must(t, os.WriteFile(path, []byte("#!/bin/sh\nexit 0\n"), 0o755))
	must(t, os.Chmod(path, 0o755))
	return path
}

func TestFind(t *testing.T) {
	f, err := Files{}.Find("true")
	must(t, err)
	defer f.Close()
	if want, _ := filepath.EvalSymlinks("/usr/bin/true"); f.Name() != want {
		t.Errorf("found %s, expected %s", f.Name(), want)
	}
	if _, err := f.Read(make([]byte, 1)); err == nil {
		t.Error("the handle can be read from")
	}
	for _, name := range []string{"", ".", "..", "/usr/bin/true", "bin/true", "../bin/true", "tr\x00ue", "no-such-program", strings.Repeat("x", 300)} {
		if f, err := (Files{}).Find(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Find(%q) = %v, %v; expected fs.ErrNotExist", name, f, err)
		}
	}
}

func TestFindLooksFurther(t *testing.T) {
	first, second := public(t), public(t)
	must(t, os.Mkdir(filepath.Join(first, "tool"), 0o755))
	must(t, os.WriteFile(filepath.Join(first, "data"), nil, 0o644))
	must(t, os.Symlink("/nowhere", filepath.Join(first, "gone")))
	program(t, filepath.Join(second, "tool"))
	must(t, os.Symlink("tool", filepath.Join(second, "gone")))
	dirs := []string{"/no/such/dir", first, second}

	for _, name := range []string{"tool", "gone"} {
		f, err := find(dirs, name)
		must(t, err)
		if want := filepath.Join(second, "tool"); f.Name() != want {
			t.Errorf("%s: found %s, expected %s", name, f.Name(), want)
		}
		f.Close()
	}
	if _, err := find(dirs, "data"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a file without execute bits: %v, expected fs.ErrPermission", err)
	}
}

func TestLocate(t *testing.T) {
	dir := public(t)
	target := program(t, filepath.Join(dir, "target"))
	must(t, os.Mkdir(filepath.Join(dir, "sub"), 0o755))
	for link, to := range map[string]string{
		"abs": target, "rel": "target", "up": "sub/../target", "chain": "abs", "sub/back": "../rel",
		"dir": "./sub//", "loop": "loop", "root": "/", "dangling": "nothing",
	} {
		must(t, os.Symlink(to, filepath.Join(dir, link)))
	}
	must(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))

	for path, want := range map[string]string{
		"/": "/", "/dev/null": "/dev/null", "/../..": "/",
		dir + "/target": target, dir + "/abs": target, dir + "/rel": target, dir + "/up": target, dir + "/chain": target,
		dir + "/sub/back": target, dir + "/dir": dir + "/sub", dir + "/dir/back": target, dir + "/dir/../fifo": dir + "/fifo",
		dir + "/root": "/", dir + "/root" + dir + "/./target": target,
	} {
		f, err := Files{}.Locate(path)
		if err != nil {
			t.Errorf("Locate(%s): %v", path, err)
			continue
		}
		if info, err := (Files{}).Inspect(f); err != nil || info.Path != want || f.Name() != want {
			t.Errorf("Locate(%s) is %s (%s), %v; expected %s", path, info.Path, f.Name(), err, want)
		}
		f.Close()
	}
	for path, want := range map[string]error{
		"target": fs.ErrInvalid, "": fs.ErrInvalid, dir + "/none": fs.ErrNotExist, dir + "/loop": fs.ErrNotExist,
		dir + "/dangling": fs.ErrNotExist, target + "/below": fs.ErrNotExist, "/proc/self/exe": core.ErrNotProtected,
		dir + "/" + strings.Repeat("x", 300): fs.ErrNotExist, dir + "/nul\x00": unix.EINVAL,
	} {
		if f, err := (Files{}).Locate(path); !errors.Is(err, want) {
			t.Errorf("Locate(%q) = %v, %v; expected %v", path, f, err, want)
		}
	}
}

func TestInspect(t *testing.T) {
	dir := public(t)
	path := program(t, filepath.Join(dir, "a program"))
	must(t, os.Chown(path, 4242, 4242))
	must(t, os.Link(path, filepath.Join(dir, "other name")))
	want, err := os.Lstat(path)
	must(t, err)
	sys := want.Sys().(*syscall.Stat_t)

	info, err := Files{}.Inspect(handle(t, path))
	must(t, err)
	expected := port.FileInfo{
		Path: path, Device: sys.Dev, Inode: sys.Ino, Size: want.Size(), Regular: true, Exec: true, Owner: "4242", Links: 2,
		Change: time.Unix(sys.Ctim.Sec, sys.Ctim.Nsec),
	}
	if info != expected {
		t.Errorf("Inspect = %+v\nexpected  %+v", info, expected)
	}
	other, err := Files{}.Inspect(handle(t, filepath.Join(dir, "other name")))
	must(t, err)
	if other.Inode != info.Inode || other.Path != filepath.Join(dir, "other name") {
		t.Errorf("a hard link is %+v", other)
	}

	must(t, os.Chmod(path, 0o600))
	if info, err = (Files{}).Inspect(handle(t, path)); err != nil || info.Exec {
		t.Errorf("without execute bits: %+v, %v", info, err)
	}
	must(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o777))
	for _, path := range []string{dir, filepath.Join(dir, "fifo"), "/dev/zero", "/dev/tty"} {
		if info, err := (Files{}).Inspect(handle(t, path)); err != nil || info.Regular || info.Path != path {
			t.Errorf("Inspect(%s) = %+v, %v", path, info, err)
		}
	}
}

// A handle that has no place in our file system has no path that policy could
// be asked about.
func TestInspectRefusesWhatHasNoPath(t *testing.T) {
	dir := public(t)
	deleted := handle(t, program(t, filepath.Join(dir, "deleted")))
	must(t, os.Remove(filepath.Join(dir, "deleted")))

	// Another file under the old name does not bring the first one back.
	replaced := handle(t, program(t, filepath.Join(dir, "replaced")))
	must(t, os.Rename(program(t, filepath.Join(dir, "new")), filepath.Join(dir, "replaced")))

	lookalike := handle(t, program(t, filepath.Join(dir, "x (deleted)")))
	memfd, err := unix.MemfdCreate("program", unix.MFD_CLOEXEC)
	must(t, err)
	memory := os.NewFile(uintptr(memfd), "memfd")
	defer memory.Close()
	read, write, err := os.Pipe()
	must(t, err)
	defer read.Close()
	defer write.Close()

	for name, f := range map[string]*os.File{
		"deleted": deleted, "replaced": replaced, "lookalike": lookalike, "memfd": memory, "pipe": read,
		"detached mount": detached(t, dir),
	} {
		if info, err := (Files{}).Inspect(f); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %+v, %v; expected fs.ErrNotExist", name, info, err)
		}
		if err := (Files{}).Protected(f); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: Protected = %v; expected fs.ErrNotExist", name, err)
		}
		if opened, err := (Files{}).Open(f); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: Open = %v, %v; expected fs.ErrNotExist", name, opened, err)
		}
	}
	var none *os.File
	if _, err := (Files{}).Inspect(none); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("no file: %v", err)
	}
}

// detached returns a handle that says it is /usr/bin/true and lies on a mount
// nobody else sees. Anyone can make one in a user namespace of their own.
func detached(t *testing.T, dir string) *os.File {
	t.Helper()
	tree := filepath.Join(dir, "tree")
	must(t, os.MkdirAll(filepath.Join(tree, "usr/bin"), 0o755))
	program(t, filepath.Join(tree, "usr/bin/true"))
	mount, err := unix.OpenTree(unix.AT_FDCWD, tree, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	must(t, err)
	t.Cleanup(func() { unix.Close(mount) })
	fd, err := unix.Openat(mount, "usr/bin/true", unix.O_PATH|unix.O_CLOEXEC, 0)
	must(t, err)
	f := os.NewFile(uintptr(fd), "detached")
	t.Cleanup(func() { f.Close() })
	if link, err := os.Readlink(procFd(fd)); err != nil || link != "/usr/bin/true" {
		t.Fatalf("the kernel calls it %q, %v; this test expects /usr/bin/true", link, err)
	}
	return f
}

func TestOpen(t *testing.T) {
	dir := public(t)
	f, err := Files{}.Open(handle(t, program(t, filepath.Join(dir, "program"))))
	must(t, err)
	defer f.Close()
	var head [2]byte
	if _, err := f.ReadAt(head[:], 0); err != nil || string(head[:]) != "#!" {
		t.Errorf("read %q, %v", head, err)
	}
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	must(t, err)
	if flags&unix.O_NONBLOCK != 0 {
		t.Error("the file is left in non-blocking mode")
	}
	if flags&unix.O_ACCMODE != unix.O_RDONLY {
		t.Errorf("flags %#x", flags)
	}
}

// Opening these blocks, or does worse, unless they are told apart first.
func TestOpenRefusesAnythingButRegularFiles(t *testing.T) {
	dir := public(t)
	fifo := filepath.Join(dir, "fifo")
	must(t, unix.Mkfifo(fifo, 0o600))
	link := filepath.Join(dir, "link")
	must(t, os.Symlink("/bin/true", link))
	for _, path := range []string{dir, fifo, link, "/dev/zero", "/dev/tty"} {
		if f, err := (Files{}).Open(handle(t, path)); !errors.Is(err, core.ErrNotRegular) {
			t.Errorf("Open(%s) = %v, %v; expected ErrNotRegular", path, f, err)
		}
	}
}

// A program's owner can hold a write lease on it, and open(2) would wait for
// the lease to break.
func TestOpenDoesNotWaitForALease(t *testing.T) {
	path := program(t, filepath.Join(public(t), "leased"))
	owner, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	defer owner.Close()
	_, err = unix.FcntlInt(owner.Fd(), unix.F_SETLEASE, unix.F_WRLCK)
	must(t, err)
	if f, err := (Files{}).Open(handle(t, path)); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Open = %v, %v; expected fs.ErrPermission", f, err)
	}
}

// hang mounts a FUSE file system with a program and a directory in it, shows
// it to whileItAnswers, and stops its daemon: whatever it is asked from then on
// waits until resume is called.
func hang(t *testing.T, whileItAnswers func(mounted string)) (resume func()) {
	t.Helper()
	source, mounted := public(t), public(t)
	program(t, filepath.Join(source, "program"))
	must(t, os.Mkdir(filepath.Join(source, "dir"), 0o755))
	daemon := exec.Command("bindfs", "-f", "-o", "allow_other,attr_timeout=0,entry_timeout=0", source, mounted)
	daemon.Stderr = os.Stderr
	before := device(t, mounted)
	must(t, daemon.Start())
	resume = func() { daemon.Process.Signal(unix.SIGCONT) }
	t.Cleanup(func() {
		resume()
		unix.Unmount(mounted, unix.MNT_DETACH)
		daemon.Process.Kill()
		daemon.Wait()
	})
	for device(t, mounted) == before {
		time.Sleep(time.Millisecond)
	}
	whileItAnswers(mounted)
	must(t, daemon.Process.Signal(unix.SIGSTOP))
	var state unix.WaitStatus
	if _, err := unix.Wait4(daemon.Process.Pid, &state, unix.WUNTRACED, nil); err != nil || !state.Stopped() {
		t.Fatalf("the daemon has not stopped: %v, %v", state, err)
	}
	return resume
}

func device(t *testing.T, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Stat(path, &st))
	return st.Dev
}

func TestNothingWaitsForAFuseDaemon(t *testing.T) {
	var mounted string
	var file, dir, top *os.File
	resume := hang(t, func(at string) {
		mounted = at
		file, dir, top = handle(t, at+"/program"), handle(t, at+"/dir"), handle(t, at)
	})
	outside := public(t)
	must(t, os.Symlink(mounted+"/program", filepath.Join(outside, "link")))

	// The control: somebody who does ask the daemon waits.
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		var st unix.Statfs_t
		unix.Fstatfs(int(file.Fd()), &st)
	}()
	defer func() { <-asked }()
	defer resume()

	var s Files
	done := make(chan []string)
	go func() {
		var wrong []string
		expect := func(what string, err, want error) {
			if !errors.Is(err, want) {
				wrong = append(wrong, fmt.Sprintf("%s: %v, expected %v", what, err, want))
			}
		}
		for _, f := range []*os.File{file, dir, top} {
			info, err := s.Inspect(f)
			expect("Inspect", err, nil)
			if info.Path != f.Name() {
				wrong = append(wrong, "Inspect: path "+info.Path)
			}
			expect("Protected", s.Protected(f), core.ErrNotProtected)
		}
		_, err := s.Open(file)
		expect("Open", err, fs.ErrPermission)
		_, _, err = s.Copy(t.Context(), file, outside, "program", core.Account{User: "0", Group: "0"}, goOn)
		expect("Copy", err, fs.ErrPermission)
		for _, path := range []string{mounted + "/program", mounted + "/none", mounted + "/..", outside + "/link"} {
			_, err = s.Locate(path)
			expect("Locate "+path, err, core.ErrNotProtected)
		}
		_, err = find([]string{mounted, outside}, "link")
		expect("find", err, fs.ErrNotExist)
		expect("ProtectedRoot", s.ProtectedRoot(mounted), core.ErrNotProtected)
		expect("ProtectedRoot below", s.ProtectedRoot(mounted+"/dir"), core.ErrNotProtected)
		done <- wrong
	}()
	select {
	case wrong := <-done:
		for _, w := range wrong {
			t.Error(w)
		}
		select {
		case <-asked:
			t.Error("the daemon was answering all the time")
		default:
		}
	case <-time.After(20 * time.Second):
		t.Error("something waits for a daemon that does not answer")
		resume()
		<-done
	}
}

// A daemon that never even says hello, once of a user whose mount root may not
// look into, once of root.
func TestNothingWaitsForAFuseDaemonThatNeverStarted(t *testing.T) {
	for uid, want := range map[int]error{4242: fs.ErrPermission, 0: core.ErrNotProtected} {
		mounted := public(t)
		fuse, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
		must(t, err)
		options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=%d,group_id=%d", fuse, uid, uid)
		must(t, unix.Mount("hostile", mounted, "fuse", unix.MS_NOSUID|unix.MS_NODEV, options))
		top := handle(t, mounted)

		var s Files
		done := make(chan []error)
		go func() {
			_, open := s.Open(top)
			_, locate := s.Locate(mounted + "/program")
			_, protected := s.LocateProtected(mounted + "/program")
			_, found := find([]string{mounted}, "program")
			done <- []error{s.Protected(top), s.ProtectedRoot(mounted), locate, protected, open, found}
		}()
		select {
		case errs := <-done:
			for i, err := range errs[:4] {
				if !errors.Is(err, want) {
					t.Errorf("uid %d, question %d: %v, expected %v", uid, i, err, want)
				}
			}
			if errs[4] == nil || !errors.Is(errs[5], fs.ErrNotExist) {
				t.Errorf("uid %d: opened %v, found %v", uid, errs[4], errs[5])
			}
		case <-time.After(20 * time.Second):
			t.Errorf("uid %d: something waits for a daemon that never started", uid)
		}
		must(t, unix.Close(fuse)) // ends what still waits
		must(t, unix.Unmount(mounted, unix.MNT_DETACH))
		if t.Failed() {
			return
		}
	}
}
