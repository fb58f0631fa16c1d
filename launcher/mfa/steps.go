package mfa

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/view"
)

// Bounds of people who log in again by steps: each step has its person's answer within
// answerTime, and there are so many at once.
const (
	answerTime = 2 * time.Minute
	maxSteps   = 32
)

// Errors of steps.
var (
	ErrNoStep       = core.NewError(core.NotFound, "nobody waits for this answer: begin anew")
	ErrTooManySteps = core.NewError(core.TooMany, "too many people log in again at once: try again in a minute")
)

// Steps let people log in again by questions and answers that travel one by one, for
// whoever has no terminal that the service can ask at. A person who was right is given a
// ticket, with which they enrol themself (decision 28a). A factor that they have is not
// ended by it: for that it takes an administrator.
type Steps struct {
	factor  Factor
	factors *Factors

	mu   sync.Mutex
	open map[core.UserID]*step
	all  sync.WaitGroup
	done bool
}

// step is one person who logs in again.
type step struct {
	id     string
	cancel context.CancelFunc
	shown  chan view.Login // what the person is asked next, or how it ended
	answer chan []byte     // what they have answered
	failed error           // why it ended without a ticket; read after shown is closed
	told   []string
}

// NewSteps returns Steps by which factor is asked for.
func NewSteps(factor Factor, factors *Factors) *Steps {
	return &Steps{factor: factor, factors: factors, open: map[core.UserID]*step{}}
}

// Close ends what is under way.
func (s *Steps) Close() {
	s.mu.Lock()
	s.done = true
	for _, one := range s.open {
		one.cancel()
	}
	s.mu.Unlock()
	s.all.Wait()
}

// Begin begins for a person, in place of what they have begun before, and returns the
// first question. ErrEnrolled if they have a factor already.
func (s *Steps) Begin(ctx context.Context, by core.Principal, person core.Account) (view.Login, error) {
	if err := s.factors.unusable(); err != nil {
		return view.Login{}, err
	}
	if _, err := s.factors.store.get(person.User); !notEnrolled(err) {
		return view.Login{}, errors.Join(err, ErrEnrolled)
	}
	if err := told(s.factor.Ready(person)); err != nil {
		return view.Login{}, err
	}
	one, err := s.start(by, person)
	if err != nil {
		return view.Login{}, err
	}
	return one.next(ctx)
}

// Answer hands an answer over to what a person has begun, and returns the next question
// or the ticket.
func (s *Steps) Answer(ctx context.Context, person core.UserID, id string, answer []byte) (view.Login, error) {
	s.mu.Lock()
	one := s.open[person]
	s.mu.Unlock()
	if one == nil || one.id != id {
		return view.Login{}, ErrNoStep
	}
	select {
	case one.answer <- answer:
		return one.next(ctx)
	case <-one.shown: // it has ended meanwhile
		return view.Login{}, ErrNoStep
	case <-ctx.Done():
		return view.Login{}, ctx.Err()
	}
}

// start has a person asked by a goroutine that ends within answerTime of the last answer.
func (s *Steps) start(by core.Principal, person core.Account) (*step, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.open[person.User]
	switch {
	case s.done:
		return nil, ErrNotThere
	case before != nil:
		before.cancel()
	case len(s.open) >= maxSteps:
		return nil, ErrTooManySteps
	}
	ctx, cancel := context.WithCancel(context.Background())
	one := &step{id: rand.Text(), cancel: cancel, shown: make(chan view.Login), answer: make(chan []byte)}
	s.open[person.User] = one
	s.all.Go(func() {
		defer cancel()
		ticket, err := s.verified(ctx, by, person, one)
		s.mu.Lock()
		if s.open[person.User] == one {
			delete(s.open, person.User)
		}
		s.mu.Unlock()
		if err == nil {
			one.show(ctx, view.Login{Ticket: &ticket})
		}
		one.failed = told(err)
		close(one.shown)
	})
	return one, nil
}

// verified is the ticket of a person who was right.
func (s *Steps) verified(ctx context.Context, by core.Principal, person core.Account, one *step) (view.Ticket, error) {
	if _, err := s.factor.Verify(ctx, person, "", one); err != nil {
		return view.Ticket{}, err
	}
	return s.factors.Ticket(by, person, false)
}

// told is err as the person may be told it.
func told(err error) error {
	var wrong *Wrong
	if errors.As(err, &wrong) {
		return core.WithKind(core.NotPermitted, err)
	}
	return err
}

// next is what the person is shown next.
func (o *step) next(ctx context.Context) (view.Login, error) {
	select {
	case shown, more := <-o.shown:
		if !more {
			return view.Login{}, cmp.Or(o.failed, error(ErrNoStep))
		}
		return shown, nil
	case <-ctx.Done():
		return view.Login{}, ctx.Err()
	}
}

// show reports whether somebody was there to be shown it.
func (o *step) show(ctx context.Context, shown view.Login) bool {
	shown.ID, shown.Told, o.told = o.id, o.told, nil
	timer := time.NewTimer(answerTime)
	defer timer.Stop()
	select {
	case o.shown <- shown:
		return true
	case <-ctx.Done():
	case <-timer.C:
	}
	return false
}

// Ask implements port.Conversation.
func (o *step) Ask(ctx context.Context, text string, secret bool) ([]byte, error) {
	if !o.show(ctx, view.Login{Question: text, Secret: secret}) {
		return nil, core.ErrCancelled
	}
	timer := time.NewTimer(answerTime)
	defer timer.Stop()
	select {
	case answer := <-o.answer:
		return answer, nil
	case <-ctx.Done():
	case <-timer.C:
	}
	return nil, core.ErrCancelled
}

// maxTold bounds how many messages are kept for the next question.
const maxTold = 16

// Tell implements port.Conversation.
func (o *step) Tell(_ context.Context, text string) error {
	if len(o.told) < maxTold {
		o.told = append(o.told, text)
	}
	return nil
}

var _ port.Conversation = (*step)(nil)
