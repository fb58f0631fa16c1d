//go:build linux

package linux

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
)

// connectPart connects to args[1] over network args[0] and then does what
// args[2] says until its standard input ends.
func connectPart(args []string) {
	conn, err := net.Dial(args[0], args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	switch args[2] {
	case "hold":
	case "share": // with a child
		f, _ := conn.(interface{ File() (*os.File, error) }).File()
		child := exec.Command("/usr/bin/sleep", "1000")
		child.ExtraFiles = []*os.File{f}
		if err := child.Start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		f.Close()
		defer child.Wait()
		defer child.Process.Kill()
	case "exec": // become another program that inherits the connection
		f, _ := conn.(interface{ File() (*os.File, error) }).File()
		unix.FcntlInt(f.Fd(), unix.F_SETFD, 0)
		fmt.Println("ready")
		unix.Exec(args[3], []string{"sleep", "1000"}, nil)
		os.Exit(1)
	case "inherit": // nothing of its own: descriptor 3 was given
		conn.Close()
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
}

// play starts somebody who connects, and returns when they have.
func play(t testing.TB, attr *syscall.SysProcAttr, program string, files []*os.File, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = []string{childVar + "=connect", "GORACE=atexit_sleep_ms=0"}
	cmd.SysProcAttr = attr
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = files
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		stdin.Close()
		if args[2] == "exec" { // the others end by themselves, and their children first
			cmd.Process.Kill()
		}
		cmd.Wait()
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatalf("%v said %q, %v", args, line, err)
	}
	return cmd
}

const self = "/proc/self/exe"

func user(uid uint32) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
}

func idOf(t testing.TB, pid int) core.ProcessID {
	t.Helper()
	p, err := openProcess(pid)
	must(t, err)
	defer p.close()
	id, err := p.id()
	must(t, err)
	return id
}

// door listens in a directory that everyone can reach.
func door(t testing.TB) (port.DoorListener, string) {
	t.Helper()
	path := filepath.Join(public(t), "door.sock")
	l, err := Transport{}.ListenDoor(path)
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return l, path
}

func accept(t testing.TB, l port.DoorListener) port.DoorConn {
	t.Helper()
	conn, err := l.Accept()
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

func peers(t testing.TB) *Peers {
	t.Helper()
	p, err := NewPeers(nil)
	must(t, err)
	t.Cleanup(func() { must(t, p.Close()) })
	return p
}

func TestPeerOfALocalSocket(t *testing.T) {
	idmap := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 4242, Size: 1}}
	setuid := filepath.Join(public(t), "setuid")
	duplicate(t, "/usr/bin/sleep", setuid)
	must(t, unix.Chmod(setuid, 0o4755))

	for _, c := range []struct {
		name string
		attr *syscall.SysProcAttr
		then []string
		want core.Peer // Processes are filled in
	}{
		{name: "a user", attr: user(4242), want: core.Peer{User: "4242", SameIdentity: true}},
		{name: "nobody", attr: user(65534), want: core.Peer{User: "65534", SameIdentity: true}},
		{name: "the largest uid", attr: user(4294967294), want: core.Peer{User: "4294967294", SameIdentity: true}},
		{name: "root", want: core.Peer{User: "0", SameIdentity: true, Administrator: true}},
		{
			name: "another mount namespace", attr: &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS},
			want: core.Peer{User: "0", SameIdentity: true, Foreign: true},
		},
		{
			name: "another pid namespace", attr: &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID},
			want: core.Peer{User: "0", SameIdentity: true, Foreign: true},
		},
		{
			name: "root of a user namespace",
			attr: &syscall.SysProcAttr{
				Cloneflags: unix.CLONE_NEWUSER, UidMappings: idmap, GidMappings: idmap,
				Credential: &syscall.Credential{NoSetGroups: true},
			},
			want: core.Peer{User: "4242", SameIdentity: true, Foreign: true},
		},
		{
			// Connect, write, then become root's program with the connection
			// still open: whose is it now? (decision 11)
			name: "a setuid program that inherited the connection", attr: user(4242), then: []string{"exec", setuid},
			want: core.Peer{User: "4242"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, path := door(t)
			if c.then == nil {
				c.then = []string{"hold"}
			}
			child := play(t, c.attr, self, nil, append([]string{"unix", path}, c.then...)...)
			conn := accept(t, l)
			if c.then[0] == "exec" {
				becomes(t, child, setuid)
			}
			c.want.Processes = []core.ProcessID{idOf(t, child.Process.Pid)}
			c.want.Groups = groupsOf(t, child.Process.Pid)
			check(t, conn.Peer, c.want)
			check(t, func() (core.Peer, error) { return peers(t).Peer(conn) }, c.want)
		})
	}
}

// A setuid program connects itself: the kernel says root, but a user started
// it and had a hand in what it does.
func TestPeerThatIsASetuidProgram(t *testing.T) {
	program := filepath.Join(public(t), "setuid")
	duplicate(t, self, program)
	must(t, unix.Chmod(program, 0o4755))
	l, path := door(t)
	child := play(t, user(4242), program, nil, "unix", path, "hold")
	conn := accept(t, l)
	check(t, conn.Peer, core.Peer{User: "0", Groups: []string{"4242"}, Processes: []core.ProcessID{idOf(t, child.Process.Pid)}})
}

// groupsOf returns a process's effective group and then the others, as the
// kernel shows them.
func groupsOf(t *testing.T, pid int) []string {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(t, err)
	var groups []string
	for line := range strings.Lines(string(status)) {
		fields := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "Gid:"):
			groups = append(groups, fields[2])
		case strings.HasPrefix(line, "Groups:"):
			for _, gid := range fields[1:] {
				if gid != groups[0] {
					groups = append(groups, gid)
				}
			}
		}
	}
	return groups
}

// The groups are all that the kernel counts the process in, however many, and
// the login is the one that its session began with.
func TestGroupsAndLoginOfAPeer(t *testing.T) {
	for _, count := range []int{0, 1, 64, 65, 5000} {
		attr := user(4242)
		for i := range count {
			attr.Credential.Groups = append(attr.Credential.Groups, uint32(70000+i))
		}
		l, path := door(t)
		child := play(t, attr, self, nil, "unix", path, "hold")
		peer, err := accept(t, l).Peer()
		must(t, err)
		if want := groupsOf(t, child.Process.Pid); len(peer.Groups) != count+1 || !slices.Equal(peer.Groups, want) {
			t.Errorf("%d groups, expected %d: %.200v", len(peer.Groups), count+1, peer.Groups)
		}
	}
	p, err := openProcess(os.Getpid())
	must(t, err)
	defer p.close()
	login, err := loginOf(p)
	must(t, err)
	data, err := os.ReadFile("/proc/self/loginuid")
	must(t, err)
	if want := strings.TrimSpace(string(data)); login != want && (login != "" || want != "4294967295") {
		t.Errorf("login %q, the kernel says %s", login, want)
	}
}

func check(t *testing.T, ask func() (core.Peer, error), want core.Peer) {
	t.Helper()
	got, err := ask()
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got.Processes, func(a, b core.ProcessID) int { return a.PID - b.PID })
	slices.SortFunc(want.Processes, func(a, b core.ProcessID) int { return a.PID - b.PID })
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("peer    %+v\nexpected %+v", got, want)
	}
}

func duplicate(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(to, data, 0o755))
}

// becomes waits until the child runs program.
func becomes(t *testing.T, child *exec.Cmd, program string) {
	t.Helper()
	for {
		if now, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", child.Process.Pid)); err != nil {
			t.Fatal(err)
		} else if now == program {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// Who is not there any more cannot be asked about; a process that still holds
// the connection is not who connected.
func TestPeerThatHasGone(t *testing.T) {
	l, path := door(t)
	child := play(t, user(4242), self, nil, "unix", path, "hold")
	conn := accept(t, l)
	must(t, child.Process.Kill())
	waited := make(chan error)
	go func() { waited <- child.Wait() }()
	for { // exited and perhaps not reaped yet, then reaped
		if _, err := conn.Peer(); err != nil {
			if !errors.Is(err, errVanished) {
				t.Error(err)
			}
			break
		}
	}
	<-waited
	if peer, err := conn.Peer(); !errors.Is(err, errVanished) || peer.User != "" {
		t.Errorf("%+v, %v; expected errVanished", peer, err)
	}
}

// Before Linux 6.5 the kernel has no handle for the peer; an option that no
// kernel has stands for that here.
func TestPeerWithoutAKernelHandle(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	pidfd, err := peerPidfd(pair[0], 9999, os.Getpid())
	must(t, err)
	defer unix.Close(pidfd)
	if ended(pidfd) {
		t.Error("this process has ended, it says")
	}
	if pidfd, err := peerPidfd(pair[0], 9999, 1<<22); err == nil {
		unix.Close(pidfd)
		t.Error("a handle to a process that cannot exist")
	}
}

func BenchmarkPeerLocal(b *testing.B) {
	l, path := door(b)
	client, err := Transport{}.Dial(path)
	must(b, err)
	defer client.Close()
	conn := accept(b, l)
	for b.Loop() {
		if _, err := conn.Peer(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPeerTCP(b *testing.B) {
	p := peers(b)
	l := serve(b, "tcp4", "127.0.0.1:0")
	client, err := net.Dial("tcp4", l.Addr().String())
	must(b, err)
	defer client.Close()
	conn := acceptFrom(b, l)
	for b.Loop() {
		if _, err := p.Peer(conn); err != nil {
			b.Fatal(err)
		}
	}
}
