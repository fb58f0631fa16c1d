package prompts

import (
	"context"
	"crypto/rand"
	"sync"

	"kpm/core"
	"kpm/core/dialog"
	"kpm/core/view"
)

// Bounds: who listens, of one person and in all, and what waits for each to be read.
const (
	maxListeners    = 256
	maxOwnListeners = 4
	maxWaiting      = 8
)

// Errors of Listen and Answer.
var (
	ErrTooMany = core.NewError(core.TooMany, "too many programs wait for questions already")
	ErrUnasked = core.NewError(core.NotFound, "this process is asked no such question, or not any more")
)

// Config is what a Desk needs of the system. Each is as the port of that name has it.
type Config struct {
	Ancestors  func(core.ProcessID) ([]core.Ancestor, error)
	Starter    func(core.ProcessID) (core.UserID, error)
	TerminalOf func(core.ProcessID) (core.Terminal, error)
	// Behind says who is behind a process, as origin.Finder does.
	Behind func(core.ProcessID) (core.Origin, error)
}

// Desk knows who listens. Its methods may be called concurrently.
type Desk struct {
	cfg Config

	mu        sync.Mutex
	listeners []*listener // who came last is the last
}

// listener is one process of a person that asks them.
type listener struct {
	user    core.UserID
	process core.ProcessID
	said    chan view.Prompt
	gone    chan struct{}

	// Under Desk.mu.
	id     string // of the question that is asked, empty if none is
	answer chan dialog.Answer
}

// New returns a Desk at which nobody listens.
func New(cfg Config) *Desk { return &Desk{cfg: cfg} }

// Listen returns what the person at the other end of a connection is asked from now on,
// until stop is called, which declines what they are being asked. Errors are ErrNoTerminal,
// ErrAgent, ErrWhose and ErrTooMany.
func (d *Desk) Listen(peer core.Peer) (<-chan view.Prompt, func(), error) {
	if len(peer.Processes) != 1 || !peer.SameIdentity || peer.Foreign || peer.Confined != "" {
		return nil, nil, ErrWhose
	}
	if err := d.present(peer.Processes[0]); err != nil {
		return nil, nil, err
	}
	l := &listener{user: peer.User, process: peer.Processes[0], said: make(chan view.Prompt, maxWaiting), gone: make(chan struct{})}
	d.mu.Lock()
	defer d.mu.Unlock()
	own := 0
	for _, other := range d.listeners {
		if other.user == l.user {
			own++
		}
	}
	if own >= maxOwnListeners || len(d.listeners) >= maxListeners {
		return nil, nil, ErrTooMany
	}
	d.listeners = append(d.listeners, l)
	return l.said, sync.OnceFunc(func() { d.leave(l) }), nil
}

func (d *Desk) leave(l *listener) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, other := range d.listeners {
		if other == l {
			d.listeners = append(d.listeners[:i:i], d.listeners[i+1:]...)
		}
	}
	close(l.gone)
}

// Find returns what asks whoever made a request at another terminal of theirs; false if
// nobody listens there who may be asked. Of several, it is who came last and is asked
// nothing else.
func (d *Desk) Find(asking core.Peer) (dialog.Show, bool) {
	if len(asking.Processes) != 1 || asking.Foreign {
		return nil, false
	}
	for _, l := range d.free(asking.User) {
		if d.present(l.process) == nil && d.apart(asking.User, asking.Processes[0], l.process) {
			return func(ctx context.Context, _ dialog.Desktop, q dialog.Question) (dialog.Answer, error) {
				return d.ask(ctx, l, q)
			}, true
		}
	}
	return nil, false
}

// free are who may be asked, the last first.
func (d *Desk) free(user core.UserID) (list []*listener) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := len(d.listeners) - 1; i >= 0; i-- {
		if l := d.listeners[i]; l.user == user && l.id == "" && len(l.said) < maxWaiting/2 {
			list = append(list, l)
		}
	}
	return list
}

// ask asks at one terminal. Who goes, does not read, or is asked something else by now
// has declined: another terminal is not asked instead.
func (d *Desk) ask(ctx context.Context, l *listener, q dialog.Question) (dialog.Answer, error) {
	declined := dialog.Answer{Outcome: dialog.Declined}
	id, answer := rand.Text(), make(chan dialog.Answer, 1)
	d.mu.Lock()
	if l.id != "" {
		d.mu.Unlock()
		return declined, nil
	}
	l.id, l.answer = id, answer
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if l.id == id { // nobody has answered
			l.id, l.answer = "", nil
			select {
			case l.said <- view.Prompt{Kind: view.PromptOver, ID: id}:
			default: // it does not read
			}
		}
	}()
	select {
	case l.said <- view.Prompt{Kind: view.PromptQuestion, ID: id, Question: &q}:
	default:
		return declined, nil
	}
	select {
	case a := <-answer:
		return a, nil
	case <-l.gone:
		return declined, nil
	case <-ctx.Done():
		return declined, ctx.Err()
	}
}

// Answer hands over what a person has said to question id, from the process that was
// asked it and no other. ErrUnasked if there is no such question.
//
// Attack: another program of the same user answers in that process's place.
func (d *Desk) Answer(peer core.Peer, id string, a dialog.Answer) error {
	if len(peer.Processes) != 1 {
		return ErrUnasked
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.listeners {
		if l.id != "" && l.id == id && l.process == peer.Processes[0] && l.user == peer.User {
			l.answer <- a // has room: the question is over with it
			l.id, l.answer = "", nil
			return nil
		}
	}
	return ErrUnasked
}
