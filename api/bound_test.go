package api

import (
	"errors"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestDeadlinesOfABoundConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, pipe := net.Pipe()
		defer near.Close()
		far := &timed{Conn: pipe}
		defer far.Close()
		for _, c := range []struct {
			name string
			set  func(time.Time) error
			do   func([]byte) (int, error)
		}{
			{"read", far.SetReadDeadline, far.Read}, {"write", far.SetWriteDeadline, far.Write},
			{"both, read", far.SetDeadline, far.Read}, {"both, write", far.SetDeadline, far.Write},
		} {
			fails := func(name string, after time.Duration) {
				t.Helper()
				begun := time.Now()
				if _, err := c.do(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begun) != after {
					t.Errorf("%s, %s: %v after %v, want %v", c.name, name, err, time.Since(begun), after)
				}
			}
			set := func(deadline time.Time) {
				if err := c.set(deadline); err != nil {
					t.Errorf("%s: %v", c.name, err)
				}
			}
			set(time.Now().Add(time.Minute))
			fails("its time", time.Minute)
			fails("past", 0)
			set(time.Now().Add(time.Minute))
			set(time.Now().Add(2 * time.Minute))
			fails("put off", 2*time.Minute)
			set(time.Now().Add(-time.Minute))
			fails("in the past", 0)
			set(time.Now().Add(time.Minute))
			set(time.Time{})
			time.AfterFunc(time.Hour, func() { _ = c.set(longAgo) })
			fails("none", time.Hour)
			set(time.Time{})
		}
	})
}

// What was closed is not kept until its deadlines come.
func TestABoundConnectionIsForgotten(t *testing.T) {
	var gone atomic.Int32
	for _, nearFirst := range []bool{true, false} {
		near, pipe := net.Pipe()
		runtime.SetFinalizer(pipe, func(net.Conn) { gone.Add(1) })
		far := &timed{Conn: pipe}
		if err := far.SetDeadline(time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if nearFirst {
			near.Close()
		}
		far.Close()
		near.Close()
		if err := far.SetDeadline(time.Now().Add(time.Hour)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a closed connection takes a deadline: %v", err)
		}
	}
	for end := time.Now().Add(10 * time.Second); gone.Load() < 2 && time.Now().Before(end); {
		runtime.GC()
	}
	if gone.Load() < 2 {
		t.Errorf("%d of 2 closed connections are forgotten", gone.Load())
	}
}
