// Package capture keeps a bounded part of what a launched process writes, for
// people who must find out why it failed and for tasks whose output is read.
//
// It does not interpret the bytes and does not start or end the process.
package capture

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"kpm/core/wire"
)

// Pipe is the reading end of a pipe whose other end a child writes to. One
// goroutine reads until every writer is gone or Finish gives up.
type Pipe struct {
	read *os.File
	done chan struct{}

	mu   sync.Mutex
	data []byte
	over bool
}

// How much is read at once, in bytes: more from a child that says much.
const (
	leastRead = 256
	mostRead  = 4 << 10
)

// Last returns a Pipe that keeps the last n bytes, and the end for the child.
// The caller closes the child's end once the child has it, and calls Finish.
func Last(n int) (*Pipe, *os.File, error) {
	return start(func(p *Pipe, b []byte) {
		p.data = append(p.data, b...)
		if extra := len(p.data) - n; extra > 0 {
			p.over = true
			p.data = append(p.data[:0], p.data[extra:]...)
		}
	})
}

// First returns a Pipe that keeps the first n bytes and discards the rest.
// overflow, if not nil, is called once when there is a rest. Otherwise as Last.
func First(n int, overflow func()) (*Pipe, *os.File, error) {
	return start(func(p *Pipe, b []byte) {
		if room := n - len(p.data); len(b) > room {
			b = b[:room]
			if !p.over && overflow != nil {
				overflow()
			}
			p.over = true
		}
		p.data = append(p.data, b...)
	})
}

func start(keep func(*Pipe, []byte)) (*Pipe, *os.File, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("capture: %w", err)
	}
	p := &Pipe{read: read, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		// Most children say little: who waits for a word of a hundred of them
		// holds a hundred small buffers.
		for buf := make([]byte, leastRead); ; {
			n, err := read.Read(buf)
			p.mu.Lock()
			keep(p, buf[:n])
			p.mu.Unlock()
			if err != nil {
				return
			}
			if n == len(buf) && n < mostRead {
				buf = make([]byte, 2*n)
			}
		}
	}()
	return p, write, nil
}

// Finish is called once, when the child has ended. It waits until no writer is
// left, at most for wait, closes the pipe and returns what was kept, and
// whether anything was not. A grandchild that still holds the other end cannot
// make it wait longer.
func (p *Pipe) Finish(wait time.Duration) (data []byte, truncated bool) {
	select {
	case <-p.done:
	default:
		// A deadline, not a timer: it also ends a read in progress.
		if err := p.read.SetReadDeadline(time.Now().Add(wait)); err != nil {
			p.read.Close()
		}
		<-p.done
	}
	p.read.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.data, p.over
}

// Text is Finish for people: printable, on one line, lines joined by " | ".
func (p *Pipe) Text(wait time.Duration) string {
	data, truncated := p.Finish(wait)
	return OneLine(data, truncated)
}

// OneLine makes foreign output safe to put into a log or an error: blank lines,
// terminal control and line forgery are out (CVE-2023-28486).
func OneLine(data []byte, truncated bool) string {
	var lines []string
	for line := range strings.SplitSeq(string(data), "\n") {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, wire.Printable(line))
		}
	}
	text := strings.Join(lines, " | ")
	if truncated {
		return "... " + text
	}
	return text
}
