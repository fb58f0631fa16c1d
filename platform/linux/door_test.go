//go:build linux

package linux

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
)

// connect connects to a fresh door and returns both ends.
func connect(t testing.TB) (client *net.UnixConn, conn port.DoorConn) {
	t.Helper()
	l, path := door(t)
	dialled, err := Transport{}.Dial(path)
	must(t, err)
	t.Cleanup(func() { dialled.Close() })
	return dialled.(*net.UnixConn), accept(t, l)
}

// Everyone may connect; who they are decides the rest.
func TestListenForEveryone(t *testing.T) {
	dir := public(t)
	doorPath, localPath := filepath.Join(dir, "door.sock"), filepath.Join(dir, "api.sock")
	d, err := Transport{}.ListenDoor(doorPath)
	must(t, err)
	defer d.Close()
	local, err := Transport{}.ListenLocal(localPath)
	must(t, err)
	defer local.Close()
	if local.Addr().String() != localPath {
		t.Errorf("address %v", local.Addr())
	}
	for _, path := range []string{doorPath, localPath} {
		if info, err := os.Lstat(path); err != nil || info.Mode() != fs.ModeSocket|0o666 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
		play(t, user(4242), self, nil, "unix", path, "hold")
	}
	accept(t, d)
	acceptFrom(t, local)
}

func TestListenAtPathsOfAnyLength(t *testing.T) {
	deep := filepath.Join(public(t), strings.Repeat("long/", 40))
	must(t, os.MkdirAll(deep, 0o755))
	for _, name := range []string{"door.sock", strings.Repeat("n", 80)} {
		path := filepath.Join(deep, name)
		l, err := Transport{}.ListenLocal(path)
		must(t, err)
		if l.Addr().String() != path {
			t.Errorf("address %v, expected %s", l.Addr(), path)
		}
		client, err := Transport{}.Dial(path)
		must(t, err)
		conn, err := l.Accept()
		must(t, err)
		must(t, errors.Join(client.Close(), conn.Close(), l.Close()))
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("left behind: %v", err)
		}
	}
	if _, err := (Transport{}).ListenLocal(filepath.Join(deep, strings.Repeat("n", 108))); err == nil {
		t.Error("a name that no address can hold was bound")
	}
}

// stale leaves a socket that nobody listens on, as a killed service does.
func stale(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	must(t, err)
	l.SetUnlinkOnClose(false)
	must(t, l.Close())
}

func TestListenReplacesOnlyItsOwnStaleSocket(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(t *testing.T, dir, path string)
		want error // nil: replaced
	}{
		{"nothing", func(t *testing.T, dir, path string) {}, nil},
		{"a stale socket", func(t *testing.T, dir, path string) { stale(t, path) }, nil},
		{"a service that listens", func(t *testing.T, dir, path string) {
			l, err := net.Listen("unix", path)
			must(t, err)
			t.Cleanup(func() { l.Close() })
		}, unix.EADDRINUSE},
		{"a service too busy to accept", func(t *testing.T, dir, path string) {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			must(t, err)
			t.Cleanup(func() { unix.Close(fd) })
			must(t, unix.Bind(fd, &unix.SockaddrUnix{Name: path}))
			must(t, unix.Listen(fd, 0))
			first, err := net.Dial("unix", path)
			must(t, err)
			t.Cleanup(func() { first.Close() })
		}, unix.EADDRINUSE},
		{"a file", func(t *testing.T, dir, path string) { must(t, os.WriteFile(path, nil, 0o600)) }, fs.ErrExist},
		{"a link to a socket", func(t *testing.T, dir, path string) {
			stale(t, path+"2")
			must(t, os.Symlink(path+"2", path))
		}, fs.ErrExist},
		{"somebody else's socket", func(t *testing.T, dir, path string) {
			stale(t, path)
			must(t, os.Chown(path, 4242, 4242))
		}, fs.ErrExist},
		{"a directory everyone can write to", func(t *testing.T, dir, path string) { must(t, os.Chmod(dir, 0o777)) }, core.ErrNotProtected},
		{"a sticky directory", func(t *testing.T, dir, path string) { must(t, unix.Chmod(dir, 0o1777)) }, core.ErrNotProtected},
		{"a user's directory", func(t *testing.T, dir, path string) { must(t, os.Chown(dir, 4242, 4242)) }, core.ErrNotProtected},
		{"no directory", func(t *testing.T, dir, path string) { must(t, os.Remove(dir)) }, fs.ErrNotExist},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := public(t)
			path := filepath.Join(dir, "door.sock")
			c.make(t, dir, path)
			l, err := Transport{}.ListenDoor(path)
			if err == nil {
				defer l.Close()
			}
			if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), path) {
				t.Errorf("%v, expected %v", err, c.want)
			}
		})
	}
}

func TestCloseRemovesItsOwnNameOnly(t *testing.T) {
	path := filepath.Join(public(t), "door.sock")
	first, err := Transport{}.ListenDoor(path)
	must(t, err)
	must(t, os.Rename(path, path+".old"))
	second, err := Transport{}.ListenDoor(path)
	must(t, err)
	must(t, first.Close())
	must(t, first.Close())
	client, err := Transport{}.Dial(path)
	if err != nil {
		t.Fatalf("the second listener has lost its name: %v", err)
	}
	client.Close()
	must(t, second.Close())
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
	if _, err := second.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
}

func openDescriptors(t testing.TB) int {
	t.Helper()
	return len(entries(t, "/proc/self/fd"))
}

// pass writes p with n copies of descriptor fd.
func pass(t testing.TB, conn *net.UnixConn, p string, fd, n int) {
	t.Helper()
	fds := make([]int, n)
	for i := range fds {
		fds[i] = fd
	}
	var oob []byte
	if n > 0 {
		oob = unix.UnixRights(fds...)
	}
	_, _, err := conn.WriteMsgUnix([]byte(p), oob, nil)
	must(t, err)
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

func TestReadWithFiles(t *testing.T) {
	client, conn := connect(t)
	dir := public(t)
	var files []*os.File
	for i := range maxDescriptors {
		f, err := os.Create(filepath.Join(dir, fmt.Sprint(i)))
		must(t, err)
		files = append(files, f)
	}
	defer closeAll(files)
	must(t, doorConn{localConn: localConn{client}}.WriteWithFiles([]byte("request"), files...))

	buf := make([]byte, 64)
	n, got, err := conn.ReadWithFiles(buf)
	must(t, err)
	defer closeAll(got)
	if string(buf[:n]) != "request" || len(got) != len(files) {
		t.Fatalf("%q with %d descriptors", buf[:n], len(got))
	}
	for i, f := range got {
		if link, err := os.Readlink(procFd(int(f.Fd()))); err != nil || link != files[i].Name() {
			t.Errorf("descriptor %d is %s, %v; expected %s", i, link, err, files[i].Name())
		}
		if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("descriptor %d would be inherited: %#x, %v", i, flags, err)
		}
	}
}

// Each frame's descriptors come with its own first byte, and plain reads in
// between see none.
func TestReadWithFilesKeepsFramesApart(t *testing.T) {
	client, conn := connect(t)
	pass(t, client, "one", 0, 1)
	pass(t, client, "two", 0, 2)
	pass(t, client, "three", 0, 0)
	buf := make([]byte, 64)
	for _, want := range []struct {
		text  string
		files int
	}{{"one", 1}, {"two", 2}, {"three", 0}} {
		n, files, err := conn.ReadWithFiles(buf)
		must(t, err)
		if string(buf[:n]) != want.text || len(files) != want.files {
			t.Errorf("%q with %d descriptors, expected %+v", buf[:n], len(files), want)
		}
		closeAll(files)
	}
	before := openDescriptors(t)
	pass(t, client, "unasked", 0, 8)
	if n, err := conn.Read(buf); err != nil || string(buf[:n]) != "unasked" {
		t.Errorf("%q, %v", buf[:n], err)
	}
	if now := openDescriptors(t); now != before {
		t.Errorf("%d descriptors are open, %d before: a plain read kept some", now, before)
	}
	must(t, client.Close())
	if n, files, err := conn.ReadWithFiles(buf); n != 0 || files != nil || err != io.EOF {
		t.Errorf("at the end: %d, %v, %v", n, files, err)
	}
}

func TestReadWithFilesRefusesTooMany(t *testing.T) {
	for _, n := range []int{9, 100, 253} {
		client, conn := connect(t)
		before := openDescriptors(t)
		pass(t, client, "request", 0, n)
		buf := make([]byte, 64)
		if _, files, err := conn.ReadWithFiles(buf); !errors.Is(err, unix.EMSGSIZE) || files != nil {
			t.Errorf("%d descriptors: %d files, %v", n, len(files), err)
		}
		if now := openDescriptors(t); now != before {
			t.Errorf("%d descriptors are open, %d before", now, before)
		}
	}
}

// When we run out of descriptors the kernel drops those that do not fit: that
// must not pass for a message with fewer.
func TestReadWithFilesWhenNoneAreLeft(t *testing.T) {
	client, conn := connect(t)
	pass(t, client, "request", 0, 5)
	before := openDescriptors(t)
	var limit unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	less := limit
	less.Cur = uint64(before) + 2
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &less))
	_, files, err := conn.ReadWithFiles(make([]byte, 64))
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	if err == nil || files != nil {
		t.Errorf("%d files, %v; expected an error", len(files), err)
	}
	if now := openDescriptors(t); now != before {
		t.Errorf("%d descriptors are open, %d before", now, before)
	}
}

func TestReadWithFilesObeysDeadlines(t *testing.T) {
	_, conn := connect(t)
	must(t, conn.SetReadDeadline(time.Unix(1, 0)))
	if _, _, err := conn.ReadWithFiles(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v, expected a deadline error", err)
	}
}

// A caller passes a file on a FUSE file system whose daemon never answers, in
// the mode in which the runtime would ask it whether it is ready.
func TestReadWithFilesNeverAsksTheFile(t *testing.T) {
	client, conn := connect(t)
	var sent *os.File
	resume := hang(t, func(mounted string) {
		// The daemon says once that it does not care for flush; from then on
		// close(2) does not wait for it, and what is left is the poller.
		_, err := os.ReadFile(mounted + "/program")
		must(t, err)
		fd, err := unix.Open(mounted+"/program", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		must(t, err)
		pass(t, client, "request", fd, 1)
		must(t, unix.Close(fd))
	})
	defer resume()
	done := make(chan error)
	go func() {
		_, files, err := conn.ReadWithFiles(make([]byte, 64))
		if err == nil {
			sent = files[0]
		}
		done <- err
	}()
	select {
	case err := <-done:
		must(t, err)
		flags, err := unix.FcntlInt(sent.Fd(), unix.F_GETFL, 0)
		if err != nil || flags&unix.O_NONBLOCK == 0 {
			t.Errorf("the caller's mode was changed: %#x, %v", flags, err)
		}
		resume()
		must(t, sent.Close())
	case <-time.After(20 * time.Second):
		t.Error("receiving waits for a daemon that does not answer")
		resume()
		<-done
	}
}

func TestWriteWithFiles(t *testing.T) {
	client, conn := connect(t)
	read, write, err := os.Pipe()
	must(t, err)
	defer read.Close()
	defer write.Close()
	big := bytes.Repeat([]byte("frame"), 200_000) // more than a socket buffer

	written := make(chan error)
	go func() { written <- conn.WriteWithFiles(big, write) }()
	first := make([]byte, 10)
	n, files, err := doorConn{localConn: localConn{client}}.ReadWithFiles(first)
	must(t, err)
	rest, err := io.ReadAll(io.LimitReader(client, int64(len(big)-n)))
	must(t, err)
	must(t, <-written)
	if !bytes.Equal(append(first[:n], rest...), big) || len(files) != 1 {
		t.Fatalf("%d bytes with %d descriptors", n+len(rest), len(files))
	}
	_, err = files[0].Write([]byte("x"))
	must(t, err)
	files[0].Close()
	if _, err := io.ReadFull(read, first[:1]); err != nil || first[0] != 'x' {
		t.Errorf("through the descriptor: %q, %v", first[:1], err)
	}

	must(t, conn.WriteWithFiles([]byte("no files")))
	if err := conn.WriteWithFiles(nil, write); !errors.Is(err, unix.EINVAL) {
		t.Errorf("descriptors without a byte to travel with: %v", err)
	}
	if err := conn.WriteWithFiles([]byte("x"), make([]*os.File, 9)...); !errors.Is(err, unix.EINVAL) {
		t.Errorf("nine descriptors: %v", err)
	}
	if err := conn.WriteWithFiles([]byte("x"), nil); err == nil {
		t.Error("no file was sent")
	}
}

// The control messages of a receive are the kernel's, but what is in them a
// caller chose.
func FuzzDescriptors(f *testing.F) {
	f.Add(unix.UnixRights(1, 2, 3))
	f.Add(append(unix.UnixCredentials(&unix.Ucred{Pid: 1}), unix.UnixRights(7)...))
	f.Add(unix.UnixRights(1)[:7])
	odd := unix.UnixRights(1)
	binary.NativeEndian.PutUint64(odd, 19)
	f.Add(odd[:19]) // a length that no number of descriptors has
	f.Fuzz(func(t *testing.T, oob []byte) {
		if fds, _ := descriptors(oob); len(fds)*4 > len(oob) {
			t.Errorf("%d descriptors from %d bytes", len(fds), len(oob))
		}
	})
}

func BenchmarkReadWithFiles(b *testing.B) {
	client, conn := connect(b)
	buf := make([]byte, 64)
	for b.Loop() {
		pass(b, client, "request", 0, 5)
		_, files, err := conn.ReadWithFiles(buf)
		if err != nil {
			b.Fatal(err)
		}
		closeAll(files)
	}
}

// Whoever comes while the socket is made finds none, or one that they may connect to: a
// service that is started again must not tell them that they have no access.
func TestNobodyIsKeptOutWhileTheSocketIsMade(t *testing.T) {
	dir := public(t)
	path := filepath.Join(dir, "s")
	end, ended := make(chan struct{}), make(chan error, 1)
	go onThreadThatEnds(func() { // with its identity
		unix.RawSyscall(unix.SYS_SETFSUID, 4242, 0, 0)
		for {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
			if err == nil {
				err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
				unix.Close(fd)
			}
			if err != nil && err != unix.ENOENT && err != unix.ECONNREFUSED && err != unix.EAGAIN {
				ended <- err
				return
			}
			select {
			case <-end:
				ended <- nil
				return
			default:
			}
		}
	})
	for range 300 {
		l, err := listen(path, nil)
		must(t, err)
		must(t, l.Close())
	}
	close(end)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}
