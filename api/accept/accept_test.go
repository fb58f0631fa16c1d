package accept

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// Errors of a full system end no loop, and cost no processor.
func TestErrorsAreSurvived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("too many open files")
		results := []error{full, full, nil, full, net.ErrClosed}
		taken, failed := 0, 0
		begun := time.Now()
		Loop(nil, func() (int, error) {
			err := results[0]
			results = results[1:]
			return 7, err
		}, func(c int) { taken += c }, func(err error) {
			if !errors.Is(err, full) {
				t.Errorf("told of %v", err)
			}
			failed++
		})
		if taken != 7 || failed != 3 {
			t.Errorf("took %d and failed %d times, want 7 and 3", taken, failed)
		}
		// 5 and 10 ms, and after a success 5 ms again.
		if waited := time.Since(begun); waited != 20*time.Millisecond {
			t.Errorf("waited %v, want 20ms", waited)
		}
	})
}

func TestTheWaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		pause(nil, 1<<30)
		if waited := time.Since(begun); waited != time.Second {
			t.Errorf("waited %v, want 1s", waited)
		}
	})
}

func TestDoneEndsTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done := make(chan struct{})
		time.AfterFunc(time.Minute, func() { close(done) })
		Loop(done, func() (int, error) { return 0, errors.New("always") }, func(int) {}, func(error) {})
	})
}
