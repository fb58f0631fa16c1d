package execution

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// link is the Server's end of the connection with one Holder.
type link struct {
	conn io.ReadWriteCloser
	work sync.WaitGroup // answers that are being decided on

	writing sync.Mutex

	mu    sync.Mutex
	seq   uint64
	calls map[uint64]chan error
	ended bool
}

func newLink(conn io.ReadWriteCloser) *link {
	return &link{conn: conn, calls: map[uint64]chan error{}}
}

// tell sends an order. What cannot be sent ends the connection, and with it the
// Holder.
func (l *link) tell(o order) {
	text, err := line(o)
	if err == nil {
		l.writing.Lock()
		defer l.writing.Unlock()
		_, err = l.conn.Write(text)
	}
	if err != nil {
		l.conn.Close()
	}
}

// errGone is answered for orders to a Holder that has ended.
var errGone = errors.New("keeperexec has ended")

// call sends an order and waits until it is carried out. One that takes too long ends
// the Holder: nobody knows what it does.
func (l *link) call(ctx context.Context, o order) error {
	done := make(chan error, 1)
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return errGone
	}
	l.seq++
	o.Seq = l.seq
	l.calls[o.Seq] = done
	l.mu.Unlock()
	l.tell(o)
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		l.conn.Close()
		return fmt.Errorf("keeperexec does not answer: %w", ctx.Err())
	}
}

// done says that an order was carried out.
func (l *link) done(r report) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	if r.Error != "" {
		err = errors.New(r.Error)
	}
	if call, waits := l.calls[r.Done]; waits {
		call <- err
		delete(l.calls, r.Done)
	}
}

// read hands on reports until the Holder ends.
func (l *link) read(heard func(report)) error {
	defer l.end()
	reports := lines(l.conn)
	for reports.Scan() {
		var r report
		if err := json.Unmarshal(reports.Bytes(), &r); err != nil {
			return fmt.Errorf("execution: a report that cannot be read: %w", err)
		}
		heard(r)
	}
	return reports.Err()
}

// end closes the connection and lets go who waits.
func (l *link) end() {
	l.conn.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	for seq, call := range l.calls {
		call <- errGone
		delete(l.calls, seq)
	}
}
