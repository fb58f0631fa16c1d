package approval

import (
	"slices"
	"time"

	"kpm/core"
)

// Bounds of texts, in bytes.
const (
	maxComment = 1000
	maxReason  = 4000 // of at most 1,000 characters
)

// Kind is what sort of thing somebody wants.
type Kind string

// FileAccess is access to a file; the kind of everything else is empty.
const FileAccess Kind = "FileAccess"

// Want is what somebody wants to run, or the file that they want to open, as it was
// sealed, and whom that takes.
type Want struct {
	Kind   Kind        `json:"kind,omitempty"`
	User   core.UserID `json:"user"`
	Name   string      `json:"name"`
	Login  core.UserID `json:"login,omitempty"` // whose login they come from
	Target core.UserID `json:"target"`
	// TargetName and the rest are what approvers see. Argv are bytes.
	TargetName string              `json:"targetName"`
	Path       string              `json:"path"`
	Requested  string              `json:"requested"`
	Argv       [][]byte            `json:"argv"`
	Dir        string              `json:"dir"`
	Seal       string              `json:"seal"`
	Session    core.SessionID      `json:"session,omitempty"`
	Rules      []core.ApprovalRule `json:"rules"`
	// Length is for how long access to a file is wanted; 0 if that was not said.
	Length time.Duration `json:"length,omitempty"`
}

// MaxCommand bounds the command line that approvers are asked about, in bytes: they
// have to read it.
const MaxCommand = 8 << 10

// Bytes is how long the command line is, with the names in it.
func (w *Want) Bytes() int {
	n := len(w.Path) + len(w.Requested) + len(w.Dir)
	for _, arg := range w.Argv {
		n += len(arg) + 1
	}
	return n
}

// same reports whether w is the request that other was. The seal covers user,
// target, program, directory and arguments; each is compared for itself as well,
// so that nothing hangs on one digest. Rules are compared too: an approval is for
// the policies that asked for it, whether or not their schedules are open.
func (w *Want) same(other *Want) bool {
	return w.Kind == other.Kind && w.User == other.User && w.Target == other.Target && w.Seal == other.Seal && w.Path == other.Path &&
		slices.EqualFunc(w.Argv, other.Argv, func(a, b []byte) bool { return string(a) == string(b) }) &&
		slices.EqualFunc(w.Rules, other.Rules, sameRule)
}

func sameRule(a, b core.ApprovalRule) bool {
	return a.Policy == b.Policy && a.Number == b.Number && slices.Equal(a.Users, b.Users) && slices.Equal(a.Groups, b.Groups) &&
		slices.Equal(a.EscalatedUsers, b.EscalatedUsers) && slices.Equal(a.EscalatedGroups, b.EscalatedGroups)
}

// Decision is one thing that one person, or for Schedule nobody, has said about an
// approval.
type Decision struct {
	By      core.UserID `json:"by"`
	Name    string      `json:"name"`
	Cause   Cause       `json:"cause"`
	Comment string      `json:"comment,omitempty"`
	At      time.Time   `json:"at"`
	// Rules are the places of the rules that it counts for.
	Rules []int `json:"rules,omitempty"`
}

// Record is one approval.
type Record struct {
	ID            string    `json:"id"` // the short code that people see
	State         State     `json:"state"`
	Want          Want      `json:"want"`
	Justification string    `json:"justification"`
	Created       time.Time `json:"created"`
	Modified      time.Time `json:"modified"`
	// Usable is for how long it may be used once it is approved.
	Usable time.Duration `json:"usable"`
	// Until and Escalates are when it expires and when it is escalated, zero if it
	// is not. Longest is when it waits no longer, extended or not, and Last when it
	// ends in any case.
	Until     Deadline   `json:"until"`
	Escalates *Deadline  `json:"escalates,omitempty"`
	Longest   Deadline   `json:"longest"`
	Last      Deadline   `json:"last"`
	Decisions []Decision `json:"decisions,omitempty"`
	// Request is the one that used it up.
	Request core.RequestID `json:"request,omitempty"`
}

// met reports whether every rule has as many approvers as it needs.
func (r *Record) met() bool {
	for i, rule := range r.Want.Rules {
		agreed := map[core.UserID]bool{}
		for _, d := range r.Decisions {
			if (d.Cause == Agree || d.Cause == Approve) && slices.Contains(d.Rules, i) {
				agreed[d.By] = true
			}
		}
		if len(agreed) < max(1, rule.Number) {
			return false
		}
	}
	return len(r.Want.Rules) > 0
}

// clone returns a copy that shares nothing which is changed.
func (r *Record) clone() Record {
	c := *r
	c.Decisions = slices.Clone(r.Decisions)
	return c
}
