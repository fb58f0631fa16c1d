package core

// ApprovalStatus is the published state of an approval.
type ApprovalStatus string

// The five published statuses.
const (
	ApprovalPending   ApprovalStatus = "pending"
	ApprovalApproved  ApprovalStatus = "approved"
	ApprovalDenied    ApprovalStatus = "denied"
	ApprovalExpired   ApprovalStatus = "expired"
	ApprovalEscalated ApprovalStatus = "escalated"
)

// Bounds of ApprovalRule.
const (
	// MaxApprovers is how many entries each of its lists has at most.
	MaxApprovers = 64
	// MaxApprovalRules is how many policies one decision may need approved.
	MaxApprovalRules = 8
)

// ApprovalRule says whom one policy names to approve what it meets: users by name
// or "#id", groups by name or "#gid". Administrators may always. It is a value of
// the policy; who somebody is, is found out when they decide.
type ApprovalRule struct {
	Policy PolicyRef `json:"Policy"`
	Users  []string  `json:"Users,omitempty"`
	Groups []string  `json:"Groups,omitempty"`
	// EscalatedUsers and EscalatedGroups may as well once nobody has decided in
	// time.
	EscalatedUsers  []string `json:"EscalatedUsers,omitempty"`
	EscalatedGroups []string `json:"EscalatedGroups,omitempty"`
	// Number of approvers who have to agree, at least 1.
	Number int `json:"NumberRequiredApprovers"`
	// Automatic is set while a schedule of the policy stands for all approvers.
	Automatic *AutomaticApproval `json:"Automatic,omitempty"`
}

// AutomaticApproval is the schedule of a policy that approves instead of people, while
// it is open.
type AutomaticApproval struct {
	Schedule string `json:"Schedule"` // in words
	// Until is when it closes, in milliseconds since 1970.
	Until int64 `json:"Until"`
}

// Escalates reports whether there is anybody to escalate to.
func (r ApprovalRule) Escalates() bool { return len(r.EscalatedUsers)+len(r.EscalatedGroups) > 0 }
