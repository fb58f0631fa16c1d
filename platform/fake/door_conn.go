package fake

import (
	"net"
	"os"
	"time"

	"kpm/core"
	"kpm/core/port"
)

// DoorConn is one end of a door connection in memory.
type DoorConn struct {
	net.Conn // what a door does not use
	peer     core.Peer
	peerErr  error
	in, out  *stream
}

var _ port.DoorConn = (*DoorConn)(nil)

// NewDoorConn returns both ends of a connection. The service's says that peer, or
// err, is at the other end.
func NewDoorConn(peer core.Peer, err error) (caller, service *DoorConn) {
	toCaller, toService := newStream(), newStream()
	return &DoorConn{in: toCaller, out: toService},
		&DoorConn{peer: peer, peerErr: err, in: toService, out: toCaller}
}

// User implements port.DoorConn.
func (p *DoorConn) User() (core.UserID, error) { return p.peer.User, p.peerErr }

// Peer implements port.DoorConn.
func (p *DoorConn) Peer() (core.Peer, error) { return p.peer, p.peerErr }

// SetReadDeadline implements net.Conn.
func (p *DoorConn) SetReadDeadline(t time.Time) error {
	p.in.set(&p.in.readUntil, t)
	return nil
}

// SetWriteDeadline implements net.Conn.
func (p *DoorConn) SetWriteDeadline(t time.Time) error {
	p.out.set(&p.out.writtenUntil, t)
	return nil
}

// ReadWithFiles implements port.DoorConn.
func (p *DoorConn) ReadWithFiles(b []byte) (int, []*os.File, error) {
	return p.in.read(b)
}

// Read drops descriptors, as read(2) does.
func (p *DoorConn) Read(b []byte) (int, error) {
	n, files, err := p.ReadWithFiles(b)
	closeAll(files)
	return n, err
}

// WriteWithFiles sends duplicates, as a socket does.
func (p *DoorConn) WriteWithFiles(b []byte, files ...*os.File) error {
	var copies []*os.File
	for _, f := range files {
		copied, err := reopen(f)
		if err != nil {
			return err
		}
		copies = append(copies, copied)
	}
	err := p.out.write(b, copies)
	if err != nil {
		closeAll(copies)
	}
	return err
}

// Close implements net.Conn.
func (p *DoorConn) Close() error {
	p.out.shut(false)
	p.in.shut(true)
	return nil
}

// Fill leaves the other end no room to write, as when this end has long not
// read.
func (p *DoorConn) Fill() { p.in.fill() }

// reopen opens a file once more, to write to as well if it can be.
func reopen(f *os.File) (*os.File, error) {
	if again, err := os.OpenFile(f.Name(), os.O_RDWR, 0); err == nil {
		return again, nil
	}
	return os.Open(f.Name())
}
