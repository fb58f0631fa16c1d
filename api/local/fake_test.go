package local_test

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/port"
)

// stream is one direction of a door connection in memory. Like a socket, it
// holds some bytes for a reader who is not there yet, and descriptors arrive
// with the first byte that they were sent with.
type stream struct {
	mu      sync.Mutex
	parts   []part
	held    int
	room    int
	ended   bool          // the writer has closed
	deaf    bool          // the reader has closed
	changed chan struct{} // closed at the next change
}

type part struct {
	bytes []byte
	files []*os.File
}

func newStream() *stream { return &stream{room: 64 << 10, changed: make(chan struct{})} }

// wait calls try, with s locked, until it is done or the deadline has passed.
func (s *stream) wait(deadline time.Time, try func() bool) error {
	var late <-chan time.Time
	if !deadline.IsZero() {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		late = timer.C
	}
	for {
		s.mu.Lock()
		if try() {
			close(s.changed)
			s.changed = make(chan struct{})
			s.mu.Unlock()
			return nil
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-late:
			return os.ErrDeadlineExceeded
		}
	}
}

func (s *stream) read(b []byte, deadline time.Time) (n int, files []*os.File, err error) {
	waited := s.wait(deadline, func() bool {
		switch {
		case s.deaf:
			err = net.ErrClosed
		case len(s.parts) > 0:
			first := &s.parts[0]
			n = copy(b, first.bytes)
			files, first.files = first.files, nil
			first.bytes = first.bytes[n:]
			s.held -= n
			if len(first.bytes) == 0 {
				s.parts = s.parts[1:]
			}
		case s.ended:
			err = io.EOF
		default:
			return false
		}
		return true
	})
	if waited != nil {
		return 0, nil, waited
	}
	return n, files, err // io.EOF is compared, not searched for
}

func (s *stream) write(b []byte, files []*os.File, deadline time.Time) (err error) {
	waited := s.wait(deadline, func() bool {
		switch {
		case s.deaf || s.ended:
			err = io.ErrClosedPipe
		case s.held < s.room:
			s.parts = append(s.parts, part{slices.Clone(b), files})
			s.held += len(b)
		default:
			return false
		}
		return true
	})
	return errors.Join(err, waited)
}

// shut ends the stream for its writer or its reader.
func (s *stream) shut(reader bool) {
	s.wait(time.Time{}, func() bool {
		if !reader {
			s.ended = true
			return true
		}
		s.deaf = true
		for _, left := range s.parts {
			closeAll(left.files)
		}
		s.parts = nil
		return true
	})
}

// fill leaves no room, as when the reader has long not read.
func (s *stream) fill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.room = 0
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// doorPipe is one end of a door connection in memory.
type doorPipe struct {
	net.Conn // what a door does not use
	peer     core.Peer
	peerErr  error
	in, out  *stream

	mu                      sync.Mutex
	readUntil, writtenUntil time.Time
}

func newDoorPipe(peer core.Peer, err error) (caller, service *doorPipe) {
	toCaller, toService := newStream(), newStream()
	return &doorPipe{in: toCaller, out: toService},
		&doorPipe{peer: peer, peerErr: err, in: toService, out: toCaller}
}

func (p *doorPipe) Peer() (core.Peer, error) { return p.peer, p.peerErr }

func (p *doorPipe) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.readUntil = t
	return nil
}

func (p *doorPipe) SetWriteDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writtenUntil = t
	return nil
}

func (p *doorPipe) deadlines() (read, write time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.readUntil, p.writtenUntil
}

func (p *doorPipe) ReadWithFiles(b []byte) (int, []*os.File, error) {
	deadline, _ := p.deadlines()
	return p.in.read(b, deadline)
}

// Read drops descriptors, as read(2) does.
func (p *doorPipe) Read(b []byte) (int, error) {
	n, files, err := p.ReadWithFiles(b)
	closeAll(files)
	return n, err
}

// WriteWithFiles sends duplicates, as a socket does.
func (p *doorPipe) WriteWithFiles(b []byte, files ...*os.File) error {
	var copies []*os.File
	for _, f := range files {
		copied, err := reopen(f)
		if err != nil {
			return err
		}
		copies = append(copies, copied)
	}
	_, deadline := p.deadlines()
	err := p.out.write(b, copies, deadline)
	if err != nil {
		closeAll(copies)
	}
	return err
}

func (p *doorPipe) Close() error {
	p.out.shut(false)
	p.in.shut(true)
	return nil
}

func reopen(f *os.File) (*os.File, error) { return os.Open(f.Name()) }

// doorQueue is a door at which tests put callers.
type doorQueue struct {
	callers chan port.DoorConn
	errs    chan error
	done    chan struct{}
	once    sync.Once
}

func newDoorQueue() *doorQueue {
	return &doorQueue{callers: make(chan port.DoorConn), errs: make(chan error), done: make(chan struct{})}
}

func (q *doorQueue) Accept() (port.DoorConn, error) {
	select {
	case c := <-q.callers:
		return c, nil
	case err := <-q.errs:
		return nil, err
	case <-q.done:
		return nil, net.ErrClosed
	}
}

func (q *doorQueue) Close() error {
	q.once.Do(func() { close(q.done) })
	return nil
}

// connect puts a caller at the door and returns the caller's end.
func (q *doorQueue) connect(t testing.TB, peer core.Peer, err error) *doorPipe {
	t.Helper()
	caller, service := newDoorPipe(peer, err)
	t.Cleanup(func() { caller.Close() })
	q.callers <- service
	return caller
}

// send writes one frame.
func (p *doorPipe) send(t testing.TB, kind door.Type, body []byte, files ...*os.File) {
	t.Helper()
	if err := p.WriteWithFiles(door.Append(nil, kind, body), files...); err != nil {
		t.Error(err)
	}
}

// collecting keeps the descriptors that come with what is read.
type collecting struct {
	pipe  *doorPipe
	files []*os.File
}

func (r *collecting) Read(b []byte) (int, error) {
	n, files, err := r.pipe.ReadWithFiles(b)
	r.files = append(r.files, files...)
	return n, err
}

// receive reads one frame and the descriptors that came with it.
func (p *doorPipe) receive(t testing.TB) (door.Type, []byte, []*os.File) {
	t.Helper()
	r := &collecting{pipe: p}
	kind, body, err := door.Read(r)
	if err != nil {
		t.Errorf("read: %v", err)
	}
	return kind, body, r.files
}

// final reads the last frame, and that nothing follows it.
func (p *doorPipe) final(t testing.TB) any {
	t.Helper()
	kind, body, files := p.receive(t)
	if len(files) != 0 {
		t.Errorf("the final frame carries %d descriptors", len(files))
	}
	if _, _, err := door.Read(p); err == nil {
		t.Error("a frame follows the final one")
	}
	switch kind {
	case door.TypeExit:
		exit, err := door.DecodeExit(body)
		return orError(t, exit, err)
	case door.TypeRefused:
		refused, err := door.DecodeRefused(body)
		return orError(t, refused, err)
	}
	return errors.New("not a final frame")
}

func orError[T any](t testing.TB, value T, err error) T {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
	return value
}
