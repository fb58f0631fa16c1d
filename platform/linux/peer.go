//go:build linux

package linux

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/fair"
	"kpm/core/port"
)

// errNobody is about (uid_t)-1, which is what the kernel calls "no user".
var errNobody = errors.New("uid 4294967295 is not a user")

// Peers identifies the other end of local connections (decision 11).
type Peers struct {
	diag  *diag
	scans scans
	from  viewpoint
	queue *fair.Queue[core.UserID] // who looks into processes

	yielder *fair.Yielder
}

var _ port.Peers = (*Peers)(nil)

// NewPeers opens the kernel's socket table for queries. With accounts, peers
// have the share that it says.
func NewPeers(accounts known) (*Peers, error) {
	from, err := newViewpoint(accounts)
	if err != nil {
		return nil, fmt.Errorf("peers: %w", err)
	}
	d, err := openDiag()
	if err != nil {
		return nil, fmt.Errorf("peers: %w", err)
	}
	y := fair.NewYielder()
	return &Peers{diag: d, scans: newScans(), from: from, queue: fair.NewQueue[core.UserID](y), yielder: y}, nil
}

// Close ends queries.
func (p *Peers) Close() error {
	p.yielder.Close()
	return p.diag.close()
}

// User implements port.Peers. It is one question to the kernel, and looks at no
// process.
func (p *Peers) User(conn net.Conn) (core.UserID, error) { return ask(conn, p.user) }

// Peer implements port.Peers. It looks beneath wrappers that have a NetConn
// method, such as *tls.Conn. Any doubt, such as a client that has gone or
// closed its side, is an error: nobody is identified half.
func (p *Peers) Peer(conn net.Conn) (core.Peer, error) { return ask(conn, p.identify) }

// AcknowledgeNow has the kernel acknowledge what has come on a TCP connection,
// instead of up to 40 ms later (tcp(7), TCP_QUICKACK). On any other socket it
// does nothing, nor does it matter if it fails: then the client waits.
func (p *Peers) AcknowledgeNow(conn net.Conn) {
	_, _ = ask(conn, func(fd int) (struct{}, error) {
		return struct{}{}, unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
	})
}

// ask has about called with the descriptor of the socket beneath conn.
func ask[T any](conn net.Conn, about func(fd int) (T, error)) (T, error) {
	for {
		if inner, ok := conn.(interface{ NetConn() net.Conn }); ok {
			conn = inner.NetConn()
			continue
		}
		socket, ok := conn.(syscall.Conn)
		if !ok {
			var nobody T
			return nobody, fmt.Errorf("peer: %T is not a socket: %w", conn, errors.ErrUnsupported)
		}
		return onSocket(socket, about)
	}
}

func (p *Peers) user(fd int) (core.UserID, error) {
	return byFamily(fd, unixUser, func(fd int) (core.UserID, error) {
		// Attack: connect and close, as fast as possible.
		if gone(fd) {
			return "", core.ErrGone
		}
		_, _, socket, err := p.tcpSocket(fd)
		return userID(socket.uid), err
	})
}

func (p *Peers) identify(fd int) (core.Peer, error) {
	return byFamily(fd, func(fd int) (core.Peer, error) {
		cred, err := credentials(fd)
		if err != nil {
			return core.Peer{}, err
		}
		done, err := p.queue.Take(context.Background(), p.from.newPeer(cred.Uid).Payer())
		if err != nil {
			return core.Peer{}, err
		}
		defer done()
		return p.from.unixPeer(fd)
	}, p.tcpPeer)
}

// byFamily asks about a socket what is asked about those of its kind.
func byFamily[T any](fd int, local, tcp func(fd int) (T, error)) (T, error) {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	switch {
	case err != nil:
	case domain == unix.AF_UNIX:
		return local(fd)
	case domain == unix.AF_INET, domain == unix.AF_INET6:
		return tcp(fd)
	default:
		err = fmt.Errorf("socket of family %d: %w", domain, errors.ErrUnsupported)
	}
	var nobody T
	return nobody, err
}

// onSocket calls about with the descriptor of conn, and names the operation in
// its error.
func onSocket[T any](conn syscall.Conn, about func(fd int) (T, error)) (found T, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return found, fmt.Errorf("peer: %w", err)
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { found, inner = about(int(fd)) }); err != nil {
		return found, fmt.Errorf("peer: %w", err)
	}
	if inner != nil {
		return found, fmt.Errorf("peer: %w", inner)
	}
	return found, nil
}

// credentials are the user and process that connected to a local socket, as
// the kernel recorded them then.
func credentials(fd int) (*unix.Ucred, error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err == nil && cred.Uid == noID {
		err = errNobody
	}
	return cred, err
}

func unixUser(fd int) (core.UserID, error) {
	cred, err := credentials(fd)
	if err != nil {
		return "", err
	}
	return userID(cred.Uid), nil
}

func userID(uid uint32) core.UserID { return core.UserID(strconv.FormatUint(uint64(uid), 10)) }

// unixPeer identifies the process that connected. The kernel recorded user and
// process then; what the process has become since is read through handles that
// a reused pid cannot satisfy.
func (v viewpoint) unixPeer(fd int) (core.Peer, error) {
	cred, err := credentials(fd)
	if err != nil {
		return core.Peer{}, err
	}
	// Attack: connect and close, as fast as possible. What has hung up is not
	// worth a look at its process.
	if hungUp(fd) {
		return core.Peer{}, vanished(int(cred.Pid), unix.ESRCH)
	}
	if cred.Pid <= 0 { // a pid namespace that we do not see into
		return core.Peer{}, core.ErrForeign
	}
	pidfd, err := peerPidfd(fd, unix.SO_PEERPIDFD, int(cred.Pid))
	if err != nil {
		return core.Peer{}, vanished(int(cred.Pid), err)
	}
	defer unix.Close(pidfd)
	holder, err := openProcess(int(cred.Pid))
	if err != nil {
		return core.Peer{}, err
	}
	defer holder.close()
	peer := v.newPeer(cred.Uid)
	if peer.Groups, err = peerGroups(fd, cred.Gid); err != nil {
		return core.Peer{}, err
	}
	if err := v.addHolder(&peer, cred.Uid, holder); err != nil {
		return core.Peer{}, err
	}
	// Still there after everything was read: then it was that process, and
	// no other with its pid, that was read about.
	if ended(pidfd) {
		return core.Peer{}, vanished(int(cred.Pid), unix.ESRCH)
	}
	return concluded(peer), nil
}

// peerPidfd returns a handle to the process that connected. Before Linux 6.5
// there is only its pid: a process that connected and ended could then be
// mistaken for a later one with its pid, of which SameIdentity still says whether
// it belongs to the same user.
func peerPidfd(fd, option, pid int) (int, error) {
	pidfd, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, option)
	if err == unix.ENOPROTOOPT {
		return unix.PidfdOpen(pid, 0)
	}
	return pidfd, err
}

// ended reports whether the process has exited, reaped or not.
func ended(pidfd int) bool {
	return polled(pidfd, unix.POLLIN) != 0
}

// hungUp reports whether nobody is at the other end of a local socket.
func hungUp(fd int) bool { return polled(fd, 0)&unix.POLLHUP != 0 }

// gone reports whether nobody will say anything at the other end of a TCP socket, and
// nobody has. Whoever has closed only their half may have sent a question before.
func gone(fd int) bool {
	return polled(fd, unix.POLLRDHUP)&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0 && silent(fd)
}

// polled is what poll(2) says of fd at this moment, POLLERR if it cannot.
func polled(fd int, events int16) int16 {
	poll := []unix.PollFd{{Fd: int32(fd), Events: events}}
	for {
		_, err := unix.Poll(poll, 0)
		switch err {
		case nil:
			return poll[0].Revents
		case unix.EINTR:
		default:
			return unix.POLLERR
		}
	}
}

// tcpPeer identifies the client of an accepted loopback connection: its user is
// the owner of the socket at the other end, its processes are all that hold
// that socket.
func (p *Peers) tcpPeer(fd int) (core.Peer, error) {
	server, client, socket, err := p.tcpSocket(fd)
	if err != nil {
		return core.Peer{}, err
	}
	peer := p.from.newPeer(socket.uid)
	until, done, err := p.scans.enter(peer.Payer())
	if err != nil {
		return core.Peer{}, fmt.Errorf("socket of %v: %w", client, err)
	}
	defer done()
	target := "socket:[" + strconv.FormatUint(uint64(socket.inode), 10) + "]"
	for pids := range slices.Chunk(allPids(), scanPiece) {
		if err := p.addHolders(&peer, socket.uid, pids, target, until); err != nil {
			return core.Peer{}, err
		}
		// Attack: connect again and again, so that the service reads all of /proc.
		// That nobody else looks into processes does not mean that nobody waits.
		p.yielder.Yield()
	}
	if len(peer.Processes) == 0 {
		return core.Peer{}, fmt.Errorf("nobody holds the socket of %v: %w", client, errVanished)
	}
	// The port may have gone to somebody else while /proc was read.
	if again, err := p.diag.lookup(client, server); err != nil || again != socket {
		return core.Peer{}, fmt.Errorf("socket of %v: %w", client, errors.Join(err, errVanished))
	}
	return concluded(peer), nil
}

// tcpSocket returns both ends of a loopback connection, and the client's socket.
func (p *Peers) tcpSocket(fd int) (server, client netip.AddrPort, socket tcpSocket, err error) {
	if server, client, err = ends(fd); err != nil {
		return server, client, socket, err
	}
	if !server.Addr().IsLoopback() || !client.Addr().IsLoopback() {
		return server, client, socket, fmt.Errorf("%v to %v is not a loopback connection", client, server)
	}
	if socket, err = p.diag.lookup(client, server); err != nil {
		return server, client, socket, fmt.Errorf("socket of %v: %w", client, err)
	}
	return server, client, socket, nil
}

// addHolders adds those of pids that hold target, in one piece.
func (p *Peers) addHolders(peer *core.Peer, uid uint32, pids []int, target string, until time.Time) error {
	done, err := p.queue.Take(context.Background(), peer.Payer())
	if err != nil {
		return err
	}
	defer done()
	for _, pid := range pids {
		if err := p.from.addIfHolder(peer, uid, pid, target, until); err != nil && !errors.Is(err, errVanished) {
			return err
		}
	}
	return nil
}

// ends returns the addresses of a TCP socket, ours first. The kernel is asked,
// not the connection object: a wrapper may show others.
func ends(fd int) (ours, theirs netip.AddrPort, err error) {
	local, err := unix.Getsockname(fd)
	if err != nil {
		return ours, theirs, err
	}
	remote, err := unix.Getpeername(fd)
	if err != nil {
		return ours, theirs, err
	}
	return addrPort(local), addrPort(remote), nil
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

// addIfHolder adds process pid to peer if one of its descriptors is target. It
// has time until until, if that is not zero.
func (v viewpoint) addIfHolder(peer *core.Peer, uid uint32, pid int, target string, until time.Time) error {
	p, err := openProcess(pid)
	if err != nil {
		return err
	}
	defer p.close()
	if holds, err := p.holds(target, until); err != nil || !holds {
		return err
	}
	return v.addHolder(peer, uid, p)
}

// addHolder adds a process that holds a connection of uid's to peer.
func (v viewpoint) addHolder(peer *core.Peer, uid uint32, p process) error {
	id, err := p.id()
	if err != nil {
		return err
	}
	status, err := p.status()
	if err != nil {
		return err
	}
	same, err := p.runsAs(uid, status)
	if err != nil {
		return err
	}
	spaces, err := p.spaces()
	if err != nil {
		return err
	}
	foreign := spaces != v.spaces
	theirs, err := restraintOf(p, status)
	if err != nil {
		return err
	}
	login, err := loginOf(p)
	if err != nil {
		return err
	}
	peer.Processes = append(peer.Processes, id)
	peer.SameIdentity = peer.SameIdentity && same
	peer.Foreign = peer.Foreign || foreign
	if what, ofRoot := theirs.beyond(v.ours); what != "" && !foreign { // there a root is always another
		peer.Confined = what
		peer.Administrator = peer.Administrator && !ofRoot
	}
	peer.Login = core.UserID(login)
	return nil
}

// concluded says of a peer whose holders are all known whether it is an
// administrator: root as a whole, in our own namespaces, with everything that
// this service can have.
func concluded(peer core.Peer) core.Peer {
	peer.Administrator = peer.Administrator && peer.SameIdentity && !peer.Foreign
	return peer
}
