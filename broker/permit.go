package broker

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/wire"
)

// permit is the right to publish one answer: there is no standing right to
// publish on Replies/#.
type permit struct {
	topic    string
	question string // MessageId, the answer's CorrelationId
}

// permits are the questions that may still be answered, bounded in number and
// time.
type permits struct {
	mu    sync.Mutex
	until map[permit]time.Time
	swept time.Time
}

func newPermits() *permits { return &permits{until: map[permit]time.Time{}} }

// open adds p, or reports that there are too many.
func (ps *permits) open(p permit) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	now := time.Now()
	if len(ps.until) >= maxOpenQuestions && now.Sub(ps.swept) >= time.Second {
		ps.swept = now
		for q, until := range ps.until {
			if !now.Before(until) {
				delete(ps.until, q)
			}
		}
	}
	if len(ps.until) >= maxOpenQuestions {
		return false
	}
	ps.until[p] = now.Add(questionLife)
	return true
}

// use takes p away and reports whether it was there and had not expired.
func (ps *permits) use(p permit) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	until, ok := ps.until[p]
	delete(ps.until, p)
	return ok && time.Now().Before(until)
}

// openReply checks where the answer to m is wanted, and permits it once.
func (b *Broker) openReply(s *speaker, m wire.RequestMessage, id core.RequestID) error {
	if m.MessageID == "" {
		return errors.New("MessageId is missing: an answer could not refer to the question")
	}
	table := b.otherReplies
	if s.principal.Kind == core.Service {
		table = b.serviceReplies
	}
	if !s.mayBeAnswered(m.ReplyTopic, id) {
		return fmt.Errorf("RespondToTopic %q is not one that %s may subscribe to", brief(m.ReplyTopic), s.principal)
	}
	if !table.open(permit{m.ReplyTopic, m.MessageID}) {
		return fmt.Errorf("%d questions are unanswered", maxOpenQuestions)
	}
	return nil
}

// useReply permits m, an answer on topic, if its question is still open.
func (b *Broker) useReply(topic string, m wire.RequestMessage) error {
	table := b.otherReplies
	if wire.Match(wire.ReplyTopic(core.ServicePrincipal(), "+"), topic) {
		table = b.serviceReplies
	}
	if !table.use(permit{topic, m.CorrelationID}) {
		return fmt.Errorf("no open question %q wants an answer on %s", brief(m.CorrelationID), topic)
	}
	return nil
}

// mayBeAnswered reports whether s may name topic as RespondToTopic. Nobody may
// have an answer sent to an authority topic other than their own replies.
func (s *speaker) mayBeAnswered(topic string, id core.RequestID) bool {
	if s.principal.Kind == core.Service {
		return id != "" && topic == wire.ReplyTopic(s.principal, string(id)) || id == "" && topic == wire.TopicProbed
	}
	if !wire.ValidTopic(topic) || !s.mayRead(topic) {
		return false
	}
	return !restricted(topic) || (rule{topic: otherReplies}).names(topic, s.principal, "")
}
