package sdk

import (
	"sync/atomic"
	"time"

	"kpm/core/wire"
)

// Times and sizes of the way to KeeperLogger.
const (
	logQueue = 512
	logDelay = 100 * time.Millisecond
	logRetry = 200 * time.Millisecond
)

// shipper sends log records behind everyone's back. What does not fit into its
// queue is counted, and the count is sent.
type shipper struct {
	agent *Agent
	queue chan wire.RequestMessage
	lost  atomic.Uint64
	quit  chan struct{}
	ended chan struct{}
}

func newShipper(a *Agent) *shipper {
	return &shipper{agent: a, queue: make(chan wire.RequestMessage, logQueue), quit: make(chan struct{}), ended: make(chan struct{})}
}

// add never blocks.
func (s *shipper) add(at time.Time, entry wire.LogEntry) {
	m, err := wire.New(wire.TypeLog, s.agent.cfg.ID, entry)
	if err != nil {
		s.lost.Add(1)
		return
	}
	if !at.IsZero() {
		m.Timestamp = at.UTC()
	}
	select {
	case s.queue <- m:
	default:
		s.lost.Add(1)
	}
}

func (s *shipper) run() {
	defer close(s.ended)
	for {
		select {
		case <-s.quit:
			s.drain()
			return
		case m := <-s.queue:
			s.pause(logDelay)
			for !s.send(m) {
				if s.pause(logRetry) {
					return // the agent ends and nobody takes the record
				}
			}
			s.drain()
		}
	}
}

// drain sends what is queued, as far as there is a connection.
func (s *shipper) drain() {
	for {
		select {
		case m := <-s.queue:
			if !s.send(m) {
				s.lost.Add(1)
				return
			}
		default:
			if n := s.lost.Swap(0); n > 0 {
				m, err := wire.New(wire.TypeLog, s.agent.cfg.ID, wire.LogEntry{Level: "Warning", Message: "log records were lost", Fields: map[string]any{"records": n}})
				if err != nil || !s.send(m) {
					s.lost.Add(n)
				}
			}
			return
		}
	}
}

func (s *shipper) send(m wire.RequestMessage) bool {
	return s.agent.Publish(wire.TopicLogger, m) == nil
}

// pause waits and reports whether it was told to stop.
func (s *shipper) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false
	case <-s.quit:
		return true
	}
}

// stop sends what is left and waits until run has ended.
func (s *shipper) stop() {
	close(s.quit)
	<-s.ended
}
