//go:build linux

package linux

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"
)

// Sizes and constants of linux/netlink.h and linux/inet_diag.h.
const (
	sockDiagByFamily = 20
	diagRequestSize  = unix.NLMSG_HDRLEN + 56 // nlmsghdr, inet_diag_req_v2
	diagAnswerSize   = unix.NLMSG_HDRLEN + 72 // nlmsghdr, inet_diag_msg
	tcpEstablished   = 1
)

var errNotOpen = errors.New("it is not an open connection")

// tcpSocket is one end of a TCP connection.
type tcpSocket struct{ uid, inode uint32 }

// diag asks the kernel's socket table for one connection at a time
// (sock_diag(7)). A dump of all sockets, which /proc/net/tcp is too, would take
// time that any user can make longer.
type diag struct {
	mu  sync.Mutex
	fd  int // -1 once closed
	seq uint32
}

func openDiag() (*diag, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, fmt.Errorf("open the kernel's socket table: %w", err)
	}
	return &diag{fd: fd}, nil
}

func (d *diag) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := unix.Close(d.fd)
	d.fd = -1
	return err
}

// lookup returns the socket at src of the established connection from src to
// dst. A closed socket is an error: the kernel reports what is left of it as
// root's.
func (d *diag) lookup(src, dst netip.AddrPort) (tcpSocket, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seq++
	request := diagRequest(d.seq, src, dst)
	if err := unix.Sendto(d.fd, request[:], 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return tcpSocket{}, err
	}
	// The kernel has put its answer into the queue by now; there is nothing
	// to wait for. Answers to questions that were given up on come first.
	for {
		var buf [4096]byte
		n, from, err := unix.Recvfrom(d.fd, buf[:], unix.MSG_DONTWAIT)
		if err == unix.EINTR {
			continue
		} else if err != nil {
			return tcpSocket{}, err
		}
		if kernel, ok := from.(*unix.SockaddrNetlink); !ok || kernel.Pid != 0 {
			continue
		}
		if n >= unix.NLMSG_HDRLEN && binary.NativeEndian.Uint32(buf[8:]) == d.seq {
			return parseDiag(buf[:n], src, dst)
		}
	}
}

// diagRequest asks for exactly one socket.
func diagRequest(seq uint32, src, dst netip.AddrPort) (b [diagRequestSize]byte) {
	ne, be := binary.NativeEndian, binary.BigEndian
	ne.PutUint32(b[0:], diagRequestSize)
	ne.PutUint16(b[4:], sockDiagByFamily)
	ne.PutUint16(b[6:], unix.NLM_F_REQUEST)
	ne.PutUint32(b[8:], seq)
	b[16] = addressFamily(src.Addr())
	b[17] = unix.IPPROTO_TCP
	ne.PutUint32(b[20:], ^uint32(0)) // any state: parseDiag judges it
	be.PutUint16(b[24:], src.Port())
	be.PutUint16(b[26:], dst.Port())
	copy(b[28:44], src.Addr().AsSlice())
	copy(b[44:60], dst.Addr().AsSlice())
	ne.PutUint64(b[64:], ^uint64(0)) // INET_DIAG_NOCOOKIE
	return b
}

// parseDiag reads the kernel's answer about the socket at src.
func parseDiag(b []byte, src, dst netip.AddrPort) (tcpSocket, error) {
	ne, be := binary.NativeEndian, binary.BigEndian
	if len(b) >= unix.NLMSG_HDRLEN+4 && ne.Uint16(b[4:]) == unix.NLMSG_ERROR {
		if errno := -int32(ne.Uint32(b[16:])); errno > 0 && unix.Errno(errno) != unix.ENOENT {
			return tcpSocket{}, unix.Errno(errno)
		}
		return tcpSocket{}, errNotOpen
	}
	if len(b) < diagAnswerSize || ne.Uint16(b[4:]) != sockDiagByFamily {
		return tcpSocket{}, fmt.Errorf("unreadable answer of %d bytes", len(b))
	}
	b = b[unix.NLMSG_HDRLEN:]
	socket := tcpSocket{uid: ne.Uint32(b[64:]), inode: ne.Uint32(b[68:])}
	switch {
	case be.Uint16(b[4:]) != src.Port() || be.Uint16(b[6:]) != dst.Port():
		return tcpSocket{}, errors.New("the answer is about another connection")
	case b[1] != tcpEstablished || socket.inode == 0:
		return tcpSocket{}, errNotOpen
	case socket.uid == noID:
		return tcpSocket{}, errNobody
	}
	return socket, nil
}

func addressFamily(a netip.Addr) byte {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
