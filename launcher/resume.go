package launcher

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/signal"
	"kpm/launcher/journal"
	"kpm/launcher/refusal"
)

// lookAfterCaller is how often it is looked whether the caller of a command that
// an earlier service has launched is still there, until they are back.
const lookAfterCaller = time.Second

// resumed is a command that an earlier service has launched, whether it still
// runs or not. Its caller asks again with the key of the request.
type resumed struct {
	id      core.RequestID
	ctx     context.Context // ends when the caller has gone
	leave   context.CancelFunc
	signals chan signal.Sent
	back    chan struct{} // closed when the caller is back

	done       chan struct{}
	result     Result // after done
	unreleased bool   // after done: it has not run, and may be asked for anew
}

func newResumed(id core.RequestID) *resumed {
	r := &resumed{id: id, signals: make(chan signal.Sent), back: make(chan struct{}), done: make(chan struct{})}
	r.ctx, r.leave = context.WithCancel(context.Background())
	return r
}

// journalled is how a restarted service will know who has submitted s, nil if it will
// not. The process is the kernel's word; the key is not kept.
func (s *Submission) journalled() *journal.Caller {
	if s.Key == (door.Key{}) || len(s.Peer.Processes) != 1 {
		return nil
	}
	digest := sha256.Sum256(s.Key[:])
	k := journal.Caller{Key: hex.EncodeToString(digest[:len(digest)/2]), PID: s.Peer.Processes[0].PID, Start: s.Peer.Processes[0].Start, User: s.Peer.User}
	if payer := s.Peer.Payer(); payer != k.User {
		k.Payer = payer
	}
	return &k
}

// rejoin joins a caller who comes back to what an earlier service has launched
// for them, and reports whether that was all: if not, their request is one that
// has never run.
//
// Attack: somebody who has learned a key asks with it, to be told how the
// command ended or to send it signals. The process that has asked, by pid and
// start stamp, is who is joined, and nobody else.
func (l *Launcher) rejoin(ctx context.Context, submitted *Submission, c Caller, signals <-chan signal.Sent) (Result, bool) {
	k := submitted.journalled()
	r, refused := l.known(k)
	if refused != nil {
		l.cfg.Log.Warn("a request is refused", "user", submitted.Peer.User, "reason", refused.Message)
		return Result{Refused: refused}, true
	}
	if r != nil {
		result := l.join(ctx, r, c, signals)
		if closed := l.isClosed(); closed || !r.hasNotRun() {
			l.leaves(k)
			result.Later = closed && (result.Later || r.hasNotRun())
			return result, true
		}
		return Result{}, false // even who was told that it runs is asked about anew
	}
	if submitted.Running {
		l.leaves(k)
		return Result{Refused: refusal.New(door.CodeFailed, "the service was restarted and knows your command no more: the journal may say how it ended")}, true
	}
	return Result{}, false
}

// known finds what an earlier service has launched for a caller, and makes the
// caller known until leaves.
func (l *Launcher) known(k *journal.Caller) (*resumed, *refusal.Refusal) {
	if k == nil {
		return nil, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	who := k.Process()
	if l.present[who] {
		return nil, refusal.New(door.CodeUnavailable, "this request is being dealt with already")
	}
	r := l.resumed[who]
	if r == nil {
		for other := range l.resumed {
			if other.Key == k.Key {
				return nil, refusal.New(door.CodeDenied, "this request is another process's")
			}
		}
	}
	l.present[who] = true
	return r, nil
}

// leaves forgets a caller who has been answered.
func (l *Launcher) leaves(k *journal.Caller) {
	if k == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	who := k.Process()
	delete(l.present, who)
	if r := l.resumed[who]; r != nil && r.isDone() && !r.result.Later {
		delete(l.resumed, who)
	}
}

// join stays with a command that runs, or has run, for a caller who has come
// back.
func (l *Launcher) join(ctx context.Context, r *resumed, c Caller, signals <-chan signal.Sent) Result {
	close(r.back)
	l.announce(r.id, c)
	gone := ctx.Done()
	for {
		select {
		case <-r.done:
			return r.result
		case sig := <-signals:
			select {
			case r.signals <- sig:
			case <-r.done:
			}
		case <-gone:
			gone = nil
			r.leave()
		}
	}
}

func (r *resumed) isDone() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// hasNotRun reports whether it is known that nothing has run.
func (r *resumed) hasNotRun() bool { return r.isDone() && r.unreleased }

// resume takes over a command that an earlier service has launched. The error is
// that of a system which cannot say what became of it.
func (l *Launcher) resume(open journal.Unfinished) error {
	process, err := l.cfg.Launcher.Resume(open.Child.ID(), open.Child.Group)
	if err != nil {
		return err
	}
	p := started{process: process, group: open.Child.Group}
	l.cfg.Registry.RegisterElevated(process.ID(), p.group)
	l.ruleAgain(open)
	payer := open.Caller.User
	if open.Caller.Payer != "" {
		payer = open.Caller.Payer
	}
	e := &elevation{
		id: open.Request, req: l.store.Resume(open.Request), called: "the command", person: l.cfg.People.Of(open.Caller.User),
		share: &share{running: l.running.Have(l.cfg.People.Of(payer), 1)},
	}
	r := newResumed(open.Request)
	l.remember(*open.Caller, r)
	l.cfg.Log.Info("a command of an earlier service goes on", "request", e.id, "process", process.ID())
	l.elevations.Go(func() {
		defer e.share.release()
		r.result = l.attend(r.ctx, e, p, r.signals)
		r.unreleased = e.unreleased
		close(r.done)
	})
	return nil
}

// answered remembers how a command ended whose caller may not have heard.
func (l *Launcher) answered(open journal.Unfinished) {
	if open.Child != nil {
		l.cfg.Launcher.Forget(open.Child.ID())
	}
	if !l.cfg.Tree.Alive(open.Caller.ID()) {
		return
	}
	r := newResumed(open.Request)
	if open.Exit != nil {
		r.result.Exit = *open.Exit
	} else {
		r.result.Refused = refusal.New(door.CodeFailed, "the command was launched, and how it ended is not known. The journal has more under request %s", open.Request)
	}
	r.unreleased = open.NotRun
	close(r.done)
	l.remember(*open.Caller, r)
}

// remember keeps r for its caller, until they are back or are gone.
func (l *Launcher) remember(k journal.Caller, r *resumed) {
	who := k.Process()
	l.mu.Lock()
	l.resumed[who] = r
	l.mu.Unlock()
	l.elevations.Go(func() {
		tick := time.NewTicker(lookAfterCaller)
		defer tick.Stop()
		for l.cfg.Tree.Alive(k.ID()) {
			select {
			case <-tick.C:
			case <-r.back:
				return
			case <-l.detach:
				return
			}
		}
		r.leave()
		select {
		case <-r.done:
			l.mu.Lock()
			delete(l.resumed, who)
			l.mu.Unlock()
		case <-l.detach:
		}
	})
}
