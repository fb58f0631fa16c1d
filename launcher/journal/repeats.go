package journal

import (
	"crypto/sha256"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"kpm/core"
	"kpm/core/fair"
)

// Refusals cost whoever asks nothing, so nobody may fill the journal with them.
// A request like one of the same user's that was refused lately is not written
// until it is known whether it is refused again; then it is counted only. So is
// any refusal of a user who has filled a part of the journal with them.
const (
	refusalPart  = 64             // of the journal's bytes: refusals of one user, at once
	refusalDay   = 24 * time.Hour // until an empty part is full again
	leastRefusal = 128 << 10      // bytes
	refusalOwn   = 8              // refusals remembered of one user,
	refusalAll   = 4096           // and of all
	countEvery   = time.Minute    // from the first that is counted to its record
	forgetAfter  = 10 * time.Minute
)

// refusal is one that is recorded, and what came after it.
type refusal struct {
	user    core.UserID
	name    string
	request core.RequestID // the one on record; "" for any other of this user's
	outcome [sha256.Size]byte
	count   int       // since the last record of it
	since   time.Time // of the first of these
	counted time.Duration
	last    time.Duration
}

// asked is a request about which nothing has been decided yet.
type asked struct {
	user  core.UserID
	name  string
	what  [sha256.Size]byte
	like  *refusal // what its records wait for, nil if they do not
	wait  []Record
	bytes int // written
}

// repeats counts refusals. The journal's lock guards it.
type repeats struct {
	clock   func() (time.Time, time.Duration)
	asked   map[core.RequestID]*asked
	refused map[[sha256.Size]byte]*refusal // by what was asked
	others  map[core.UserID]*refusal
	allowed *fair.Rate[core.UserID] // bytes
}

func newRepeats(cfg Config) *repeats {
	part := max(leastRefusal, cfg.SegmentBytes*int64(cfg.KeepSegments)/refusalPart)
	return &repeats{
		clock: cfg.clock, asked: map[core.RequestID]*asked{}, refused: map[[sha256.Size]byte]*refusal{}, others: map[core.UserID]*refusal{},
		allowed: fair.NewRate[core.UserID](float64(part)/refusalDay.Seconds(), int(part)),
	}
}

// take appends r, or keeps it until more is known, or counts it.
func (j *Journal) take(r Record) error {
	if j.broken != nil {
		return j.broken
	}
	s := j.repeats
	if r.Type == Opened && r.UserID != "" {
		if a := s.open(r); a.like != nil {
			a.wait = append(a.wait, r)
			return nil
		}
		err := j.append(r)
		if err != nil {
			delete(s.asked, r.Request) // it has not begun
		}
		return err
	}
	a := s.asked[r.Request]
	switch {
	case a == nil:
		return j.append(r)
	case (r.Type == Evaluating || r.Type == Monitored) && a.like != nil:
		a.wait = append(a.wait, r)
		return nil
	case r.Type.refuses() && s.counts(a) && (a.like.request == "" || a.like.outcome == outcome(r)):
		s.again(a.like, r)
		delete(s.asked, r.Request)
		return nil
	}
	for len(a.wait) > 0 {
		if err := j.append(a.wait[0]); err != nil {
			return err
		}
		a.wait = a.wait[1:]
	}
	a.like = nil
	return j.append(r)
}

// refuses reports whether a record ends a request of which nothing ran.
func (t Type) refuses() bool { return t == Denied || t == Failed || t == Expired }

// open follows a request from its beginning.
func (s *repeats) open(r Record) *asked {
	a := &asked{user: r.UserID, name: r.User, what: question(r)}
	s.asked[r.Request] = a
	_, now := s.clock()
	like := s.refused[a.what]
	switch {
	case like != nil && now-like.last < forgetAfter:
		a.like = like
	case s.allowed.Take(r.UserID, 1) > 0:
		a.like = s.other(r)
	}
	return a
}

// other counts what is refused to a user beyond their part.
func (s *repeats) other(r Record) *refusal {
	like, ok := s.others[r.UserID]
	if !ok {
		like = &refusal{user: r.UserID, name: r.User}
		s.others[r.UserID] = like
	}
	return like
}

// counts reports whether what a waits for is counted still: others may have
// taken its place meanwhile.
func (s *repeats) counts(a *asked) bool {
	return a.like != nil && (s.refused[a.what] == a.like || s.others[a.user] == a.like)
}

// again counts one more.
func (s *repeats) again(like *refusal, r Record) {
	_, now := s.clock()
	if like.count == 0 {
		like.since, like.counted = r.Time, now
	}
	like.count++
	like.last = now
}

// wrote follows what has been written of requests that are not decided.
func (s *repeats) wrote(r Record, bytes int) {
	a := s.asked[r.Request]
	if a == nil {
		return
	}
	a.bytes += bytes
	switch {
	case r.Type == Opened || r.Type == Evaluating || r.Type == Monitored:
		return
	case r.Type.refuses():
		s.allowed.Spend(a.user, a.bytes)
		s.remember(a, r)
	}
	delete(s.asked, r.Request)
}

// remember keeps what was refused, in place of what was refused to the same user
// longest ago.
func (s *repeats) remember(a *asked, r Record) {
	own := 0
	var oldest *refusal
	var at [sha256.Size]byte
	for what, like := range s.refused {
		if like.user != a.user {
			continue
		}
		own++
		if oldest == nil || like.last < oldest.last {
			oldest, at = like, what
		}
	}
	before, known := s.refused[a.what]
	switch {
	case known && before.count > 0, !known && own >= refusalOwn && oldest.count > 0:
		return // until it has been written how many there were
	case !known && own >= refusalOwn:
		delete(s.refused, at)
	case !known && len(s.refused) >= refusalAll:
		return
	}
	_, now := s.clock()
	s.refused[a.what] = &refusal{user: a.user, name: a.name, request: r.Request, outcome: outcome(r), last: now}
}

// release gives up what waits of a request.
func (s *repeats) release(id core.RequestID) []Record {
	a := s.asked[id]
	if a == nil {
		return nil
	}
	delete(s.asked, id)
	return a.wait
}

// count writes how often what was refused was refused again, and forgets what
// has not been for some time. all writes what has been counted by now.
func (j *Journal) count(all bool) error {
	s := j.repeats
	_, now := s.clock()
	write := func(like *refusal) error {
		if like.count == 0 || !all && now-like.counted < countEvery {
			return nil
		}
		err := j.append(Record{Type: Repeated, Request: like.request, UserID: like.user, User: like.name, Count: like.count, Since: like.since})
		if err == nil {
			like.count = 0
		}
		return err
	}
	for _, like := range slices.AppendSeq(slices.Collect(maps.Values(s.refused)), maps.Values(s.others)) {
		if err := write(like); err != nil {
			return err
		}
	}
	maps.DeleteFunc(s.refused, func(_ [sha256.Size]byte, like *refusal) bool { return like.count == 0 && now-like.last > forgetAfter })
	maps.DeleteFunc(s.others, func(_ core.UserID, like *refusal) bool { return like.count == 0 && now-like.last > forgetAfter })
	return nil
}

// question is what a request asks, whichever request it is: who, for whom, what
// and where.
func question(r Record) [sha256.Size]byte {
	return digestOf(struct {
		User, Target core.UserID
		Program      *core.Executable
		Argv         []string
		ArgvBytes    map[int][]byte
		Directory    string
	}{r.UserID, r.TargetID, r.Program, r.Argv, r.ArgvBytes, r.Directory})
}

// outcome is what became of it.
func outcome(r Record) [sha256.Size]byte {
	return digestOf(struct {
		Type     Type
		By       string
		Cause    string
		Message  string
		Policies []core.PolicyRef
	}{r.Type, r.By, r.Cause, r.Message, r.Policies})
}

// digestOf tells what these say apart. A Record has ten times as many fields, each of
// which takes its time.
func digestOf(what any) [sha256.Size]byte {
	data, err := json.Marshal(what)
	if err != nil { // it could not be written either
		return [sha256.Size]byte{}
	}
	return sha256.Sum256(data)
}
