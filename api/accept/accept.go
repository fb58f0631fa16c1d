// Package accept runs the accept loops of the API's listeners. It knows nothing
// of what is accepted.
package accept

import (
	"errors"
	"net"
	"time"

	"kpm/core/fair"
)

// atOnce is how many connections are taken before everything else goes on.
// Attack: a user connects and closes faster than connections can be taken, and
// what has arrived on other connections is not even looked at.
const atOnce = 8

// Loop hands to take what next returns, until next reports net.ErrClosed or
// done is closed. It survives every other error that a listener may report,
// such as too many open files: it tells failed, waits, longer each time up to a
// second, and tries again. Loop waits for take, which therefore must not wait
// for whoever has connected.
func Loop[C any](done <-chan struct{}, next func() (C, error), take func(C), failed func(error)) {
	yielder := fair.NewYielder()
	defer yielder.Close()
	taken := 0
	for attempt := 0; ; attempt++ {
		c, err := next()
		switch {
		case err == nil:
			attempt = -1
			take(c)
			if taken++; taken%atOnce == 0 {
				yielder.Yield()
			}
		case errors.Is(err, net.ErrClosed) || !pause(done, attempt):
			return
		default:
			failed(err)
		}
	}
}

// pause waits before the next attempt. It returns false when done is closed.
func pause(done <-chan struct{}, attempt int) bool {
	timer := time.NewTimer(min(time.Second, 5*time.Millisecond<<min(attempt, 8)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-done:
		return false
	}
}
