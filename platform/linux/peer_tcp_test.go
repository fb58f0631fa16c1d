//go:build linux

package linux

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
)

// serve listens on a loopback address and returns the accepting side.
func serve(t testing.TB, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

func acceptFrom(t testing.TB, l net.Listener) net.Conn {
	t.Helper()
	conn, err := l.Accept()
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestPeerOfALoopbackConnection(t *testing.T) {
	p := peers(t)
	for _, c := range []struct {
		name, network, address string
		attr                   *syscall.SysProcAttr
		want                   core.Peer
	}{
		{"a user", "tcp4", "127.0.0.1:0", user(4242), core.Peer{User: "4242", SameIdentity: true}},
		{"a user over IPv6", "tcp6", "[::1]:0", user(4242), core.Peer{User: "4242", SameIdentity: true}},
		{"another loopback address", "tcp4", "127.8.9.1:0", user(4242), core.Peer{User: "4242", SameIdentity: true}},
		{"root", "tcp4", "127.0.0.1:0", nil, core.Peer{User: "0", SameIdentity: true, Administrator: true}},
		{
			"another mount namespace", "tcp6", "[::1]:0", &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS},
			core.Peer{User: "0", SameIdentity: true, Foreign: true},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := serve(t, c.network, c.address)
			child := play(t, c.attr, self, nil, "tcp", l.Addr().String(), "hold")
			conn := acceptFrom(t, l)
			c.want.Processes = []core.ProcessID{idOf(t, child.Process.Pid)}
			check(t, func() (core.Peer, error) { return p.Peer(conn) }, c.want)
			check(t, func() (core.Peer, error) { return p.Peer(tls.Server(conn, nil)) }, c.want)
		})
	}
}

// IPv4 in IPv6 sockets, at either end.
func TestPeerOfAMappedConnection(t *testing.T) {
	p := peers(t)
	mapped := [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}
	want := core.Peer{User: "0", SameIdentity: true, Administrator: true, Processes: []core.ProcessID{idOf(t, os.Getpid())}}

	t.Run("client", func(t *testing.T) {
		l := serve(t, "tcp4", "127.0.0.1:0")
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		defer unix.Close(fd)
		must(t, unix.Connect(fd, &unix.SockaddrInet6{Addr: mapped, Port: l.Addr().(*net.TCPAddr).Port}))
		conn := acceptFrom(t, l)
		check(t, func() (core.Peer, error) { return p.Peer(conn) }, want)
	})
	t.Run("server", func(t *testing.T) {
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		must(t, unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0))
		must(t, unix.Bind(fd, &unix.SockaddrInet6{Addr: mapped}))
		must(t, unix.Listen(fd, 1))
		f := os.NewFile(uintptr(fd), "listener")
		l, err := net.FileListener(f)
		f.Close()
		must(t, err)
		defer l.Close()
		client, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", l.Addr().(*net.TCPAddr).Port))
		must(t, err)
		defer client.Close()
		conn := acceptFrom(t, l)
		check(t, func() (core.Peer, error) { return p.Peer(conn) }, want)
	})
}

// Every holder counts, not the first that is found.
func TestPeerWithSeveralHolders(t *testing.T) {
	p := peers(t)
	t.Run("a parent and its child", func(t *testing.T) {
		l := serve(t, "tcp4", "127.0.0.1:0")
		child := play(t, user(4242), self, nil, "tcp", l.Addr().String(), "share")
		conn := acceptFrom(t, l)
		peer, err := p.Peer(conn)
		must(t, err)
		if len(peer.Processes) != 2 || !peer.SameIdentity || peer.User != "4242" ||
			!slices.Contains(peer.Processes, idOf(t, child.Process.Pid)) {
			t.Errorf("%+v; expected the child and its own child", peer)
		}
	})
	t.Run("root's connection, shared with a user", func(t *testing.T) {
		l := serve(t, "tcp4", "127.0.0.1:0")
		client, err := net.Dial("tcp4", l.Addr().String())
		must(t, err)
		defer client.Close()
		conn := acceptFrom(t, l)
		child := inheriting(t, client, user(4242))
		check(t, func() (core.Peer, error) { return p.Peer(conn) }, core.Peer{
			User: "0", Processes: []core.ProcessID{idOf(t, os.Getpid()), idOf(t, child.Process.Pid)},
		})

		// And when root has let go of it: the socket is still root's, says
		// the kernel.
		client.Close()
		check(t, func() (core.Peer, error) { return p.Peer(conn) }, core.Peer{
			User: "0", Processes: []core.ProcessID{idOf(t, child.Process.Pid)},
		})
	})
	t.Run("a holder in another namespace", func(t *testing.T) {
		l := serve(t, "tcp4", "127.0.0.1:0")
		client, err := net.Dial("tcp4", l.Addr().String())
		must(t, err)
		defer client.Close()
		conn := acceptFrom(t, l)
		child := inheriting(t, client, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS})
		check(t, func() (core.Peer, error) { return p.Peer(conn) }, core.Peer{
			User: "0", SameIdentity: true, Foreign: true,
			Processes: []core.ProcessID{idOf(t, os.Getpid()), idOf(t, child.Process.Pid)},
		})
	})
}

// inheriting starts a process that holds conn and nothing else of interest.
func inheriting(t *testing.T, conn net.Conn, attr *syscall.SysProcAttr) *exec.Cmd {
	t.Helper()
	f, err := conn.(*net.TCPConn).File()
	must(t, err)
	defer f.Close()
	other := serve(t, "tcp4", "127.0.0.1:0")
	return play(t, attr, self, []*os.File{f}, "tcp", other.Addr().String(), "inherit")
}

// What the kernel keeps of a closed socket it reports as root's, without an
// inode: it must not make anybody root.
func TestPeerThatClosedItsConnection(t *testing.T) {
	p := peers(t)
	for name, leave := range map[string]func(*net.TCPConn) error{
		"closed":             func(c *net.TCPConn) error { return c.Close() },
		"closed for writing": func(c *net.TCPConn) error { return c.CloseWrite() },
		"reset": func(c *net.TCPConn) error {
			return errors.Join(c.SetLinger(0), c.Close())
		},
	} {
		l := serve(t, "tcp4", "127.0.0.1:0")
		client, err := net.Dial("tcp4", l.Addr().String())
		must(t, err)
		conn := acceptFrom(t, l)
		must(t, leave(client.(*net.TCPConn)))
		if peer, err := p.Peer(conn); err == nil || peer.User != "" {
			t.Errorf("%s: %+v, %v; expected an error", name, peer, err)
		}
		// When our side is closed too, the other one is in TIME_WAIT.
		raw, err := conn.(*net.TCPConn).SyscallConn()
		must(t, err)
		must(t, raw.Control(func(fd uintptr) {
			ours, theirs, err := ends(int(fd))
			if err != nil {
				return // reset
			}
			unix.Shutdown(int(fd), unix.SHUT_RDWR)
			if socket, err := p.diag.lookup(theirs, ours); !errors.Is(err, errNotOpen) {
				t.Errorf("%s: afterwards %+v, %v; expected errNotOpen", name, socket, err)
			}
		}))
		client.Close()
	}
}

func TestPeerRefusesOtherConnections(t *testing.T) {
	p := peers(t)
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if peer, err := p.Peer(a); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a pipe: %+v, %v", peer, err)
	}
	udp, err := net.Dial("udp4", serveUDP(t))
	must(t, err)
	defer udp.Close()
	if peer, err := p.Peer(udp); err == nil {
		t.Errorf("UDP: %+v", peer)
	}
	l := serve(t, "tcp4", "127.0.0.1:0")
	client, err := net.Dial("tcp4", l.Addr().String())
	must(t, err)
	conn := acceptFrom(t, l)
	conn.Close()
	client.Close()
	if peer, err := p.Peer(conn); err == nil {
		t.Errorf("a closed connection: %+v", peer)
	}
	if peer, err := (&Peers{diag: &diag{fd: -1}}).Peer(conn); err == nil {
		t.Errorf("after Close: %+v", peer)
	}
}

func serveUDP(t *testing.T) string {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn.LocalAddr().String()
}

// One netlink socket serves everybody, and each gets the answer to their own
// question.
func TestPeersAreNotMixedUp(t *testing.T) {
	p := peers(t)
	l := serve(t, "tcp4", "127.0.0.1:0")
	users := []uint32{4242, 65534, 0, 4243}
	conns := make([]net.Conn, len(users))
	for i, uid := range users {
		play(t, user(uid), self, nil, "tcp", l.Addr().String(), "hold")
		conns[i] = acceptFrom(t, l)
	}
	var all sync.WaitGroup
	for i, uid := range users {
		all.Go(func() {
			for range 20 {
				peer, err := p.Peer(conns[i])
				for errors.Is(err, errCostly) { // on a busy machine a user's time is used up; an answer is not given, and not a wrong one
					time.Sleep(20 * time.Millisecond)
					peer, err = p.Peer(conns[i])
				}
				if err != nil || peer.User != core.UserID(fmt.Sprint(uid)) || len(peer.Processes) != 1 {
					t.Errorf("uid %d: %+v, %v", uid, peer, err)
				}
			}
		})
	}
	all.Wait()
}

// answer is the kernel's answer about the connection from src to dst.
func answer(src, dst netip.AddrPort, uid, inode uint32, state byte) []byte {
	b := make([]byte, diagAnswerSize)
	binary.NativeEndian.PutUint32(b, diagAnswerSize)
	binary.NativeEndian.PutUint16(b[4:], sockDiagByFamily)
	b[16], b[17] = unix.AF_INET, state
	binary.BigEndian.PutUint16(b[20:], src.Port())
	binary.BigEndian.PutUint16(b[22:], dst.Port())
	binary.NativeEndian.PutUint32(b[80:], uid)
	binary.NativeEndian.PutUint32(b[84:], inode)
	return b
}

func refusal(errno unix.Errno) []byte {
	b := make([]byte, 36)
	binary.NativeEndian.PutUint16(b[4:], unix.NLMSG_ERROR)
	binary.NativeEndian.PutUint32(b[16:], uint32(-int32(errno)))
	return b
}

func TestParseDiag(t *testing.T) {
	src, dst := netip.MustParseAddrPort("127.0.0.1:1111"), netip.MustParseAddrPort("127.0.0.1:2222")
	if got, err := parseDiag(answer(src, dst, 4242, 7, tcpEstablished), src, dst); err != nil || got != (tcpSocket{uid: 4242, inode: 7}) {
		t.Errorf("%+v, %v", got, err)
	}
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"no such connection":    {refusal(unix.ENOENT), errNotOpen},
		"not permitted":         {refusal(unix.EPERM), unix.EPERM},
		"acknowledged":          {refusal(0), errNotOpen},
		"TIME_WAIT":             {answer(src, dst, 0, 0, 6), errNotOpen},
		"closed, not forgotten": {answer(src, dst, 0, 0, tcpEstablished), errNotOpen},
		"half closed":           {answer(src, dst, 0, 7, 5), errNotOpen},
		"uid -1":                {answer(src, dst, noID, 7, tcpEstablished), errNobody},
		"another connection":    {answer(dst, src, 0, 7, tcpEstablished), nil},
		"short":                 {answer(src, dst, 0, 7, tcpEstablished)[:80], nil},
		"empty":                 {nil, nil},
	} {
		if got, err := parseDiag(c.b, src, dst); err == nil || c.want != nil && !errors.Is(err, c.want) || got != (tcpSocket{}) {
			t.Errorf("%s: %+v, %v; expected %v", name, got, err, c.want)
		}
	}
}

func FuzzParseDiag(f *testing.F) {
	src, dst := netip.MustParseAddrPort("127.0.0.1:1111"), netip.MustParseAddrPort("[::1]:2222")
	f.Add(answer(src, dst, 4242, 7, tcpEstablished))
	f.Add(refusal(unix.ENOENT))
	f.Fuzz(func(t *testing.T, b []byte) {
		if socket, err := parseDiag(b, src, dst); err == nil && (socket.inode == 0 || socket.uid == noID) {
			t.Errorf("%+v from %x", socket, b)
		}
	})
}

// Whoever has closed and said nothing is not asked about; whoever has closed their
// half after a question is.
func TestWhoHasGoneIsAskedNothing(t *testing.T) {
	p := peers(t)
	for _, c := range []struct {
		name, sent string
		close      func(*net.TCPConn) error
		gone       bool
	}{
		{"closed", "", (*net.TCPConn).Close, true},
		{"half closed", "", (*net.TCPConn).CloseWrite, true},
		{"half closed after a question", "GET", (*net.TCPConn).CloseWrite, false},
		{"open", "", func(*net.TCPConn) error { return nil }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := serve(t, "tcp", "127.0.0.1:0")
			client, err := net.Dial("tcp", l.Addr().String())
			must(t, err)
			defer client.Close()
			_, err = client.Write([]byte(c.sent))
			must(t, err)
			must(t, c.close(client.(*net.TCPConn)))
			conn := acceptFrom(t, l)
			asked := func() error {
				_, err := p.User(conn)
				return err
			}
			if !c.gone {
				if err := asked(); errors.Is(err, core.ErrGone) {
					t.Error(err)
				}
				return
			}
			eventually(t, "it is known that nobody is there", func() bool { return errors.Is(asked(), core.ErrGone) })
		})
	}
}
