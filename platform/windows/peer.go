//go:build windows

package windows

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/windows"

	"kpm/core"
	"kpm/core/port"
)

// Peers identifies the other end of local connections (decision 11).
type Peers struct{}

var _ port.Peers = Peers{}

// User implements port.Peers.
func (p Peers) User(conn net.Conn) (core.UserID, error) {
	peer, err := p.Peer(conn)
	return peer.User, err
}

// Peer implements port.Peers. It looks beneath wrappers that have a NetConn
// method, such as *tls.Conn.
func (Peers) Peer(conn net.Conn) (core.Peer, error) {
	for {
		switch c := conn.(type) {
		case *pipeConn:
			client, err := c.client()
			if err != nil {
				return core.Peer{}, fmt.Errorf("peer: %w", err)
			}
			return client.peer(), nil
		case *net.TCPConn:
			return tcpPeer(c)
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		default:
			return core.Peer{}, fmt.Errorf("peer: %T is no connection of a pipe or of TCP: %w", conn, errors.ErrUnsupported)
		}
	}
}

// tcpPeer finds the process that has the other end of a loopback connection. The
// table is read once more when the process is held: by then its pid is nobody
// else's.
//
// Attack: a process connects and ends, and its pid is somebody else's.
func tcpPeer(conn *net.TCPConn) (core.Peer, error) {
	theirs, ours, err := ends(conn)
	if err != nil {
		return core.Peer{}, err
	}
	pid, err := tcpOwner(theirs, ours)
	if err != nil {
		return core.Peer{}, err
	}
	process, err := windows.OpenProcess(processQuery|windows.SYNCHRONIZE, false, pid)
	if err != nil {
		return core.Peer{}, fmt.Errorf("peer: open process %d: %w", pid, err)
	}
	defer windows.CloseHandle(process)
	id := core.ProcessID{PID: int(pid)}
	if id.Start, err = startStamp(process); err != nil {
		return core.Peer{}, fmt.Errorf("peer: %w", err)
	}
	h, err := processHolder(process)
	if err != nil {
		return core.Peer{}, fmt.Errorf("peer: %w", err)
	}
	if again, err := tcpOwner(theirs, ours); err != nil || again != pid {
		return core.Peer{}, errors.Join(fmt.Errorf("peer: the client of %s has gone", theirs), err)
	}
	return h.peerOf(id), nil
}

// ends are the addresses of a connection, the client's first.
func ends(conn *net.TCPConn) (theirs, ours netip.AddrPort, err error) {
	remote, ok1 := conn.RemoteAddr().(*net.TCPAddr)
	local, ok2 := conn.LocalAddr().(*net.TCPAddr)
	if !ok1 || !ok2 {
		return theirs, ours, errors.New("peer: the connection has no addresses any more")
	}
	theirs, ours = remote.AddrPort(), local.AddrPort()
	theirs = netip.AddrPortFrom(theirs.Addr().Unmap().WithZone(""), theirs.Port())
	ours = netip.AddrPortFrom(ours.Addr().Unmap().WithZone(""), ours.Port())
	if !theirs.Addr().IsLoopback() || !ours.Addr().IsLoopback() {
		return theirs, ours, fmt.Errorf("peer: %s is no program of this machine: %w", theirs, core.ErrForeign)
	}
	return theirs, ours, nil
}

// tcpOwner returns the pid of the process whose end of a connection is local.
func tcpOwner(local, remote netip.AddrPort) (uint32, error) {
	rows, err := tcpTable(local.Addr().Is4(), tableOwnerConnections)
	if err != nil {
		return 0, err
	}
	for _, row := range rows {
		if row.local == local && row.remote == remote && row.pid != 0 {
			return row.pid, nil
		}
	}
	return 0, fmt.Errorf("peer: nobody has the connection from %s any more: %w", local, fs.ErrNotExist)
}

// Tables of GetExtendedTcpTable (iprtrmib.h, TCP_TABLE_CLASS).
const (
	tableOwnerListener    = 3
	tableOwnerConnections = 4
)

// tcpRow is one connection as its local side has it.
type tcpRow struct {
	local, remote netip.AddrPort
	pid           uint32
}

// maxTable bounds a table, in bytes.
const maxTable = 64 << 20

// tcpTable reads the machine's TCP connections (learn.microsoft.com,
// "GetExtendedTcpTable").
func tcpTable(v4 bool, class uintptr) ([]tcpRow, error) {
	family := uintptr(windows.AF_INET6)
	if v4 {
		family = windows.AF_INET
	}
	proc := windows.NewLazySystemDLL("iphlpapi.dll").NewProc("GetExtendedTcpTable")
	buffer := make([]byte, 16<<10)
	for {
		size := uint32(len(buffer))
		result, _, _ := proc.Call(uintptr(unsafe.Pointer(&buffer[0])), uintptr(unsafe.Pointer(&size)), 0, family, class, 0)
		switch {
		case result == 0:
			return tcpRows(buffer, v4)
		case windows.Errno(result) != windows.ERROR_INSUFFICIENT_BUFFER || size > maxTable:
			return nil, fmt.Errorf("peer: table of connections: %w", windows.Errno(result))
		}
		buffer = make([]byte, size+size/4) // it may grow meanwhile
	}
}

// tcpRows takes a table apart: MIB_TCPROW_OWNER_PID, MIB_TCP6ROW_OWNER_PID. Ports
// are in network order, in the first two bytes of four.
func tcpRows(table []byte, v4 bool) ([]tcpRow, error) {
	size, address, remoteAt, pidAt := 56, 16, 24, 52
	localAt := 0
	if v4 {
		size, address, localAt, remoteAt, pidAt = 24, 4, 4, 12, 20
	}
	if len(table) < 4 {
		return nil, errors.New("peer: table of connections: cut short")
	}
	n := int(binary.LittleEndian.Uint32(table))
	if table = table[4:]; n < 0 || len(table)/size < n {
		return nil, errors.New("peer: table of connections: cut short")
	}
	end := func(row []byte, at int) netip.AddrPort {
		addr, _ := netip.AddrFromSlice(row[at : at+address])
		if !v4 {
			at += 4 // the scope
		}
		return netip.AddrPortFrom(addr.Unmap(), binary.BigEndian.Uint16(row[at+address:]))
	}
	rows := make([]tcpRow, n)
	for i := range rows {
		row := table[i*size : (i+1)*size]
		rows[i] = tcpRow{end(row, localAt), end(row, remoteAt), binary.LittleEndian.Uint32(row[pidAt:])}
	}
	return rows, nil
}

// Listener implements port.Peers.
func (Peers) Listener(port int) (pid int, user core.UserID, err error) {
	for _, v4 := range []bool{true, false} {
		rows, err := tcpTable(v4, tableOwnerListener)
		if err != nil {
			continue
		}
		for _, row := range rows {
			if int(row.local.Port()) == port {
				return int(row.pid), listenerUser(row.pid), nil
			}
		}
	}
	return 0, "", fmt.Errorf("port %d: nobody listens: %w", port, fs.ErrNotExist)
}

// listenerUser is whose a process is, empty if that cannot be seen.
func listenerUser(pid uint32) core.UserID {
	process, err := windows.OpenProcess(processQuery, false, pid)
	if err != nil {
		return ""
	}
	defer windows.CloseHandle(process)
	h, err := processHolder(process)
	if err != nil {
		return ""
	}
	return h.user
}
