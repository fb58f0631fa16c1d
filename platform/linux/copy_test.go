//go:build linux

package linux

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kpm/core"
)

var (
	stranger  = core.Account{User: "4242", Name: "4242", Group: "4242"}
	superuser = core.Account{User: "0", Name: "root", Group: "0"}
)

// as4242 makes cmd run as uid and gid 4242.
func as4242(cmd *exec.Cmd) *exec.Cmd {
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4242, Gid: 4242}}
	return cmd
}

// copyDir is what run/exec is: anyone who knows a name can open it, only root
// can list or write.
func copyDir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(public(t), "exec")
	must(t, os.Mkdir(dir, 0o711))
	return dir
}

func entries(t testing.TB, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	must(t, err)
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// goOn keeps nobody waiting.
func goOn() error { return nil }

func TestCopy(t *testing.T) {
	src := program(t, filepath.Join(public(t), "script.mjs"))
	must(t, os.Chown(src, 4242, 4242))
	content, err := os.ReadFile(src)
	must(t, err)
	want := sha256.Sum256(content)

	for _, c := range []struct {
		reader core.Account
		mode   os.FileMode
		group  uint32
	}{{stranger, 0o550, 0}, {superuser, 0o500, 0}, {core.Account{User: "65534", Group: "65534"}, 0o550, 0}} {
		dir := copyDir(t)
		f, sum, err := Files{}.Copy(t.Context(), handle(t, src), dir, "script.mjs", c.reader, goOn)
		must(t, err)
		defer f.Close()
		if sum != hex.EncodeToString(want[:]) {
			t.Errorf("digest %s, expected %x", sum, want)
		}
		if filepath.Dir(f.Name()) != dir || !strings.HasSuffix(f.Name(), "-script.mjs") {
			t.Errorf("the copy is %s", f.Name())
		}
		byName, err := os.Lstat(f.Name())
		must(t, err)
		byHandle, err := f.Stat()
		must(t, err)
		st := byName.Sys().(*syscall.Stat_t)
		if !os.SameFile(byName, byHandle) || byName.Mode() != c.mode || st.Uid != 0 || st.Gid != c.group {
			t.Errorf("for %s: %v, owner %d:%d", c.reader.User, byName.Mode(), st.Uid, st.Gid)
		}
		if got, err := io.ReadAll(f); err != nil || string(got) != string(content) {
			t.Errorf("the handle reads %q, %v", got, err)
		}
		if got := entries(t, dir); len(got) != 1 {
			t.Errorf("left behind: %v", got)
		}
	}
}

// The reader can run its copy and change nothing about it, and the original
// may do what it wants afterwards.
func TestCopyIsTheReadersToRunOnly(t *testing.T) {
	src := program(t, filepath.Join(public(t), "script"))
	f, _, err := Files{}.Copy(t.Context(), handle(t, src), copyDir(t), "script", stranger, goOn)
	must(t, err)
	defer f.Close()
	must(t, os.WriteFile(src, []byte("#!/bin/sh\nexit 66\n"), 0o755))

	if out, err := as4242(exec.Command(f.Name())).CombinedOutput(); err != nil {
		t.Errorf("run as its reader: %v %s", err, out)
	}
	for _, attempt := range [][]string{
		{"/bin/sh", "-c", `echo x >>"$0"`}, {"/bin/chmod", "u+w"}, {"/bin/rm", "-f"}, {"/bin/ls", filepath.Dir(f.Name())},
	} {
		if err := as4242(exec.Command(attempt[0], append(attempt[1:], f.Name())...)).Run(); err == nil {
			t.Errorf("%v succeeded as its reader", attempt)
		}
	}
	must(t, Files{}.Protected(f))
}

// Its name is in the process list while a script runs. Others in the reader's
// group can do nothing with it all the same, unless the file system knows
// groups only.
func TestCopyIsNotTheGroups(t *testing.T) {
	src := program(t, filepath.Join(public(t), "script"))
	must(t, os.Chown(src, 4242, 4242))
	must(t, os.Chmod(src, 0o700))
	simple := filepath.Join(public(t), "ramfs") // no extended attributes
	must(t, os.Mkdir(simple, 0o711))
	must(t, unix.Mount("ramfs", simple, "ramfs", 0, "mode=711"))
	defer unix.Unmount(simple, unix.MNT_DETACH)
	must(t, os.Chmod(simple, 0o711))

	for dir, shared := range map[string]bool{copyDir(t): false, simple: true} {
		f, _, err := Files{}.Copy(t.Context(), handle(t, src), dir, "script", stranger, goOn)
		must(t, err)
		defer f.Close()
		for _, tc := range []struct {
			uid, gid uint32
			may      bool
		}{{4242, 4242, true}, {4242, 9, !shared}, {4343, 4242, shared}, {4343, 9, false}} {
			for _, attempt := range []*exec.Cmd{exec.Command("/bin/cat", f.Name()), exec.Command(f.Name())} {
				attempt.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: tc.uid, Gid: tc.gid}}
				if err := attempt.Run(); (err == nil) != tc.may {
					t.Errorf("%v as %d:%d: %v", attempt.Args, tc.uid, tc.gid, err)
				}
			}
		}
	}
}

func TestCopyRefuses(t *testing.T) {
	src := program(t, filepath.Join(public(t), "script"))
	fifo := filepath.Join(public(t), "fifo")
	must(t, unix.Mkfifo(fifo, 0o600))
	huge := filepath.Join(public(t), "huge")
	must(t, os.WriteFile(huge, nil, 0o755))
	must(t, os.Truncate(huge, maxCopy+1))
	writable, theirs, link := copyDir(t), copyDir(t), filepath.Join(public(t), "link")
	must(t, os.Chmod(writable, 0o777))
	must(t, os.Chown(theirs, 4242, 4242))
	must(t, os.Symlink(copyDir(t), link))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()

	for _, c := range []struct {
		name      string
		ctx       context.Context
		src, dir  string
		base      string
		reader    core.Account
		want      error
		wantInMsg string
	}{
		{name: "a FIFO", src: fifo, want: core.ErrNotRegular},
		{name: "a directory", src: "/opt", want: core.ErrNotRegular},
		{name: "more than 1 GiB", src: huge, wantInMsg: "the limit is 1073741824"},
		{name: "a directory everyone can write to", dir: writable, want: core.ErrNotProtected},
		{name: "a user's directory", dir: theirs, want: core.ErrNotProtected},
		{name: "a link to a directory", dir: link, want: unix.ENOTDIR},
		{name: "no directory", dir: "/opt/none", want: fs.ErrNotExist},
		{name: "a path for a name", base: "../script", wantInMsg: "not a file name"},
		{name: "no name", base: "-", wantInMsg: "not a file name"},
		{name: "group -1", reader: core.Account{User: "4242", Group: "4294967295"}, wantInMsg: "group"},
		{name: "no group", reader: core.Account{User: "4242"}, wantInMsg: "group"},
		{name: "a caller who has gone", ctx: cancelled, want: context.Canceled},
	} {
		ctx, from, dir, base, reader := t.Context(), src, copyDir(t), "script", stranger
		if c.ctx != nil {
			ctx = c.ctx
		}
		if c.src != "" {
			from = c.src
		}
		if c.dir != "" {
			dir = c.dir
		}
		if c.base != "" {
			base = strings.TrimPrefix(c.base, "-")
		}
		if c.reader.User != "" {
			reader = c.reader
		}
		f, sum, err := Files{}.Copy(ctx, handle(t, from), dir, base, reader, goOn)
		if err == nil || f != nil || sum != "" || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.wantInMsg) {
			t.Errorf("%s: %v, %q, %v", c.name, f, sum, err)
		}
		if dir != "/opt/none" {
			if left := entries(t, dir); len(left) != 0 {
				t.Errorf("%s: left behind %v", c.name, left)
			}
		}
	}
}

// Why a script cannot run that may be executed and not read, and what else
// cannot, is told apart.
func TestCopySaysWhatItsReaderMayNot(t *testing.T) {
	reader := core.Account{User: "4242", Name: "reader", Group: "4242"}
	for _, c := range []struct {
		name, text string
		mode       os.FileMode
		reader     core.Account
		want       error
	}{
		{"a script to execute", "#!/bin/sh\n", 0o711, reader, core.ErrMayNotRead},
		{"a script to read", "#!/bin/sh\n", 0o755, reader, nil},
		{"a script for its owner alone", "#!/bin/sh\n", 0o100, reader, core.ErrMayNotRun},
		{"the same for root", "#!/bin/sh\n", 0o100, superuser, nil},
		{"a binary to execute", "\x7fELF", 0o711, reader, nil},
		{"nothing to execute", "", 0o711, reader, nil},
	} {
		src := filepath.Join(public(t), "src")
		must(t, os.WriteFile(src, []byte(c.text), 0o600))
		must(t, os.Chown(src, 65534, 65534))
		must(t, os.Chmod(src, c.mode))
		dir := copyDir(t)
		f, _, err := Files{}.Copy(t.Context(), handle(t, src), dir, "src", c.reader, goOn)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || c.want != nil && (!errors.Is(err, fs.ErrPermission) || len(entries(t, dir)) != 0) {
			t.Errorf("%s: %v, expected %v", c.name, err, c.want)
		}
		if f == nil {
			continue
		}
		info, err := f.Stat()
		must(t, errors.Join(err, f.Close()))
		if mode := info.Mode(); c.name == "a binary to execute" && mode != 0o510 {
			t.Errorf("%s: mode %v", c.name, mode)
		}
	}
}

// A copy must not show its reader what the original would not.
func TestCopyGrantsNoMoreThanTheOriginal(t *testing.T) {
	reader := core.Account{User: "4242", Name: "reader", Group: "4242", Groups: []string{"4242", "7"}}
	for _, c := range []struct {
		name     string
		mode     os.FileMode
		uid, gid int
		acl      bool
		reader   core.Account
		want     os.FileMode // 0: refused
	}{
		{"the reader's own", 0o700, 4242, 9, false, reader, 0o550},
		{"the reader's own, not executable", 0o677, 4242, 4242, false, reader, 0},
		{"somebody's private file", 0o700, 65534, 65534, false, reader, 0},
		{"somebody's for all", 0o705, 65534, 65534, false, reader, 0o550},
		{"a script to execute, not to read", 0o711, 65534, 65534, false, reader, 0},
		{"to read, not to execute", 0o744, 65534, 65534, false, reader, 0},
		{"a group's, reader in it", 0o750, 65534, 7, false, reader, 0o550},
		{"a group's, reader not in it", 0o750, 65534, 8, false, reader, 0},
		{"for all but a group, reader in it", 0o705, 65534, 7, false, reader, 0},
		{"with an access control list", 0o755, 65534, 7, true, reader, 0},
		{"the reader's own with an access control list", 0o755, 4242, 7, true, reader, 0o550},
		{"root runs what somebody may", 0o001, 65534, 65534, false, superuser, 0o500},
		{"root runs no data", 0o666, 0, 0, false, superuser, 0},
		{"nobody at all", 0o755, 0, 0, false, core.Account{User: "4294967295", Group: "0"}, 0},
		{"setuid does not survive", 0o4755, 65534, 65534, false, reader, 0o550},
	} {
		src := program(t, filepath.Join(public(t), "src"))
		must(t, os.Chown(src, c.uid, c.gid))
		if c.acl {
			must(t, setACL(src, 5, 5))
		} else {
			must(t, unix.Chmod(src, uint32(c.mode)))
		}
		dir := copyDir(t)
		f, _, err := Files{}.Copy(t.Context(), handle(t, src), dir, "src", c.reader, goOn)
		if c.want == 0 {
			if err == nil || c.reader.User != "4294967295" && !errors.Is(err, fs.ErrPermission) || len(entries(t, dir)) != 0 {
				t.Errorf("%s: %v, %v; expected fs.ErrPermission and no copy", c.name, f, err)
			}
			continue
		}
		must(t, err)
		if info, err := f.Stat(); err != nil || info.Mode() != c.want {
			t.Errorf("%s: mode %v, %v; expected %v", c.name, info.Mode(), err, c.want)
		}
		f.Close()
	}
}

// A file that grows while it is read ends at the limit all the same.
func TestCopyStopsAtItsLimit(t *testing.T) {
	if n, sum, err := pour(t.Context(), io.Discard, strings.NewReader(strings.Repeat("x", 1000)), 1000, goOn); err != nil || n != 1000 {
		t.Errorf("at the limit: %d, %s, %v", n, sum, err)
	}
	zero, err := os.Open("/dev/zero")
	must(t, err)
	defer zero.Close()
	if n, sum, err := pour(t.Context(), io.Discard, zero, 1<<20, goOn); err == nil {
		t.Errorf("beyond the limit: %d, %s", n, sum)
	}
}

// Another thread forks whenever it likes; its child briefly holds every
// descriptor we have, the one the copy is written through included.
func TestCopyCanBeExecutedAtOnce(t *testing.T) {
	src, err := os.Open("/usr/bin/true")
	must(t, err)
	defer src.Close()
	stop := make(chan struct{})
	var others sync.WaitGroup
	for range 2 {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					exec.Command("/usr/bin/true").Run()
				}
			}
		})
	}
	dir := copyDir(t)
	for range 100 {
		f, _, err := Files{}.Copy(t.Context(), src, dir, "true", superuser, goOn)
		must(t, err)
		if err := exec.Command(f.Name()).Run(); err != nil {
			t.Errorf("run the copy: %v", err)
		}
		f.Close()
	}
	close(stop)
	others.Wait()
}

func TestAwaitNoWriters(t *testing.T) {
	path := program(t, filepath.Join(public(t), "copy"))
	writer, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	reader, err := os.Open(path)
	must(t, err)
	defer reader.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := awaitNoWriters(ctx, reader); !errors.Is(err, context.Canceled) {
		t.Errorf("with a writer: %v", err)
	}
	done := make(chan error)
	go func() { done <- awaitNoWriters(t.Context(), reader) }()
	must(t, writer.Close())
	must(t, <-done)
}

func TestWriteAtomic(t *testing.T) { replaces(t, Files{}.WriteAtomic) }

func TestReplace(t *testing.T) { replaces(t, Files{}.Replace) }

// replaces tests a way to put a file in another's place.
func replaces(t *testing.T, write func(path string, data []byte, perm os.FileMode) error) {
	dir := t.TempDir()
	path := filepath.Join(dir, "journal.head")
	must(t, write(path, []byte("one"), 0o600))
	old, err := os.Open(path)
	must(t, err)
	defer old.Close()
	must(t, write(path, []byte("two"), 0o644))

	if data, err := os.ReadFile(path); err != nil || string(data) != "two" {
		t.Errorf("read %q, %v", data, err)
	}
	if data, err := io.ReadAll(old); err != nil || string(data) != "one" {
		t.Errorf("somebody who had it open reads %q, %v", data, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o644 {
		t.Errorf("%v, %v", info.Mode(), err)
	}

	// A link is replaced, not written through.
	victim := filepath.Join(dir, "victim")
	must(t, os.WriteFile(victim, []byte("mine"), 0o600))
	link := filepath.Join(dir, "link")
	must(t, os.Symlink(victim, link))
	must(t, write(link, []byte("new"), 0o600))
	if data, err := os.ReadFile(victim); err != nil || string(data) != "mine" {
		t.Errorf("the link's target is %q, %v", data, err)
	}

	// A path that cannot be replaced leaves nothing behind.
	must(t, os.MkdirAll(filepath.Join(dir, "full", "x"), 0o700))
	if err := write(filepath.Join(dir, "full"), nil, 0o600); err == nil {
		t.Error("a directory was replaced")
	}
	if err := write(filepath.Join(dir, "none", "x"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such directory: %v", err)
	}
	if got := entries(t, dir); len(got) != 4 {
		t.Errorf("left behind: %v", got)
	}
}

func BenchmarkCopy1MB(b *testing.B) {
	path := filepath.Join(public(b), "program")
	must(b, os.WriteFile(path, make([]byte, 1<<20), 0o755))
	src, dir := handle(b, path), copyDir(b)
	b.SetBytes(1 << 20)
	for b.Loop() {
		f, _, err := Files{}.Copy(b.Context(), src, dir, "program", superuser, goOn)
		if err != nil {
			b.Fatal(err)
		}
		f.Close()
		os.Remove(f.Name())
	}
}

func BenchmarkWriteAtomic(b *testing.B) {
	path := filepath.Join(public(b), "head")
	data := make([]byte, 64)
	for b.Loop() {
		if err := (Files{}).WriteAtomic(path, data, 0o600); err != nil {
			b.Fatal(err)
		}
	}
}
