package journal

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"kpm/core"
)

// Type says what a record is about.
type Type string

// Record types. Those of a request are named in docs/wire.md, "States of a
// request"; the others belong to the journal itself.
const (
	Segment Type = "segment" // begins a segment: what is open, carried over
	Start   Type = "start"   // the service opened the journal
	Stop    Type = "stop"    // the service closed it in good order
	// Checkpoint says that a key of this machine has signed what came before.
	Checkpoint Type = "checkpoint"
	// Removed says which segments Config.KeepSegments and Config.Keep have
	// removed: what is missing without it was removed by somebody else.
	Removed Type = "removed"
	// Faulty says that the running service found its journal changed.
	Faulty Type = "fault"
	// Clock says that the wall clock was set, or the machine slept.
	Clock Type = "clock"
	// Repeated counts refusals that are like one that was recorded.
	Repeated Type = "repeated"
	// Disputed says that the operating system and this service differ about
	// the signature of a file: neither is believed.
	Disputed Type = "disputed"
	// Unapproved says that a file of the agent's is other than what was
	// accepted (Last Known Good).
	Unapproved Type = "unapproved"
	// Factor says that a second factor was enrolled, replaced or removed, that a
	// code was right or wrong, or that somebody was locked out (Cause).
	Factor Type = "factor"
	// Approval says what has become of an approval, and who has caused it
	// (docs/approvals.md).
	Approval Type = "approval"

	// Execution says what was decided about a program right before it ran, or that it
	// ran without a decision (Cause, Outcome; docs/interception.md).
	Execution Type = "execution"

	// Monitored says what policies that only watch would have done to a request,
	// and Acknowledged that the person has read what they were told of that.
	Monitored    Type = "monitored"
	Acknowledged Type = "acknowledged"
	// Granted says that what policy asked for need not be asked again for a time, or
	// for longer; GrantEnded that this is over.
	Granted    Type = "granted"
	GrantEnded Type = "grant-ended"
	// FileAccess says what was changed in a file's access control list, or could not
	// be, or what a policy that only watches would change (Cause).
	FileAccess Type = "file-access"

	// Rights says that somebody is taken out of a group of administrators, or put in
	// for a time, or why not (Cause); RightsBack that this is over.
	Rights     Type = "rights"
	RightsBack Type = "rights-back"

	// AccountMade says that an account was made for the command of a request, and
	// AccountRemoved that it is not there any more.
	AccountMade    Type = "account-made"
	AccountRemoved Type = "account-removed"

	// InSession says that the command of a request runs as whoever asked, in a login
	// session of theirs.
	InSession Type = "in-session"

	Opened     Type = "opened"
	Evaluating Type = "evaluating"
	Allowed    Type = "allowed"
	Pending    Type = "pending"
	Control    Type = "control"
	Launching  Type = "launching"
	Launched   Type = "launched"
	Denied     Type = "denied"
	Expired    Type = "expired"
	Failed     Type = "failed"
	Ended      Type = "ended"
	Left       Type = "left" // processes of an ended command go on
	Gone       Type = "gone" // the last of them is gone
)

// happened reports whether a record says what is past, so that it will be true
// whenever it is written. Any other one permits something that does not happen
// without it.
func (t Type) happened() bool {
	switch t {
	case Denied, Expired, Failed, Ended, Left, Gone, Disputed, Unapproved, Approval, GrantEnded, RightsBack, AccountRemoved, Execution, FileAccess:
		return true
	}
	return false
}

// Record is one line. Append sets Seq, Time and Prev and masks Argv; the
// caller sets Type and the fields that belong to it.
type Record struct {
	Seq  uint64    `json:"seq"`
	Time time.Time `json:"time"`
	// Written is when a record was written that could not be, or was not, at
	// its Time.
	Written time.Time      `json:"written,omitzero"`
	Type    Type           `json:"type"`
	Request core.RequestID `json:"request,omitempty"`

	// opened: who, what and where.
	UserID   core.UserID      `json:"userId,omitempty"`
	User     string           `json:"user,omitempty"`
	TargetID core.UserID      `json:"targetId,omitempty"`
	Target   string           `json:"target,omitempty"`
	Program  *core.Executable `json:"program,omitempty"`
	Argv     []string         `json:"argv,omitempty"`
	// ArgvBytes are the arguments that are not UTF-8, by their place; Argv shows
	// them escaped.
	ArgvBytes map[int][]byte `json:"argvBytes,omitempty"`
	// ArgvWhole is set when Argv is only the beginning.
	ArgvWhole *ArgvWhole `json:"argvWhole,omitempty"`
	Directory string     `json:"directory,omitempty"`
	Seal      string     `json:"seal,omitempty"`
	// Origin is who is behind the request, if that is known.
	Origin *core.Origin `json:"origin,omitempty"`
	// InsteadOf is the request that a redirect rule has this one launched for.
	InsteadOf core.RequestID `json:"insteadOf,omitempty"`
	// Caller is how a restarted service knows the process that has asked.
	Caller *Caller `json:"caller,omitempty"`

	// Transitions: who caused it, why, and what the caller is told.
	By       string           `json:"by,omitempty"`
	Cause    string           `json:"cause,omitempty"`
	Message  string           `json:"message,omitempty"`
	Controls []core.Control   `json:"controls,omitempty"`
	Policies []core.PolicyRef `json:"policies,omitempty"`
	// Paths are the arguments that were decided on as files.
	Paths []core.PathArgument `json:"paths,omitempty"`

	// launched: what the command may start, if somebody decides about that.
	Children *core.ChildTerms `json:"children,omitempty"`

	// monitored: the outcome that there would have been, by Policies and with
	// Controls, and filter jobs that were not run and are taken to pass.
	Outcome    core.Outcome `json:"outcome,omitempty"`
	FilterJobs []string     `json:"filterJobs,omitempty"`
	// pending and allowed: the grants that stand for controls. granted and
	// grant-ended: the one that it is about.
	Grants []string `json:"grants,omitempty"`
	Grant  *Grant   `json:"grant,omitempty"`

	// file-access, and granted and grant-ended of access to a file: which one.
	// file-access: whose entries its list has.
	File  string        `json:"file,omitempty"`
	Users []core.UserID `json:"users,omitempty"`
	// rights and rights-back: in which group.
	Group string `json:"group,omitempty"`

	// launched and left; ended, where no exit means that the service stopped
	// and the command went on; failed, after a restart.
	Child *Child           `json:"child,omitempty"`
	Exit  *core.ExitStatus `json:"exit,omitempty"`
	// NotRun is set where a command was launched and it is known that nothing has run:
	// the service was killed before it let it go.
	NotRun bool  `json:"notRun,omitempty"`
	Millis int64 `json:"millis,omitempty"` // from launched to ended
	Killed int   `json:"killed,omitempty"` // processes ended

	// segment.
	Open []Unfinished `json:"open,omitempty"`

	// start: what was wrong with the journal when it was opened; fault: later.
	Cut   int64  `json:"cut,omitempty"` // bytes of an unfinished tail, removed
	Fault string `json:"fault,omitempty"`

	// segment, start, fault and removed: the first record of the oldest segment
	// kept.
	First uint64 `json:"first,omitempty"`
	// removed: how many segments; repeated: how many refusals, since when.
	Count int       `json:"count,omitempty"`
	Since time.Time `json:"since,omitzero"`
	// clock: by how many milliseconds the clock was set forward, or, negative,
	// back; start: by how many it is before the last record.
	Shift int64 `json:"shift,omitempty"`

	// checkpoint.
	Signed *Signed `json:"signed,omitempty"`

	// Prev is the SHA-256 (hex) of the line before this one.
	Prev string `json:"prev"`
}

// at is when the record was written.
func (r *Record) at() time.Time {
	if !r.Written.IsZero() {
		return r.Written
	}
	return r.Time
}

// oldest is the first seq of the oldest segment that must be there after r, if
// it was first before r; 0 if no record has said.
func (r *Record) oldest(first uint64) uint64 {
	if r.First > 0 {
		return r.First
	}
	return first
}

// Grant is what the journal says of a grant.
type Grant struct {
	ID string `json:"id"`
	// Everything is true if it is for all that the policy is about, and not for
	// the command of its request alone.
	Everything bool `json:"everything,omitempty"`
	// Seconds is how long it was given for, Uses how many commands it serves; 0 is
	// any number.
	Seconds  int64 `json:"seconds"`
	Uses     int   `json:"uses,omitempty"`
	Renewals int   `json:"renewals,omitempty"` // so far
}

// Child is a process that was launched, named so that a restarted service
// finds it and no other.
type Child struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"`
	Group string `json:"group,omitempty"`
}

// ID returns the child as the ports name it.
func (c Child) ID() core.ProcessID { return core.ProcessID{PID: c.PID, Start: c.Start} }

// Caller is who has made a request, so that the same process is known again after
// the service was restarted. Nothing in it lets another one pass for it.
type Caller struct {
	// Key is the first half of the SHA-256 (hex) of the key that the process has
	// sent: whoever reads the journal cannot use it.
	Key string `json:"key"`
	// PID and Start are the process that has asked, User is its user.
	PID   int         `json:"pid"`
	Start uint64      `json:"start"`
	User  core.UserID `json:"user"`
	// Payer is whose part of every limit the request uses; empty for User's own.
	Payer core.UserID `json:"payer,omitempty"`
}

// ID returns the process as the ports name it.
func (c Caller) ID() core.ProcessID { return core.ProcessID{PID: c.PID, Start: c.Start} }

// Process returns c without what may change while it lives: whose part of the
// limits it uses.
func (c Caller) Process() Caller {
	c.Payer = ""
	return c
}

// Unfinished is something that a restarted service must deal with: a request
// without a final record, the processes that one left, or, if Last is Ended or
// Failed, a command whose caller may not have heard how it ended.
type Unfinished struct {
	Request core.RequestID `json:"request"`
	Since   uint64         `json:"since"` // seq of its opened, or left, record
	Last    Type           `json:"last"`
	Child   *Child         `json:"child,omitempty"`
	Caller  *Caller        `json:"caller,omitempty"`
	// Exit is how the command ended, if Last is Ended or Left and that is known.
	Exit *core.ExitStatus `json:"exit,omitempty"`
	// NotRun is set if Last is Failed and it is known that nothing has run.
	NotRun bool `json:"notRun,omitempty"`
	// Children are what the command may start, if somebody decides about that.
	Children *core.ChildTerms `json:"children,omitempty"`
}

// maxUnheard is how many ended commands are remembered, the last ones: their
// callers may not have heard before the service was killed. A service answers
// within moments, and no user's commands end faster than a few at a time.
const maxUnheard = 64

// openSet follows the records and knows what is open after each.
type openSet map[core.RequestID]Unfinished

func (s openSet) apply(r Record) {
	switch r.Type {
	case Segment:
		clear(s)
		for _, o := range r.Open {
			s[o.Request] = o
		}
	case Opened:
		s[r.Request] = Unfinished{Request: r.Request, Since: r.Seq, Last: Opened, Caller: r.Caller}
	case Left:
		ended := s[r.Request]
		s[r.Request] = Unfinished{Request: r.Request, Since: r.Seq, Last: Left, Child: r.Child, Caller: ended.Caller, Exit: ended.Exit, Children: ended.Children}
	case Ended, Failed:
		s.end(r)
	case Denied, Expired, Gone:
		delete(s, r.Request)
	case Evaluating, Allowed, Pending, Launching, Launched:
		s.update(r)
	}
}

func (s openSet) update(r Record) {
	o, ok := s[r.Request]
	if !ok {
		return
	}
	o.Last = r.Type
	if r.Child != nil {
		o.Child = r.Child
	}
	if r.Children != nil {
		o.Children = r.Children
	}
	s[r.Request] = o
}

// end forgets a request, unless its command has run, or was to, and its caller can come
// back for the answer.
func (s openSet) end(r Record) {
	o := s[r.Request]
	if o.Last != Launched || o.Caller == nil {
		delete(s, r.Request)
		return
	}
	o.Last, o.Since, o.Exit, o.NotRun = r.Type, r.Seq, r.Exit, r.NotRun
	s[r.Request] = o
	unheard, oldest := 0, o
	for _, other := range s {
		if other.ended() && other.Caller != nil {
			if unheard++; other.Since < oldest.Since {
				oldest = other
			}
		}
	}
	switch {
	case unheard <= maxUnheard:
	case oldest.Last == Left:
		oldest.Caller, oldest.Exit = nil, nil
		s[oldest.Request] = oldest
	default:
		delete(s, oldest.Request)
	}
}

// detach has the set keep nothing of what it was read from, which may be a thousand times
// as long.
func (s openSet) detach() {
	for _, u := range s.list() {
		delete(s, u.Request)
		u.Request, u.Last = core.RequestID(strings.Clone(string(u.Request))), Type(strings.Clone(string(u.Last)))
		if u.Child != nil {
			child := *u.Child
			child.Group = strings.Clone(child.Group)
			u.Child = &child
		}
		if u.Caller != nil {
			caller := *u.Caller
			caller.Key = strings.Clone(caller.Key)
			caller.User, caller.Payer = core.UserID(strings.Clone(string(caller.User))), core.UserID(strings.Clone(string(caller.Payer)))
			u.Caller = &caller
		}
		s[u.Request] = u
	}
}

// ended reports whether nothing but the caller, and what the command has left,
// is still to be dealt with.
func (u Unfinished) ended() bool { return u.Last == Ended || u.Last == Failed || u.Last == Left }

// list returns the set in order of opening.
func (s openSet) list() []Unfinished {
	list := make([]Unfinished, 0, len(s))
	for _, o := range s {
		list = append(list, o)
	}
	slices.SortFunc(list, func(a, b Unfinished) int { return cmp.Compare(a.Since, b.Since) })
	return list
}

const masked = "***"

// withoutMasked returns the bytes of the arguments that mask has left alone.
func withoutMasked(bytes map[int][]byte, argv, masked []string) map[int][]byte {
	kept := maps.Clone(bytes)
	maps.DeleteFunc(kept, func(i int, _ []byte) bool {
		return i < 0 || i >= len(argv) || argv[i] != masked[i]
	})
	return kept
}

// mask returns argv with the values of secret arguments replaced
// (docs/settings.md, "Journal:MaskArguments"): what follows "=", else the next
// argument.
func mask(argv []string, rules []*regexp.Regexp) []string {
	var out []string
	hide := func(i int, value string) {
		if out == nil {
			out = slices.Clone(argv)
		}
		out[i] = value
	}
	for i, arg := range argv {
		secret := slices.ContainsFunc(rules, func(r *regexp.Regexp) bool { return r.MatchString(arg) })
		name, _, assigned := strings.Cut(arg, "=")
		switch {
		case secret && assigned:
			hide(i, name+"="+masked)
		case secret && i+1 < len(argv):
			hide(i+1, masked)
		}
	}
	if out == nil {
		return argv
	}
	return out
}
