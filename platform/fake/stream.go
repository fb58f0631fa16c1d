package fake

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"
)

// streamRoom is how many bytes a stream holds for its reader.
const streamRoom = 64 << 10

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

	readUntil, writtenUntil time.Time // a new one counts for who waits already
}

type part struct {
	bytes []byte
	files []*os.File
}

func newStream() *stream { return &stream{room: streamRoom, changed: make(chan struct{})} }

// wait calls try, with s locked, until it is done or the deadline at until has
// passed; nil is none.
func (s *stream) wait(until *time.Time, try func() bool) error {
	for {
		s.mu.Lock()
		if try() {
			s.change()
			s.mu.Unlock()
			return nil
		}
		changed, deadline := s.changed, time.Time{}
		if until != nil {
			deadline = *until
		}
		s.mu.Unlock()
		if !before(deadline, changed) {
			return os.ErrDeadlineExceeded
		}
	}
}

// change tells who waits that something has changed. s is locked.
func (s *stream) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// before reports whether changed was closed before deadline; zero is none.
func before(deadline time.Time, changed <-chan struct{}) bool {
	var late <-chan time.Time
	if !deadline.IsZero() {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-changed:
		return true
	case <-late:
		return false
	}
}

// set changes a deadline of s.
func (s *stream) set(until *time.Time, to time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*until = to
	s.change()
}

func (s *stream) read(b []byte) (n int, files []*os.File, err error) {
	waited := s.wait(&s.readUntil, func() bool {
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

func (s *stream) write(b []byte, files []*os.File) (err error) {
	waited := s.wait(&s.writtenUntil, func() bool {
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
	s.wait(nil, func() bool {
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
