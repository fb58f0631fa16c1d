package broker

import (
	"net"
	"sync"
)

// gather is a socket whose writes are collected while it holds them. Each packet
// is a write, and in TLS a record, of its own: clients that wait for a socket to
// become readable do not see that a second packet came in the same record. What
// is written together still costs one system call.
type gather struct {
	net.Conn

	mu      sync.Mutex
	holding bool
	held    []byte
	err     error
}

// gatherAtMost is how much is held, in bytes; no more is kept than keepBuffer.
const (
	gatherAtMost = 64 << 10
	keepBuffer   = 4 << 10
)

// Write is also TLS's own, when it answers a peer by itself.
func (g *gather) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.holding {
		return g.Conn.Write(p)
	}
	if len(g.held)+len(p) > gatherAtMost {
		g.flush()
	}
	if len(p) >= gatherAtMost/2 && len(g.held) == 0 && g.err == nil {
		_, g.err = g.Conn.Write(p)
	} else {
		g.held = append(g.held, p...)
	}
	return len(p), g.err
}

// hold has writes collected until release.
func (g *gather) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holding = true
}

// release writes what was collected, and reports the first error since hold.
func (g *gather) release() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holding = false
	g.flush()
	if cap(g.held) > keepBuffer {
		g.held = nil
	}
	return g.err
}

func (g *gather) flush() {
	if len(g.held) > 0 && g.err == nil {
		_, g.err = g.Conn.Write(g.held)
	}
	g.held = g.held[:0]
}
