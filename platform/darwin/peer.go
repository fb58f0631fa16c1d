//go:build darwin

package darwin

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/darwin/file"
	"kpm/platform/darwin/image"
	"kpm/platform/darwin/kernel"
	"kpm/platform/darwin/libsystem"
)

// Peers identifies the other end of local connections (decision 11).
type Peers struct{ accounts known }

var _ port.Peers = Peers{}

// NewPeers returns Peers. With accounts, peers have the share that it says.
func NewPeers(accounts known) (Peers, error) {
	if _, err := libsystem.Bound(); err != nil {
		return Peers{}, fmt.Errorf("peers: %w", err)
	}
	return Peers{accounts}, nil
}

// User implements port.Peers. It is one question to the kernel, and looks at no
// process.
func (p Peers) User(conn net.Conn) (core.UserID, error) {
	return about(conn, unixUser, func(fd int) (core.UserID, error) {
		_, socket, err := tcpSocket(fd)
		return userID(socket.User), err
	})
}

// Peer implements port.Peers. It looks beneath wrappers that have a NetConn
// method, such as *tls.Conn. Any doubt, such as a client that has gone, is an
// error: nobody is identified half.
func (p Peers) Peer(conn net.Conn) (core.Peer, error) {
	return about(conn, func(fd int) (core.Peer, error) { return unixPeer(fd, p.accounts) }, p.tcpPeer)
}

// about asks about the socket beneath conn what is asked about those of its kind.
func about[T any](conn net.Conn, local, tcp func(fd int) (T, error)) (T, error) {
	for {
		if inner, ok := conn.(interface{ NetConn() net.Conn }); ok {
			conn = inner.NetConn()
			continue
		}
		var nobody T
		socket, ok := conn.(syscall.Conn)
		if !ok {
			return nobody, fmt.Errorf("peer: %T is not a socket: %w", conn, errors.ErrUnsupported)
		}
		return onSocket(socket, func(fd int) (T, error) {
			address, err := unix.Getsockname(fd)
			if err != nil {
				return nobody, err
			}
			switch address.(type) {
			case *unix.SockaddrUnix:
				return local(fd)
			case *unix.SockaddrInet4, *unix.SockaddrInet6:
				return tcp(fd)
			}
			return nobody, fmt.Errorf("socket of %T: %w", address, errors.ErrUnsupported)
		})
	}
}

// onSocket calls use with the descriptor of conn, and names the operation in its
// error.
func onSocket[T any](conn syscall.Conn, use func(fd int) (T, error)) (found T, err error) {
	if err := onDescriptor(conn, func(fd int) (err error) {
		found, err = use(fd)
		return err
	}); err != nil {
		return found, fmt.Errorf("peer: %w", err)
	}
	return found, nil
}

// unixUser is the user who connected to a local socket, as the kernel recorded it
// then (struct xucred).
func unixUser(fd int) (core.UserID, error) {
	cred, err := credentials(fd)
	if err != nil {
		return "", err
	}
	return userID(cred.Uid), nil
}

func credentials(fd int) (*unix.Xucred, error) {
	cred, err := unix.GetsockoptXucred(fd, 0, unix.LOCAL_PEERCRED) // SOL_LOCAL
	switch {
	case err != nil:
		return nil, fmt.Errorf("LOCAL_PEERCRED: %w", err)
	case cred.Version != 0 || cred.Uid == 1<<32-1: // XUCRED_VERSION
		return nil, fmt.Errorf("LOCAL_PEERCRED: version %d, uid %d", cred.Version, cred.Uid)
	}
	return cred, nil
}

// unixPeer identifies the process that connected, by its audit token.
func unixPeer(fd int, accounts known) (core.Peer, error) {
	calls, err := libsystem.Bound()
	if err != nil {
		return core.Peer{}, err
	}
	cred, err := credentials(fd)
	if err != nil {
		return core.Peer{}, err
	}
	before, err := peerToken(calls, fd)
	if err != nil {
		return core.Peer{}, err
	}
	process, _ := processOf(before.PID)
	sandboxed, err := calls.Sandboxed(before.PID)
	if err != nil {
		return core.Peer{}, err
	}
	// Still the same after everything was read: then it was that process that was
	// read about.
	after, err := peerToken(calls, fd)
	if err != nil {
		return core.Peer{}, err
	}
	if err := agrees(before, after, cred.Uid, process); err != nil {
		return core.Peer{}, err
	}
	peer := withHolder(peerOf(cred.Uid, accounts), cred.Uid, process, sandboxed)
	// The kernel keeps 16 groups and asks the directory about others: with more,
	// what it says is not all, and the account's groups count alone.
	if cred.Ngroups > 0 && int(cred.Ngroups) < len(cred.Groups) {
		for _, gid := range cred.Groups[:cred.Ngroups] {
			if id := strconv.FormatUint(uint64(gid), 10); !slices.Contains(peer.Groups, id) {
				peer.Groups = append(peer.Groups, id)
			}
		}
	}
	if before.AuditUser != kernel.NoAuditUser {
		peer.Login = userID(before.AuditUser)
	}
	return concluded(peer), nil
}

func peerToken(calls *libsystem.Calls, fd int) (kernel.Token, error) {
	raw, err := calls.PeerToken(fd)
	if err != nil {
		return kernel.Token{}, err
	}
	return kernel.ParseToken(raw)
}

// tcpPeer identifies the client of an accepted loopback connection: its user is
// the owner of the socket at the other end, its processes are all that hold that
// socket.
func (p Peers) tcpPeer(fd int) (core.Peer, error) {
	calls, err := libsystem.Bound()
	if err != nil {
		return core.Peer{}, err
	}
	ends, socket, err := tcpSocket(fd)
	if err != nil {
		return core.Peer{}, err
	}
	all, err := processes()
	if err != nil {
		return core.Peer{}, err
	}
	peer := peerOf(socket.User, p.accounts)
	for _, candidate := range all {
		if candidate.Zombie || !holds(calls, candidate.PID, ends) {
			continue
		}
		sandboxed, err := calls.Sandboxed(candidate.PID)
		if err != nil {
			return core.Peer{}, err
		}
		now, found := processOf(candidate.PID)
		if !found || now.Start != candidate.Start {
			return core.Peer{}, fmt.Errorf("process %d: %w", candidate.PID, errVanished)
		}
		peer = withHolder(peer, socket.User, now, sandboxed)
	}
	if len(peer.Processes) == 0 {
		return core.Peer{}, fmt.Errorf("nobody holds the socket of %v: %w", ends.Local, errVanished)
	}
	// The port may have gone to somebody else while processes were looked at.
	if _, again, err := tcpSocket(fd); err != nil || again.Ends != socket.Ends || again.User != socket.User {
		return core.Peer{}, fmt.Errorf("socket of %v: %w", ends.Local, errors.Join(err, errVanished))
	}
	return concluded(peer), nil
}

// holds reports whether one of a process's sockets has these ends. A process that
// ends meanwhile holds nothing.
func holds(calls *libsystem.Calls, pid int, ends kernel.Ends) bool {
	list, err := calls.Descriptors(pid)
	if err != nil {
		return false
	}
	for _, fd := range kernel.Sockets(list) {
		raw, err := calls.Socket(pid, fd)
		if err != nil {
			continue
		}
		if found, ok := kernel.ParseSocket(raw); ok && found == ends {
			return true
		}
	}
	return false
}

// tcpSocket returns the client's side of a loopback connection, and the client's
// socket in the kernel's table. The kernel is asked for both ends, and not the
// connection object: a wrapper may show others.
func tcpSocket(fd int) (kernel.Ends, kernel.Connection, error) {
	var none kernel.Connection
	own, err := unix.Getsockname(fd)
	if err != nil {
		return kernel.Ends{}, none, err
	}
	other, err := unix.Getpeername(fd)
	if err != nil {
		return kernel.Ends{}, none, err
	}
	ends := kernel.Ends{Local: addrPort(other), Remote: addrPort(own)}
	if !ends.Local.Addr().IsLoopback() || !ends.Remote.Addr().IsLoopback() {
		return ends, none, fmt.Errorf("%v to %v is not a loopback connection", ends.Local, ends.Remote)
	}
	all, err := connections()
	if err != nil {
		return ends, none, err
	}
	at := slices.IndexFunc(all, func(c kernel.Connection) bool { return c.Ends == ends })
	if at < 0 {
		return ends, none, fmt.Errorf("socket of %v: %w", ends.Local, errVanished)
	}
	return ends, all[at], nil
}

// connections returns every TCP socket of the machine.
func connections() ([]kernel.Connection, error) {
	raw, err := sysctl("net.inet.tcp.pcblist_n")
	if err != nil {
		return nil, fmt.Errorf("list sockets: %w", err)
	}
	return kernel.Connections(raw)
}

// addrPort returns a's address, an IPv4 one if it is one in IPv6's clothes. It
// is invalid for other families.
func addrPort(a unix.Sockaddr) netip.AddrPort {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return netip.AddrPort{}
}

// Program implements port.Peers. What the kernel holds the process to must be what
// the file has: a program without a code signature is nobody's.
func (Peers) Program(id core.ProcessID) (*os.File, error) {
	f, err := program(id)
	if err != nil {
		return nil, fmt.Errorf("program of %s: %w", id, err)
	}
	return f, nil
}

func program(id core.ProcessID) (*os.File, error) {
	calls, err := libsystem.Bound()
	if err != nil {
		return nil, err
	}
	running, err := calls.CodeHash(id.PID)
	if err != nil {
		return nil, err
	}
	path, err := calls.ProcessPath(id.PID)
	if err != nil {
		return nil, err
	}
	fd, at, err := file.Walk(path, file.Anywhere)
	if err != nil {
		return nil, err
	}
	if fd < 0 || !at.Regular() {
		unix.Close(fd)
		return nil, core.ErrNotRegular
	}
	f := os.NewFile(uintptr(fd), at.Path)
	hashes, err := image.Hashes(f)
	if p, found := processOf(id.PID); !found || p.Start != id.Start || p.Zombie {
		err = errors.Join(err, errVanished)
	}
	if err == nil && !slices.Contains(hashes, running) {
		err = errors.New("its file is another one by now")
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Listener implements port.Peers.
func (Peers) Listener(port int) (pid int, user core.UserID, err error) {
	all, err := connections()
	if err != nil {
		return 0, "", err
	}
	for _, c := range all {
		if int(c.Local.Port()) == port && c.Remote.Port() == 0 {
			return c.PID, userID(c.User), nil
		}
	}
	return 0, "", fmt.Errorf("nobody listens on port %d: %w", port, fs.ErrNotExist)
}

// userID names a uid.
func userID(uid uint32) core.UserID { return core.UserID(strconv.FormatUint(uint64(uid), 10)) }
