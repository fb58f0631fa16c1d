//go:build linux

package linux

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/platform/linux/file"
)

// tree makes dir/a/b/program, all of it root's.
func tree(t testing.TB) (top, dir, file string) {
	t.Helper()
	top = public(t)
	dir = filepath.Join(top, "a", "b")
	must(t, os.MkdirAll(dir, 0o755))
	return top, dir, program(t, filepath.Join(dir, "program"))
}

// Each row is one way in which somebody else could change a program, or what
// its path leads to.
func TestProtected(t *testing.T) {
	for _, c := range []struct {
		name   string
		spoil  func(t *testing.T, dir, file string)
		faulty string // the component named, below the temporary directory
		fault  string // part of the message; empty means protected
	}{
		{name: "root's file in root's directories"},
		{name: "root's group may write", spoil: func(t *testing.T, dir, file string) {
			must(t, os.Chmod(file, 0o775))
			must(t, os.Chmod(dir, 0o775))
		}},
		{name: "sealed", spoil: func(t *testing.T, dir, file string) { must(t, os.Chmod(file, 0o500)) }},
		{name: "a second name", spoil: func(t *testing.T, dir, file string) { must(t, os.Link(file, file+"2")) }},
		{name: "setuid", spoil: func(t *testing.T, dir, file string) { must(t, unix.Chmod(file, 0o4755)) }},
		{
			name: "another owner", faulty: "a/b/program", fault: "belongs to uid 4242",
			spoil: func(t *testing.T, dir, file string) { must(t, os.Chown(file, 4242, 0)) },
		},
		{
			name: "everyone may write", faulty: "a/b/program", fault: "mode 0757",
			spoil: func(t *testing.T, dir, file string) { must(t, os.Chmod(file, 0o757)) },
		},
		{
			name: "another group may write", faulty: "a/b/program", fault: "group 4242",
			spoil: func(t *testing.T, dir, file string) {
				must(t, os.Chown(file, 0, 4242))
				must(t, os.Chmod(file, 0o775))
			},
		},
		{
			name: "an access control list lets a user write", faulty: "a/b/program", fault: "access control list",
			spoil: func(t *testing.T, dir, file string) { must(t, setACL(file, 4242, 7)) },
		},
		{
			name:  "an access control list lets a user read",
			spoil: func(t *testing.T, dir, file string) { must(t, setACL(file, 4242, 5)) },
		},
		{
			name: "another owner of the directory", faulty: "a/b", fault: "belongs to uid 4242",
			spoil: func(t *testing.T, dir, file string) { must(t, os.Chown(dir, 4242, 0)) },
		},
		{
			name: "another owner of an ancestor", faulty: "a", fault: "belongs to uid 4242",
			spoil: func(t *testing.T, dir, file string) { must(t, os.Chown(filepath.Dir(dir), 4242, 0)) },
		},
		{
			name: "a world-writable ancestor", faulty: "a", fault: "mode 0777",
			spoil: func(t *testing.T, dir, file string) { must(t, os.Chmod(filepath.Dir(dir), 0o777)) },
		},
		{
			name: "a sticky ancestor", faulty: "a", fault: "mode 1777",
			spoil: func(t *testing.T, dir, file string) { must(t, unix.Chmod(filepath.Dir(dir), 0o1777)) },
		},
		{
			name: "a directory that another group can write to", faulty: "a/b", fault: "group 4242",
			spoil: func(t *testing.T, dir, file string) {
				must(t, os.Chown(dir, 0, 4242))
				must(t, unix.Chmod(dir, 0o2775))
			},
		},
		{
			name: "an access control list on an ancestor", faulty: "a", fault: "access control list",
			spoil: func(t *testing.T, dir, file string) { must(t, setACL(filepath.Dir(dir), 4242, 7)) },
		},
		{
			name: "a disk that somebody else may have prepared", faulty: "a/b", fault: "nosuid",
			spoil: func(t *testing.T, dir, file string) { bind(t, dir, dir, unix.MS_NOSUID) },
		},
		{
			name:  "root's own bind mount",
			spoil: func(t *testing.T, dir, file string) { bind(t, dir, dir, unix.MS_RDONLY) },
		},
		{
			name: "another file over it", faulty: "a/b/program", fault: "lies on a proc file system",
			spoil: func(t *testing.T, dir, file string) { bind(t, "/proc/version", file, 0) },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			top, dir, file := tree(t)
			if c.spoil != nil {
				c.spoil(t, dir, file)
			}
			err := Files{}.Protected(handle(t, file))
			if c.fault == "" {
				if err != nil {
					t.Fatal(err)
				}
				must(t, Files{}.Protected(handle(t, dir)))
				return
			}
			if !errors.Is(err, core.ErrNotProtected) {
				t.Fatalf("%v, expected ErrNotProtected", err)
			}
			if want := "files: " + filepath.Join(top, c.faulty) + " "; !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), c.fault) {
				t.Errorf("%q should begin with %q and say %q", err, want, c.fault)
			}
		})
	}
}

// setACL gives user the permissions perm (rwx) on path, as setfacl -m does.
func setACL(path string, user uint32, perm uint16) error {
	acl := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range []struct {
		tag, perm uint16
		id        uint32
	}{{1, 7, ^uint32(0)}, {2, perm, user}, {4, 5, ^uint32(0)}, {16, perm, ^uint32(0)}, {32, 5, ^uint32(0)}} {
		acl = binary.LittleEndian.AppendUint16(acl, e.tag)
		acl = binary.LittleEndian.AppendUint16(acl, e.perm)
		acl = binary.LittleEndian.AppendUint32(acl, e.id)
	}
	return unix.Setxattr(path, "system.posix_acl_access", acl, 0)
}

// bind mounts what on where with flags until the test is over.
func bind(t *testing.T, what, where string, flags uintptr) {
	t.Helper()
	must(t, unix.Mount(what, where, "", unix.MS_BIND, ""))
	t.Cleanup(func() { must(t, unix.Unmount(where, unix.MNT_DETACH)) })
	if flags != 0 {
		must(t, unix.Mount("", where, "", unix.MS_REMOUNT|unix.MS_BIND|flags, ""))
	}
}

func TestProtectedProgramsOfThisMachine(t *testing.T) {
	for _, name := range []string{"true", "sh", "env"} {
		f, err := Files{}.Find(name)
		must(t, err)
		if err := (Files{}).Protected(f); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		f.Close()
	}
}

func TestProtectedIsForFilesAndDirectories(t *testing.T) {
	fifo := filepath.Join(public(t), "fifo")
	must(t, unix.Mkfifo(fifo, 0o600))
	for _, path := range []string{fifo, "/dev/zero"} {
		if err := (Files{}).Protected(handle(t, path)); !errors.Is(err, core.ErrNotRegular) {
			t.Errorf("%s: %v, expected ErrNotRegular", path, err)
		}
	}
	if err := (Files{}).Protected(handle(t, "/proc/version")); !errors.Is(err, core.ErrNotProtected) {
		t.Errorf("/proc/version: %v, expected ErrNotProtected", err)
	}
}

// A link in a user's directory does not lend its own weakness to a handle that
// was opened through it: the handle is what counts.
func TestProtectedJudgesTheHandleNotTheNameItWasOpenedBy(t *testing.T) {
	_, _, file := tree(t)
	open := public(t)
	must(t, os.Chmod(open, 0o777))
	must(t, os.Symlink(file, filepath.Join(open, "link")))
	f, err := os.Open(filepath.Join(open, "link"))
	must(t, err)
	defer f.Close()
	must(t, Files{}.Protected(f))
}

// Somebody who can rename swaps two files all the time. A handle whose path
// names the other one at that moment must not pass for it (CVE-2005-1993).
func TestProtectedNeverAcceptsASwappedFile(t *testing.T) {
	_, dir, file := tree(t)
	users := program(t, filepath.Join(dir, "users"))
	must(t, os.Chown(users, 4242, 4242))
	f := handle(t, users)

	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				unix.Renameat2(unix.AT_FDCWD, file, unix.AT_FDCWD, users, unix.RENAME_EXCHANGE)
			}
		}
	}()
	for range 2000 {
		if err := (Files{}).Protected(f); !errors.Is(err, core.ErrNotProtected) {
			t.Errorf("%v, expected ErrNotProtected", err)
			break
		}
	}
	close(stop)
	<-stopped
}

func TestProtectedRoot(t *testing.T) {
	top := public(t)
	sub := func(name string, mode uint32, uid int) string {
		path := filepath.Join(top, name)
		must(t, os.MkdirAll(path, 0o755))
		must(t, os.Chown(path, uid, uid))
		must(t, unix.Chmod(path, mode))
		return path
	}
	good := sub("good", 0o755, 0)
	sub("sticky", 0o1777, 0)
	inSticky := sub("sticky/agent", 0o755, 0)
	sub("users", 0o1777, 4242)
	inUsers := sub("users/agent", 0o755, 0)
	sub("open", 0o777, 0)
	inOpen := sub("open/agent", 0o755, 0)
	theirs := sub("theirs", 0o755, 4242)
	must(t, os.Symlink("good", filepath.Join(top, "link")))
	must(t, os.WriteFile(filepath.Join(top, "file"), nil, 0o600))

	for path, fault := range map[string]string{
		good: "", inSticky: "", good + "/": "", "/opt": "", "/": "",
		filepath.Join(top, "sticky"): "everyone can write", inUsers: "belongs to uid 4242", inOpen: "everyone can write",
		theirs: "belongs to uid 4242", filepath.Join(top, "link"): "is a symbolic link", "/bin": "is a symbolic link",
		filepath.Join(top, "file"): "is not a directory", filepath.Join(top, "none"): "no such file",
		"relative": "is not an absolute path", "": "is not an absolute path", "/proc": "lies on a proc file system",
	} {
		err := Files{}.ProtectedRoot(path)
		if fault == "" && err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if fault != "" && (err == nil || !strings.Contains(err.Error(), fault)) {
			t.Errorf("%s: %v; expected %q", path, err, fault)
		}
	}

	// Programs below an agent root in a sticky directory may run; elsewhere
	// in that directory they may not.
	agent := Files{file.Files{AgentRoot: inSticky}}
	must(t, agent.Protected(handle(t, program(t, inSticky+"/program"))))
	if err := agent.Protected(handle(t, program(t, top+"/sticky/program"))); !errors.Is(err, core.ErrNotProtected) {
		t.Errorf("beside the agent root: %v, expected ErrNotProtected", err)
	}
	if err := (Files{}).Protected(handle(t, inSticky+"/program")); !errors.Is(err, core.ErrNotProtected) {
		t.Errorf("without an agent root: %v, expected ErrNotProtected", err)
	}
}

func BenchmarkProtected(b *testing.B) {
	f := handle(b, "/usr/bin/true")
	for b.Loop() {
		if err := (Files{}).Protected(f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkInspect(b *testing.B) {
	f := handle(b, "/usr/bin/true")
	for b.Loop() {
		if _, err := (Files{}).Inspect(f); err != nil {
			b.Fatal(err)
		}
	}
}
