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

	buffers *buffers

	mu   sync.Mutex
	held []byte // not nil between hold and release
	err  error
}

// bufferSize is how much is written at once, and up to which a payload is copied
// to its head: one record of TLS.
const (
	bufferSize = 64 << 10
	copyUpTo   = 16<<10 - 512
)

// buffers are those that nobody writes from now. A connection that is idle has
// none.
type buffers struct{ pool sync.Pool }

func (b *buffers) get() []byte {
	if p, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return p[:0]
	}
	return new([bufferSize]byte)[:0]
}

// put takes back what get returned, if it has not been outgrown.
func (b *buffers) put(buf []byte) {
	if cap(buf) == bufferSize {
		b.pool.Put((*[bufferSize]byte)(buf[:bufferSize]))
	}
}

// Write is also TLS's own, when it answers a peer by itself.
func (g *gather) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held == nil {
		return g.Conn.Write(p)
	}
	if len(g.held)+len(p) > bufferSize {
		g.flush()
	}
	if len(p) > bufferSize && g.err == nil {
		_, g.err = g.Conn.Write(p)
	} else if len(p) <= bufferSize {
		g.held = append(g.held, p...)
	}
	return len(p), g.err
}

// hold has writes collected until release.
func (g *gather) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = g.buffers.get()
}

// release writes what was collected, and reports the first error since hold.
func (g *gather) release() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.flush()
	g.buffers.put(g.held)
	g.held = nil
	return g.err
}

func (g *gather) flush() {
	if len(g.held) > 0 && g.err == nil {
		_, g.err = g.Conn.Write(g.held)
	}
	g.held = g.held[:0]
}
