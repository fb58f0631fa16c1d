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
}

type part struct {
	bytes []byte
	files []*os.File
}

func newStream() *stream { return &stream{room: streamRoom, changed: make(chan struct{})} }

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
