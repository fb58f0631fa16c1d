package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"time"

	"kpm/core"
)

// Bounds of one page that Search returns.
const (
	maxPage      = 4 << 20  // bytes of lines, unless the first alone is longer
	maxLooked    = 64 << 20 // bytes of the journal that are read for it
	MaxFound     = 10_000   // records
	defaultFound = 1000
	breatheEvery = 256 // records, after which others may go on
)

// ErrQuery is wrapped when a Query asks for what cannot be.
var ErrQuery = core.NewError(core.Invalid, "this is no question to the journal")

// Outcomes are the types of records that say what became of a request.
func Outcomes() []Type { return []Type{Launched, Ended, Denied, Expired, Failed, Repeated} }

// Query chooses records. Empty fields choose all.
type Query struct {
	Request core.RequestID
	// User is a name or an id: of whoever has made the request that a record is
	// about.
	User string
	// Outcome is one of Outcomes.
	Outcome Type
	// Since and Until bound the time of a record; Until itself is too late.
	Since, Until time.Time
	// After is the seq that all found are beyond: Next of the page before.
	After uint64
	// Limit is how many at most, 1000 if 0, at most MaxFound.
	Limit int
}

// Found is a page of records, in their order.
type Found struct {
	Records []Record
	// Next is what After takes for the page after this one; 0 if this one comes to
	// the journal's end. A page may be empty, and not the last.
	Next uint64
}

// Search returns the records in dir that q chooses. One that is about a request
// has the user, target and program of its first, so that it can be read alone. It
// does not verify the chain; a line that is no record is an error.
func Search(ctx context.Context, dir string, q Query) (Found, error) {
	if q.Limit == 0 {
		q.Limit = defaultFound
	}
	if q.Limit < 0 || q.Limit > MaxFound {
		return Found{}, fmt.Errorf("journal: search: limit is %d, expected 1 to %d: %w", q.Limit, MaxFound, ErrQuery)
	}
	if q.Outcome != "" && !slices.Contains(Outcomes(), q.Outcome) {
		return Found{}, fmt.Errorf("journal: search: outcome is %q, expected one of %q: %w", q.Outcome, Outcomes(), ErrQuery)
	}
	s := searcher{ctx: ctx, dir: dir, q: q, asked: map[core.RequestID]Record{}}
	found, err := s.search()
	if err != nil {
		return Found{}, fmt.Errorf("journal: search: %w", err)
	}
	return found, nil
}

// searcher is one Search under way.
type searcher struct {
	ctx    context.Context
	dir    string
	q      Query
	found  Found
	asked  map[core.RequestID]Record // who and what, of requests that go on
	ended  []core.RequestID          // of these, those that may not
	bytes  int                       // found
	looked int64
	seen   int
	before []uint64 // segments that the page is not about
}

// errPageFull ends a page.
var errPageFull = errors.New("the page is full")

func (s *searcher) search() (Found, error) {
	list, err := segments(s.dir)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("no journal in %s: %w", s.dir, fs.ErrNotExist)
	}
	if err != nil {
		return Found{}, err
	}
	from, err := s.begin(list)
	if err != nil {
		return Found{}, err
	}
	s.before = list[:from]
	for i, seq := range list[from:] {
		err := s.read(seq, func(line []byte, r Record) error {
			if i == 0 && r.Type == Segment {
				if err := s.recall(r.Open...); err != nil {
					return err
				}
			}
			return s.visit(line, r)
		})
		switch {
		case errors.Is(err, errPageFull):
			return s.found, nil
		case errors.Is(err, fs.ErrNotExist): // removed meanwhile
		case err != nil:
			return Found{}, err
		}
	}
	s.found.Next = 0
	return s.found, s.ctx.Err()
}

// begin returns the first of list that may hold what is asked for: not one that
// ends before After, or before Since.
func (s *searcher) begin(list []uint64) (int, error) {
	from := 0
	for from+1 < len(list) && list[from+1] <= s.q.After+1 {
		from++
	}
	for ; !s.q.Since.IsZero() && from+1 < len(list); from++ {
		var first Record
		err := s.read(list[from+1], func(_ []byte, r Record) error {
			first = r
			return errPageFull
		})
		if err != nil && !errors.Is(err, errPageFull) && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
		if !first.Time.Before(s.q.Since) {
			break
		}
	}
	s.looked = 0
	return from, nil
}

// recall finds out who has made the requests that a segment begins with, from the
// ones before it: there are few, and mostly none.
func (s *searcher) recall(open ...Unfinished) error {
	missing := map[core.RequestID]bool{}
	for _, o := range open {
		missing[o.Request] = true
	}
	for _, seq := range slices.Backward(s.before) {
		if len(missing) == 0 {
			return nil
		}
		err := s.read(seq, func(_ []byte, r Record) error {
			if r.Type == Opened && missing[r.Request] {
				delete(missing, r.Request)
				s.note(r)
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	s.looked = 0
	return nil
}

// note remembers who has asked for what, without the arguments, which may be long.
func (s *searcher) note(r Record) {
	s.asked[r.Request] = Record{UserID: r.UserID, User: r.User, TargetID: r.TargetID, Target: r.Target, Program: r.Program}
}

func (s *searcher) visit(line []byte, r Record) error {
	if s.looked += int64(len(line)); s.looked > maxLooked && s.found.Next > s.q.After {
		return errPageFull
	}
	if s.seen++; s.seen%breatheEvery == 0 {
		runtime.Gosched() // elevations come first, and have one processor
	}
	if r.Type == Opened {
		s.note(r)
	}
	if _, known := s.asked[r.Request]; r.Type == Left && !known { // no segment names it once it has ended
		if err := s.recall(Unfinished{Request: r.Request}); err != nil {
			return err
		}
	}
	if asked, known := s.asked[r.Request]; known {
		r.UserID, r.User, r.TargetID, r.Target, r.Program = asked.UserID, asked.User, asked.TargetID, asked.Target, asked.Program
	}
	if s.q.chooses(r) {
		size, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if len(s.found.Records) == s.q.Limit || s.bytes > 0 && s.bytes+len(size) > maxPage {
			return errPageFull
		}
		s.bytes += len(size)
		s.found.Records = append(s.found.Records, r)
	}
	s.found.Next = max(r.Seq, s.q.After)
	s.forget(r)
	return nil
}

// mayLeave is how many ended commands are remembered: a record of what one has
// left running comes soon, and not always.
const mayLeave = 64

// forget lets go of requests about which no more is to come.
func (s *searcher) forget(r Record) {
	switch r.Type {
	case Denied, Expired, Failed, Gone:
		delete(s.asked, r.Request)
	case Left:
		s.ended = slices.DeleteFunc(s.ended, func(id core.RequestID) bool { return id == r.Request })
	case Ended:
		if s.ended = append(s.ended, r.Request); len(s.ended) > mayLeave {
			delete(s.asked, s.ended[0])
			s.ended = s.ended[1:]
		}
	}
}

// chooses reports whether q asks for r.
func (q *Query) chooses(r Record) bool {
	return r.Seq > q.After &&
		(q.Request == "" || r.Request == q.Request) &&
		(q.User == "" || r.User == q.User || string(r.UserID) == q.User) &&
		(q.Outcome == "" || r.Type == q.Outcome) &&
		(q.Since.IsZero() || !r.Time.Before(q.Since)) &&
		(q.Until.IsZero() || r.Time.Before(q.Until))
}

// read hands over the records of a segment.
func (s *searcher) read(segment uint64, visit func(line []byte, r Record) error) error {
	t := tailer{dir: s.dir}
	return t.read(s.ctx, segment, 0, visit)
}
