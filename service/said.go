package service

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/wire"
)

// said is one thing that KeeperPolicy says of all its policies together. Its answers to
// probes have a digest of it; when that changes, it is asked for the whole, which is
// handed to take. A machine without such policies is not asked for any.
//
// Attack: somebody asks for a listing, or KeeperPolicy starts and cannot read policies,
// and what an answer does not speak of counts as nothing, so that what people were kept
// from is theirs. So only wire.Nothing means that there is nothing.
type said[T any] struct {
	what     string // for the log
	question wire.PolicyRequest
	// pick takes the answer out of a response, with its digest; nil if it has none.
	pick func(wire.PolicyResponse) (*T, string)
	take func(T) // the zero value if there is nothing any more

	changed chan struct{}

	mu      sync.Mutex
	inForce string // digest of what was taken last; empty before that
	news    string // of what is to be asked for
	waiting string // id of the question on its way
	answer  chan T
}

// digest is told with each answer what there is to say is called now; empty if the
// answer does not speak of it.
func (r *said[T]) digest(now string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now == "" || now == r.inForce {
		return
	}
	r.news = now
	r.stir()
}

func (r *said[T]) stir() {
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
		r.waiting, r.inForce = "", digest
		r.answer <- *all
	}
	return true
}

// saidWithin is how long KeeperPolicy has to say it.
const saidWithin = 5 * time.Second

// follow asks for the whole when it is another one.
func (r *said[T]) follow(ctx context.Context, ask func(ctx context.Context, id string, q wire.PolicyRequest) error, log *slog.Logger) {
	silent := false
	for {
		select {
		case <-r.changed:
		case <-ctx.Done():
			return
		}
		id, answer := r.expect()
		if id == "" {
			var none T
			r.take(none)
			continue
		}
		if err := ask(ctx, id, r.question); err != nil {
			log.Debug("policies cannot be asked for", "what", r.what, "error", err)
			r.giveUp(id)
			continue // the next probe has the digest again
		}
		select {
		case all := <-answer:
			silent = false
			r.take(all)
		case <-time.After(saidWithin):
			if !r.giveUp(id) {
				r.take(<-answer) // it came at the same moment
				continue
			}
			if !silent {
				log.Warn("KeeperPolicy has not said what its policies are; it is asked until it does", "what", r.what)
			}
			silent = true
			r.stir()
		case <-ctx.Done():
			return
		}
	}
}

// expect returns the id of a question and where its answer comes; none if there is
// nothing to ask for.
func (r *said[T]) expect() (id string, answer <-chan T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.news == wire.Nothing {
		r.inForce = wire.Nothing
		return "", nil
	}
	r.waiting, r.answer = rand.Text(), make(chan T, 1)
	return r.waiting, r.answer
}

// giveUp takes a question back, and reports false if it has been answered. What comes
// later is not in force, and must not count as if it were.
func (r *said[T]) giveUp(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting != id {
		return false
	}
	r.waiting = ""
	return true
}
