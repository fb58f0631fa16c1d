package policy

import (
	"time"

	"kpm/core"
	"kpm/core/strictjson"
)

// Limits of one policy file. They bound time and memory before anything in the
// file is believed.
const (
	MaxFile     = 16 << 20 // bytes
	maxPolicies = 20_000
	maxEntries  = 20_000 // of one array
	maxMembers  = 256    // of one object
	maxText     = 4096   // bytes of one string
	maxName     = 256    // bytes of an id or a name, which answers carry
)

// Status says whether a policy acts.
type Status string

// The statuses (decision 8). Off and the two kinds of Monitor never change an
// outcome.
const (
	Off              Status = "off"
	Monitor          Status = "monitor"
	MonitorAndNotify Status = "monitor_and_notify"
	Enforce          Status = "enforce"
)

// Policy is one policy as it was written, checked for shape. Compile gives it
// meaning.
type Policy struct {
	ID, Name string
	// Type is the canonical spelling; empty if it is none that we know.
	Type   string
	Status Status
	// Controls are the known ones, in the file's order.
	Controls []core.Control
	// Users, Machines and Applications are the filters' entries, unresolved.
	Users, Machines, Applications []string
	// Targets are those of TargetUserCheck; without any, a grant means the
	// administrator, and the rest every target.
	Targets []string
	Dates   []DateRange
	Times   []TimeRange
	// Days has bit n set for day n, Sunday being 0; zero means unset.
	Days uint8
	// RiskLevel, from 0 to 100, is the highest risk that a grant is for; nil is
	// any.
	RiskLevel *uint8
	// Notification is what a person is told whom a policy that is MonitorAndNotify
	// would have concerned.
	Notification string
	// Acknowledge has them say that they have read it.
	Acknowledge bool
	// FilterJob is the id of the job that decides whether the policy applies; empty
	// for none.
	FilterJob string
	// RequestedBy is who may be behind a request; none is anybody.
	RequestedBy requesters
	// Grant is under what terms what the policy asks for may be remembered; nil if
	// it may not.
	Grant *core.GrantTerms
	// Transient is set if commands run as an account that is made for each.
	Transient *core.TransientTerms
	// Session is set if commands run as whoever asks, in a login session of theirs.
	Session string
	// Children is what programs may be started by one that the policy has allowed.
	Children ChildRule
	// Certificates are the entries of CertificationCheck.
	Certificates []string
	// Approval is whom APPROVAL takes, without the policy's name; nil if the policy
	// does not ask for it.
	Approval *core.ApprovalRule
	// Automatic is when APPROVAL is given without anybody; nil is never.
	Automatic *window
	// Own is what the policy's kind has read for itself; nil means nothing.
	Own any
	// Doubtful is true when something in the file cannot be read with
	// certainty: the policy grants nothing (decision 29).
	Doubtful bool

	File   string
	Index  int              // place in the file, from 0
	source strictjson.Value // for findings; not Given in a policy that no file holds
}

// DateRange is a span of days or instants. Days are whole and the last one
// counts; instants are in milliseconds since 1970 and the last one counts. An open
// end is one that no clock reaches.
type DateRange struct {
	FirstDay, LastDay civilDay
	FromMS, ToMS      int64
	Instants          bool
}

type civilDay struct {
	year  int
	month time.Month
	day   int
}

// TimeRange is a span of seconds after midnight on the machine's wall clock.
// From counts, To does not; To before From goes over midnight.
type TimeRange struct{ From, To int }

// Question is what a decision is asked about. Nothing in it is taken from the
// user's environment.
type Question struct {
	// Kind is one of the policy types that answer the question: EventType on
	// the bus.
	Kind     string
	User     core.UserID
	UserName string
	// OtherNames are further names of that id; they restrict and never grant.
	OtherNames []string
	// Groups and GroupNames are the groups that the user surely is in, by id and
	// by name at this moment; the doubtful ones restrict and never grant. If
	// GroupsUnknown, so may any other. MissingGroups are names that policies use
	// (Set.GroupNames) and this machine does not have at this moment.
	Groups, GroupNames                 []string
	DoubtfulGroups, DoubtfulGroupNames []string
	GroupsUnknown                      bool
	MissingGroups                      []string
	Administrator                      bool
	// Target is whom the program would run as. TargetAdministrator says that
	// this is the administrator: root, or an elevated token.
	Target              core.UserID
	TargetName          string
	TargetAdministrator bool
	// Machine is the machine's name at this moment, short or with its domain.
	Machine string
	// Path is the program with every link resolved. Requested is what the
	// caller named: an absolute path or a bare name.
	Path, Requested string
	// Links are links that lead to Path now, among them all that the Set's
	// policies name (Set.Paths). They restrict and never grant.
	Links     []string
	Hash      string // SHA-256, lower-case hex
	Arguments []string
	// Directory is the caller's; arguments that are relative paths begin there.
	Directory string
	// Signers are those of the program's trusted signatures. SignersKnown is
	// false if the signatures were not read: then no filter of signers can be
	// met.
	Signers      []core.Signer
	SignersKnown bool
	// Risk is that of what is asked about, from 0 to 100; nil if nobody has told it.
	Risk *uint8
	// Time is read on the wall clock of its location, the machine's zone.
	Time time.Time
	// RequestedBy is who is behind the request, if that is known.
	RequestedBy core.Requester
	// FilterAnswers are those of the filter jobs that were run for this question
	// (Set.FilterJobs), by id. One that is missing has not answered.
	FilterAnswers map[string]FilterAnswer
	// Own is what a kind asks about beyond this; nil for elevations.
	Own any
}

// FilterAnswer is what a filter job has said.
type FilterAnswer uint8

// The answers.
const (
	Unanswered FilterAnswer = iota
	FilterPassed
	FilterFailed
)

// strength is how much of a policy a question meets.
type strength uint8

const (
	nothing   strength = iota
	restricts          // DENY and controls count
	full               // it may grant as well
)

// Written returns the policy as it stands in its file, unknown keys included; nil
// if it is of no file.
func (p *Policy) Written() []byte {
	if !p.source.Given() {
		return nil
	}
	return p.source.Raw()
}
