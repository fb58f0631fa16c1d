package execution

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"kpm/core/port"
)

// Times of the Holder. The kernel ends it when it has not shown for stalled that it
// works; each look shows that.
const (
	look    = Deadline / 4
	stalled = 3 * Deadline
)

// maxReports bounds what the Server has not read, in messages: every question that can
// wait, and as much again of what those before had no answer to.
const maxReports = 2 * maxWaiting

// Serve is a Holder's work: it answers executions, and asks whoever is at the other
// end of conn, until that has gone. Then the caller ends the process, by which the
// kernel allows what waits. Serve closes executions and conn.
func Serve(conn io.ReadWriteCloser, executions port.Executions) error {
	reports := make(chan report, maxReports)
	h := newHolder(executions, func(r report) bool {
		select {
		case reports <- r:
			return true
		default:
			return false
		}
	})
	var work sync.WaitGroup
	done := make(chan struct{})
	ends := make(chan error, 4) // one for each of the below
	for _, part := range []func() error{
		func() error { return h.obeyAll(conn, reports) },
		func() error { return h.stopAll(done) },
		func() error { return h.tickAll(done) },
		func() error { return tell(conn, reports, done) },
	} {
		work.Go(func() { ends <- part() })
	}
	err := <-ends
	close(done)
	err = errors.Join(err, executions.Close(), conn.Close())
	work.Wait()
	h.work.Wait()
	return err
}

// obeyAll carries out orders until there are no more.
func (h *holder) obeyAll(conn io.Reader, reports chan<- report) error {
	orders := lines(conn)
	for orders.Scan() {
		var o order
		if err := json.Unmarshal(orders.Bytes(), &o); err != nil {
			return fmt.Errorf("execution: an order that cannot be read: %w", err)
		}
		var err error
		if o.Answer != nil {
			err = h.answered(*o.Answer)
		} else {
			err = h.obey(o)
		}
		switch {
		case o.Seq != 0:
			r := report{Done: o.Seq}
			if err != nil {
				r.Error = err.Error()
			}
			select {
			case reports <- r:
			default: // it is told nothing, and ends this process
			}
		case err != nil:
			return err
		}
	}
	return orders.Err()
}

// stopAll decides about one execution after the other.
func (h *holder) stopAll(done <-chan struct{}) error {
	for {
		e, err := h.executions.Next()
		if err == nil {
			err = h.stopped(e)
		}
		if err == nil {
			continue
		}
		select {
		case <-done: // it was closed
			return nil
		default:
			return err
		}
	}
}

// tickAll shows the kernel that this process works, as long as it does.
func (h *holder) tickAll(done <-chan struct{}) error {
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		if err := h.tick(); err != nil {
			return err
		}
		if err := h.executions.Alive(stalled); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-done:
			return nil
		}
	}
}

// tell sends reports.
func tell(conn io.Writer, reports <-chan report, done <-chan struct{}) error {
	for {
		select {
		case r := <-reports:
			text, err := line(r)
			if err != nil { // of a path that is too long: it ends by its deadline
				continue
			}
			if _, err := conn.Write(text); err != nil {
				return fmt.Errorf("execution: %w", err)
			}
		case <-done:
			return nil
		}
	}
}
