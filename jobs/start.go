package jobs

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"kpm/core"
	"kpm/core/view"
	"kpm/jobs/schedule"
	"kpm/jobs/state"
)

// beginning is why a run starts, and with what.
type beginning struct {
	trigger view.JobTrigger
	request core.RequestID
	context map[string]any
	own     bool   // the context is the service's own
	parent  string // the run that started it
	depth   int
	group   *group
	after   <-chan struct{} // when it may begin; nil is at once
	due     []schedule.Due  // to be remembered with the run's first record
	// standsFor is the job that this one is the alternate of; empty if it is none.
	standsFor string
}

// start takes a run in. It does not wait for it to begin.
func (s *Service) start(j *job, b beginning) (*run, error) {
	if b.depth >= maxChain {
		return nil, ErrChain
	}
	r := s.newRun(j, b)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, ErrClosed
	}
	replaced, err := s.turns.enter(r)
	if err != nil {
		s.mu.Unlock()
		r.refused(err)
		return nil, err
	}
	s.runs[r.principal.Run] = r
	r.follows = b.after
	if b.group != nil && b.after == nil {
		r.follows, r.begun = b.group.begun, make(chan struct{})
	}
	waits := !slices.Contains(s.dispatch(), r)
	if r.begun != nil && !waits {
		b.group.begun = r.begun
	}
	s.mu.Unlock()
	for _, other := range replaced {
		s.stop(other, fmt.Errorf("run %s of the job has taken its place", r.principal.Run))
	}
	if waits {
		r.note()
	}
	return r, nil
}

// dispatch begins the runs whose turn it is. The lock is held.
func (s *Service) dispatch() []*run {
	begun := s.turns.begun()
	for _, r := range begun {
		s.idle.Add(1)
		s.begin(r)
	}
	return begun
}

func (s *Service) newRun(j *job, b beginning) *run {
	context, refused := b.context, []string(nil)
	if !b.own {
		context, refused = foreign(b.context)
	}
	r := &run{
		service: s, job: j, key: strings.ToLower(j.id), beginning: b, token: rand.Text(), vars: newVars(context, j.parameters),
		principal: core.Principal{Kind: core.JobRun, Name: j.id, Run: newID(time.Now()), Request: b.request}, done: make(chan struct{}),
	}
	r.ctx, r.cancel = cancellable(s.ctx)
	r.mask = newMask(r.vars, j.parameters)
	if len(refused) > 0 {
		r.Log().Warn("these names come from the service alone and were left out of what the job was started with", "names", refused)
	}
	r.record = view.JobRun{
		ID: r.principal.Run, JobID: j.id, JobName: j.name, State: string(state.Queued), Trigger: b.trigger, RequestID: b.request,
		ParentID: b.parent, Priority: j.priority, CreatedAt: time.Now().UTC(), ContextIn: r.mask.object(r.vars.given, r.vars.names),
	}
	r.taken = r.record
	return r
}

// newID is unlike any other and cannot be guessed. It begins with the time, so that what
// belongs to runs of the same time lies together in the history's indexes: a page of the
// disk for each run and index would be most of what is written for one.
func newID(now time.Time) string {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:], uint64(now.UnixMilli())<<16)
	rand.Read(id[6:])
	return ids.EncodeToString(id[:])
}

// ids has base32's characters, by which people and tools know a run, in the order that
// texts are sorted in.
var ids = base32.NewEncoding("234567ABCDEFGHIJKLMNOPQRSTUVWXYZ").WithPadding(base32.NoPadding)

// cancellable names the context package where "context" is a run's.
func cancellable(parent context.Context) (context.Context, context.CancelCauseFunc) {
	return context.WithCancelCause(parent)
}
