package execution

import (
	"context"
	"errors"
	"path"
	"strings"
	"sync"
	"time"

	"kpm/core/fair"
	"kpm/core/port"
)

// Bounds of the executions that wait for an answer, and of the files that are read at
// once: of one share's, which is a user's or an elevated command's, and of all. Attack: a user has files read that never end, or
// executes thousands of files that nobody has decided about, and others wait.
const (
	maxWaiting     = 4096
	maxUserWaiting = 1024 // no build executes as many new files at once: beyond it they are refused
	maxUserReading = 4
	maxReading     = 64
)

// holder is the state of a Holder. Its methods may be called concurrently; none
// waits for anybody.
type holder struct {
	executions port.Executions
	send       func(report) bool // false if there is no room
	now        func() time.Time
	reading    *fair.Slots[share]
	work       sync.WaitGroup

	mu        sync.Mutex
	watch     watch
	groups    map[string]bool
	verdicts  verdicts
	next      interpreters
	waiting   map[uint64]*waiting
	asked     map[subject]*waiting
	undecided map[share]int // how many of waiting are whose
	last      uint64        // id
	// silent is true from a question that had no answer in time until there is one:
	// until then one execution at a time waits.
	silent     bool
	heard      time.Time // when there was an answer
	unanswered int       // since the last report
	busy       time.Time // since when stopped is at one execution; zero if it is not
}

// waiting are executions that wait for the same answer.
type waiting struct {
	subject    subject
	question   question
	executions []port.Execution
	until      time.Time
	program    port.Program
	outdated   bool // policies have changed since it was asked
}

func newHolder(executions port.Executions, send func(report) bool) *holder {
	return &holder{
		executions: executions, send: send, now: time.Now,
		reading: fair.NewSlots[share](fair.Bounds{Each: maxUserReading, All: maxReading}),
		groups:  map[string]bool{}, verdicts: verdicts{}, next: interpreters{},
		waiting: map[uint64]*waiting{}, asked: map[subject]*waiting{}, undecided: map[share]int{},
	}
}

// obey carries out an order.
func (h *holder) obey(o order) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if o.Watch != nil {
		h.watch = *o.Watch
		h.forget()
	}
	if o.Enter != "" {
		h.groups[o.Enter] = true
		// Files that nobody needs to be asked about may be children's now.
		if err := h.executions.Recall(); err != nil {
			return err
		}
	}
	if o.Leave != "" {
		delete(h.groups, o.Leave)
		for s := range h.verdicts {
			if s.group == o.Leave {
				delete(h.verdicts, s)
			}
		}
	}
	if o.Forget {
		h.forget()
		if err := h.executions.Recall(); err != nil {
			return err
		}
	}
	if o.Watch != nil || o.Enter != "" || o.Leave != "" {
		return h.executions.Watch(h.watches(), h.watch.Mounts)
	}
	return nil
}

// watches reports whether anything is to be stopped. The caller holds mu.
func (h *holder) watches() bool { return h.watch.Files || len(h.groups) > 0 }

// forget drops every verdict, also those that are asked for right now. The caller
// holds mu.
func (h *holder) forget() {
	clear(h.verdicts)
	clear(h.asked)
	for _, w := range h.waiting {
		w.outdated = true
	}
}

// stopped decides about an execution, or asks.
func (h *holder) stopped(e port.Execution) error {
	h.mu.Lock()
	grouped := len(h.groups) > 0
	h.busy = h.now()
	h.mu.Unlock()
	defer h.rest()
	who, err := h.executions.Executor(e, grouped)
	if err != nil { // it has ended by now
		return h.executions.Answer(e, true)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now, s := h.now(), subject{user: who.User, group: h.groupOf(who.Group), file: e.File}
	switch {
	case s.group == "" && (who.Administrator || !h.watch.Files):
		// Root repairs the machine, and this agent is root: neither ever waits.
		return h.executions.Answer(e, true)
	case s.group != "":
		is, script := h.next.take(e.Process, e.File, now)
		if is && !script { // the loader of a program that was allowed
			return h.executions.Answer(e, true)
		}
		s.script = is && script
	}
	if v, ok := h.verdicts.fresh(s, now); ok {
		return h.answer(e, s, v, now)
	}
	if w := h.asked[s]; w != nil && len(w.executions) < maxWaiting {
		w.executions = append(w.executions, e)
		return nil
	}
	switch {
	case h.undecided[s.share()] >= maxUserWaiting:
		return h.executions.Answer(e, false)
	case h.silent && len(h.waiting) > 0 || len(h.waiting) >= maxWaiting: // one at a time finds out
		h.unanswered++
		return h.answer(e, s, h.otherwise(s), now)
	}
	return h.ask(e, s, now)
}

// groupOf returns the elevated launch group that a group is or lies in.
func (h *holder) groupOf(name string) string {
	kind, dir, found := strings.Cut(name, ":")
	for ; found && len(h.groups) > 0 && len(dir) > 1; dir = path.Dir(dir) {
		if group := kind + ":" + dir; h.groups[group] {
			return group
		}
	}
	return ""
}

// otherwise is the verdict without an answer: the last one about the same, as long as
// policies have not changed, or to go on.
func (h *holder) otherwise(s subject) verdict {
	if v, known := h.verdicts[s]; known {
		return v
	}
	return verdict{allow: true}
}

// answer answers one execution. The caller holds mu.
func (h *holder) answer(e port.Execution, s subject, v verdict, now time.Time) error {
	if s.group != "" && v.allow {
		h.next.put(e.Process, v, now)
	}
	return h.executions.Answer(e, v.allow)
}

// ask has the file read and the Server asked. The caller holds mu.
func (h *holder) ask(e port.Execution, s subject, now time.Time) error {
	kept, err := h.executions.Keep(e)
	if err != nil { // out of descriptors
		h.unanswered++
		return h.answer(e, s, h.otherwise(s), now)
	}
	h.last++
	w := &waiting{
		subject: s, executions: []port.Execution{e}, until: now.Add(Deadline),
		question: question{ID: h.last, PID: e.Process, User: s.user, Group: s.group, Script: s.script, Device: e.File.Device, Inode: e.File.Inode},
	}
	h.waiting[h.last], h.asked[s] = w, w
	h.undecided[s.share()]++
	h.work.Go(func() { h.read(w, kept) })
	return nil
}

// read reads the file and sends the question. What cannot be read, or sent, ends by
// its deadline.
func (h *holder) read(w *waiting, kept port.Execution) {
	defer h.executions.Drop(kept)
	ctx, cancel := context.WithTimeout(context.Background(), Deadline)
	defer cancel()
	slot, err := h.reading.Take(ctx, w.subject.share(), 1)
	if err != nil {
		return
	}
	defer slot.Release()
	program, err := h.executions.Program(kept, w.subject.group != "")
	if err != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	w.program = program
	w.question.Path, w.question.Elsewhere, w.question.Hash = program.Path, program.Elsewhere, program.Hash
	if h.waiting[w.question.ID] == w {
		q := w.question
		h.send(report{Question: &q})
	}
}

// answered takes an answer.
func (h *holder) answered(a answer) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.silent, h.heard = false, h.now()
	w := h.waiting[a.ID]
	if w == nil {
		return nil // too late
	}
	now, v := h.heard, verdict{allow: a.Allow, interpreter: w.program.Interpreter, script: w.program.Script}
	v.at = now
	if !w.outdated && !a.Once {
		h.verdicts.put(w.subject, v)
		if a.Everybody && a.Allow && len(h.groups) == 0 {
			if err := h.executions.Ignore(w.executions[0]); err != nil {
				return err
			}
		}
	}
	return h.settle(w, v, now)
}

// settle answers everyone who waits for w. The caller holds mu.
func (h *holder) settle(w *waiting, v verdict, now time.Time) error {
	delete(h.waiting, w.question.ID)
	if h.undecided[w.subject.share()]--; h.undecided[w.subject.share()] == 0 {
		delete(h.undecided, w.subject.share())
	}
	if h.asked[w.subject] == w {
		delete(h.asked, w.subject)
	}
	var failed error
	for _, e := range w.executions {
		if err := h.answer(e, w.subject, v, now); err != nil {
			failed = err
		}
	}
	return failed
}

func (h *holder) rest() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.busy = time.Time{}
}

// errStuck has this process end: the kernel lets go on what waits for it.
var errStuck = errors.New("execution: it cannot be found out who executes something")

// tick lets go on what has waited long enough, and says so.
func (h *holder) tick() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	if !h.busy.IsZero() && now.Sub(h.busy) > Deadline {
		return errStuck
	}
	var failed error
	var late *question // one of those, for the record
	for _, w := range h.waiting {
		if now.Before(w.until) {
			continue
		}
		// Attack: a file whose reading does not end, or more of them than can be decided
		// about. The Server is not silent then, and nobody else goes on without an answer.
		h.silent = h.silent || w.question.Path != "" && now.Sub(h.heard) >= Deadline
		h.unanswered += len(w.executions)
		q := w.question
		late = &q
		v := h.otherwise(w.subject)
		v.interpreter, v.script = w.program.Interpreter, w.program.Script
		if err := h.settle(w, v, now); err != nil {
			failed = err
		}
	}
	if late != nil && h.send(report{Unanswered: late, Count: h.unanswered}) {
		h.unanswered = 0
	}
	return failed
}
