package kernel

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Descriptors of a process (sys/proc_info.h): struct proc_fdinfo is a number and
// a kind.
const (
	DescriptorSize = 8 // sizeof(struct proc_fdinfo)

	KindFile   = 1 // PROX_FDTYPE_VNODE
	KindSocket = 2 // PROX_FDTYPE_SOCKET
	KindQueue  = 5 // PROX_FDTYPE_KQUEUE
)

// Descriptor is a number of a process's and what kind of object is behind it.
type Descriptor struct {
	Number int32
	Kind   uint32
}

// Descriptors reads what proc_pidinfo answers to PROC_PIDLISTFDS.
func Descriptors(b []byte) []Descriptor {
	var all []Descriptor
	for ; len(b) >= DescriptorSize; b = b[DescriptorSize:] {
		all = append(all, Descriptor{Number: int32(binary.LittleEndian.Uint32(b)), Kind: binary.LittleEndian.Uint32(b[4:])})
	}
	return all
}

// Sockets returns which descriptors are sockets, out of the same answer.
func Sockets(b []byte) []int32 {
	var found []int32
	for _, d := range Descriptors(b) {
		if d.Kind == KindSocket {
			found = append(found, d.Number)
		}
	}
	return found
}

// Offsets in struct socket_fdinfo (sys/proc_info.h): struct proc_fileinfo (24
// bytes), struct socket_info, and in it at 240 the union of protocols, of which
// struct in_sockinfo is the beginning of TCP's.
const (
	SocketSize    = 792 // sizeof(struct socket_fdinfo)
	offSocketKind = 24 + 232
	offSocketIn   = 24 + 240
	socketTCP     = 2 // SOCKINFO_TCP
)

// Ends are both ends of a TCP connection as the process that has it sees them.
type Ends struct{ Local, Remote netip.AddrPort }

// ParseSocket reads what proc_pidfdinfo answers to PROC_PIDFDSOCKETINFO. It
// reports false for what is no TCP socket.
func ParseSocket(b []byte) (Ends, bool) {
	if len(b) < SocketSize || binary.LittleEndian.Uint32(b[offSocketKind:]) != socketTCP {
		return Ends{}, false
	}
	in := b[offSocketIn:]
	// insi_fport, insi_lport: network order in the low half; insi_vflag at 24,
	// insi_faddr at 32, insi_laddr at 48.
	return Ends{
		Local:  endpoint(in[48:64], in[4:6], in[24]),
		Remote: endpoint(in[32:48], in[0:2], in[24]),
	}, true
}

// Flags of insi_vflag and inp_vflag (netinet/in_pcb.h).
const (
	isIPv4 = 0x1
	isIPv6 = 0x2
)

// endpoint reads an address, of 16 bytes of which IPv4 has the last four, and a
// port. An IPv4 address in IPv6's clothes is an IPv4 address.
func endpoint(addr, port []byte, flag byte) netip.AddrPort {
	at := netip.Addr{}
	switch {
	case flag&isIPv6 != 0:
		at = netip.AddrFrom16([16]byte(addr)).Unmap()
	case flag&isIPv4 != 0:
		at = netip.AddrFrom4([4]byte(addr[12:]))
	}
	return netip.AddrPortFrom(at, binary.BigEndian.Uint16(port))
}

// Connection is one TCP socket of the machine, in the kernel's own table.
type Connection struct {
	Ends
	User      uint32 // whose it is
	PID       int    // who has used it last, and
	Effective int    // for whom, as the kernel counts it; 0 where it does not say
}

// Kinds of the records of sysctl net.inet.tcp.pcblist_n, and offsets in them
// (struct xinpgen, xsocket_n, xinpcb_n; sys/socketvar.h, netinet/in_pcb.h).
const (
	generationSize = 24 // sizeof(struct xinpgen), at the beginning and the end
	recordSocket   = 0x001
	recordInternet = 0x010

	offSocketUser      = 64 // xsocket_n.so_uid
	offSocketPID       = 68 // xsocket_n.so_last_pid
	offSocketEffective = 72 // xsocket_n.so_e_pid
	socketRecordSize   = 76

	offRemotePort = 16 // xinpcb_n.inp_fport
	offLocalPort  = 18 // xinpcb_n.inp_lport
	offVersion    = 44 // xinpcb_n.inp_vflag
	offRemoteAddr = 48 // xinpcb_n.inp_dependfaddr
	offLocalAddr  = 64 // xinpcb_n.inp_dependladdr
	inRecordSize  = 80
)

// Connections reads the answer of sysctl net.inet.tcp.pcblist_n. Records of one
// socket follow each other, each with its own length and kind and rounded up to 8
// bytes: xinpcb_n comes first, xsocket_n second. Lengths grow from version to
// version and are those that the kernel says.
func Connections(b []byte) ([]Connection, error) {
	if len(b) < generationSize {
		return nil, fmt.Errorf("kernel: a socket table of %d bytes", len(b))
	}
	first := int(binary.LittleEndian.Uint32(b))
	if first < generationSize || first > len(b) {
		return nil, fmt.Errorf("kernel: a socket table that begins with %d bytes", first)
	}
	b = b[first:]
	var all []Connection
	var now Connection
	for len(b) > generationSize {
		size, kind := int(binary.LittleEndian.Uint32(b)), binary.LittleEndian.Uint32(b[4:])
		if size < 8 || size > len(b) {
			return nil, fmt.Errorf("kernel: a socket record of %d bytes where %d are left", size, len(b))
		}
		record := b[:size]
		switch {
		case kind == recordInternet && size >= inRecordSize:
			now = Connection{Ends: Ends{
				Local:  endpoint(record[offLocalAddr:offLocalAddr+16], record[offLocalPort:], record[offVersion]),
				Remote: endpoint(record[offRemoteAddr:offRemoteAddr+16], record[offRemotePort:], record[offVersion]),
			}}
		case kind == recordSocket && size >= socketRecordSize:
			now.User = binary.LittleEndian.Uint32(record[offSocketUser:])
			now.PID = int(int32(binary.LittleEndian.Uint32(record[offSocketPID:])))
			now.Effective = int(int32(binary.LittleEndian.Uint32(record[offSocketEffective:])))
			all = append(all, now)
			now = Connection{}
		case kind == recordInternet || kind == recordSocket:
			return nil, fmt.Errorf("kernel: a socket record of kind %#x and %d bytes", kind, size)
		}
		b = b[min((size+7)&^7, len(b)):]
	}
	return all, nil
}
