package service

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/view"
	"kpm/core/wire"
)

// policyReloads are the service's questions that KeeperPolicy answers once it has read
// policies again, by id.
type policyReloads struct {
	mu      sync.Mutex
	waiting map[string]chan<- wire.PolicyResponse
}

// ask returns the id of a new question, whose answer comes to answer, which has room
// for one. Later answers are dropped.
func (r *policyReloads) ask(answer chan<- wire.PolicyResponse) (id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == nil {
		r.waiting = map[string]chan<- wire.PolicyResponse{}
	}
	id = rand.Text()
	r.waiting[id] = answer
	return id
}

// forget takes back every question whose answer would come to answer.
func (r *policyReloads) forget(answer chan<- wire.PolicyResponse) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, to := range r.waiting {
		if to == answer {
			delete(r.waiting, id)
		}
	}
}

// answered takes the answer to a question, and reports whether it was that.
func (r *policyReloads) answered(from core.Principal, id string, a wire.PolicyResponse) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	answer, asked := r.waiting[id]
	if asked && isPolicy(from) && !from.InUserSession {
		select {
		case answer <- a:
		default:
		}
	}
	return asked
}

// KeeperPolicy is asked again after reloadAgain, for it may have been starting, and
// has reloadWithin to have read policies.
const (
	reloadAgain  = 3 * time.Second
	reloadWithin = 15 * time.Second
)

var (
	errNoPolicyPlugin = errors.New(wire.PolicyPlugin + " does not run, and reads policies when it starts")
	errPolicySilent   = fmt.Errorf("%s has not said within %s that it has read policies again", wire.PolicyPlugin, reloadWithin)
)

// reloadPolicies returns when policies are in force as they lie there now, or says why
// they are not: whoever asks afterwards is decided on by them.
func (s *service) reloadPolicies(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, reloadWithin, errPolicySilent)
	defer cancel()
	answer := make(chan wire.PolicyResponse, 1)
	defer s.policies.forget(answer)
	again := time.NewTicker(reloadAgain)
	defer again.Stop()
	for {
		if h, err := s.plugins.Health(wire.PolicyPlugin); err != nil || h.ProcessID == 0 && h.Status != view.Starting {
			return errNoPolicyPlugin
		}
		if err := (&bus{s}).List(ctx, s.policies.ask(answer), wire.Reload()); err != nil {
			return err
		}
		select {
		case a := <-answer:
			if a.Fault != "" {
				return errors.New(wire.PrintableLine(a.Fault))
			}
			return nil
		case <-again.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
