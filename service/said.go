package service

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/wire"
)

// said is one thing that KeeperPolicy says of all its policies together. Its answers to
// probes have a digest of it; when that changes, it is asked for the whole, which is
// handed to take. A machine without such policies is not asked for any.
type said[T any] struct {
	what     string // for the log
	question wire.PolicyRequest
	// pick takes the answer out of a response, with its digest; nil if it has none.
	pick func(wire.PolicyResponse) (*T, string)
	take func(T) // the zero value if there is nothing any more

	changed chan struct{}

	mu      sync.Mutex
	told    bool   // KeeperPolicy has said something
	inForce string // digest
	news    string // of what is to be asked for
	waiting string // id of the question on its way
	answer  chan T
}

// digest is told with each answer to a probe what there is to say is called now.
func (r *said[T]) digest(now string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.told && now == r.inForce {
		return
	}
	r.news = now
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// answered takes the answer to the question, and reports whether it was that.
func (r *said[T]) answered(from core.Principal, id string, a wire.PolicyResponse) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == "" || id != r.waiting {
		return false
	}
	// The broker lets nobody else answer; it is asked again if somebody does.
	if all, digest := r.pick(a); isPolicy(from) && !from.InUserSession && all != nil {
		r.waiting, r.inForce, r.told = "", digest, true
		r.answer <- *all
	}
	return true
}

// saidWithin is how long KeeperPolicy has to say it.
const saidWithin = 5 * time.Second

// follow asks for the whole when it is another one.
func (r *said[T]) follow(ctx context.Context, s *service) {
	for {
		select {
		case <-r.changed:
		case <-ctx.Done():
			return
		}
		r.mu.Lock()
		if r.news == "" {
			r.told, r.inForce = true, ""
			r.mu.Unlock()
			var none T
			r.take(none)
			continue
		}
		id, answer := rand.Text(), make(chan T, 1)
		r.waiting, r.answer = id, answer
		r.mu.Unlock()
		if err := (&bus{s}).List(ctx, id, r.question); err != nil {
			s.log.Debug("policies cannot be asked for", "what", r.what, "error", err)
			continue // the next probe has the digest again
		}
		select {
		case all := <-answer:
			r.take(all)
		case <-time.After(saidWithin):
			s.log.Warn("KeeperPolicy has not said what its policies are; it is asked again", "what", r.what)
		case <-ctx.Done():
			return
		}
	}
}
