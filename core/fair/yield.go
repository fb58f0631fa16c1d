package fair

import (
	"os"
	"runtime"
	"sync"
	"syscall"
)

// Yielder lets long work leave the processor to whatever else can go on, such as
// what has arrived on a connection. runtime.Gosched does less: as long as any
// goroutine can run, the runtime looks at connections every 10 ms only, and
// whoever came to be served meanwhile waits that long at each step.
//
// A nil Yielder is runtime.Gosched. Its methods may be called concurrently.
type Yielder struct {
	mu          sync.Mutex
	read, write *os.File
	raw         syscall.RawConn // of read
}

// NewYielder returns a Yielder, nil where the system has no pipes that the
// runtime waits for.
func NewYielder() *Yielder {
	r, w, err := os.Pipe()
	if err != nil {
		return nil
	}
	raw, err := r.SyscallConn()
	if err != nil {
		r.Close()
		w.Close()
		return nil
	}
	return &Yielder{read: r, write: w, raw: raw}
}

// Yield returns when everything could go on that was able to. It
// waits for a byte of its own, which the runtime notices together with
// everything that had arrived before.
func (y *Yielder) Yield() {
	if y == nil || !y.yield() {
		runtime.Gosched()
	}
}

func (y *Yielder) yield() bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	sent := false
	err := y.raw.Read(func(uintptr) bool {
		if sent {
			return true
		}
		var n int
		n, _ = y.write.Write([]byte{0})
		sent = n == 1
		return !sent // of a byte that was not sent nobody need wait
	})
	if err != nil || !sent {
		return false
	}
	_, err = y.read.Read(make([]byte, 1))
	return err == nil
}

// Close gives up what it needs.
func (y *Yielder) Close() {
	if y != nil {
		y.read.Close()
		y.write.Close()
	}
}
