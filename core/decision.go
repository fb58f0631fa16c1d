package core

// Outcome is what policy answers to a question.
type Outcome string

// The three outcomes (docs/architecture-published.md, "Event-Driven Model").
const (
	Allow   Outcome = "ALLOW"
	Deny    Outcome = "DENY"
	Pending Outcome = "PENDING"
)

// Control is something policy asks for, or does, before a request is allowed.
type Control string

// The controls of the published policy model. Only MFA, JUSTIFY and APPROVAL
// can stand between PENDING and a launch; NOTIFY, AUDIT and RECORD never grant
// (decision 29).
const (
	ControlAllow    Control = "ALLOW"
	ControlDeny     Control = "DENY"
	ControlMFA      Control = "MFA"
	ControlJustify  Control = "JUSTIFY"
	ControlApproval Control = "APPROVAL"
	ControlNotify   Control = "NOTIFY"
	ControlAudit    Control = "AUDIT"
	ControlRecord   Control = "RECORD"
)

// PolicyRef names a policy in an answer, a refusal and the journal.
type PolicyRef struct {
	ID   string `json:"PolicyId"`
	Name string `json:"PolicyName"`
}

// Decision is KeeperPolicy's answer.
type Decision struct {
	Outcome Outcome
	// Controls are the requirements of a Pending outcome, sorted, each once.
	Controls []Control
	// Policies are those that produced the outcome, in id order.
	Policies []PolicyRef
	// Uncovered is true of a DENY that no policy has caused: none grants it, none denies
	// it, and none asks for anything.
	Uncovered bool
	// Message is what the person may be told; it never explains why another
	// policy did not match (CVE-2025-46718).
	Message string
	// Paths are the arguments that an ALLOW or PENDING has been decided on as
	// files.
	Paths []PathArgument
	// Demands say which policy asks for which controls of a Pending outcome, in id
	// order; nil if no policy lets that be remembered.
	Demands []Demand
	// Account is set if the command runs as an account that is made for it.
	Account *TransientTerms
	// Session is SessionAny or SessionDesktop if the command runs as whoever asks, in
	// a login session of theirs; empty if it does not.
	Session string
	// Approvals say for each policy that requires APPROVAL whom that takes.
	Approvals []ApprovalRule
}

// MaxPathArguments is how many arguments of one command can be decided on as
// files.
const MaxPathArguments = 8

// PathArgument is an argument that was decided on as the file that it names: the
// command is given that file.
type PathArgument struct {
	// Argument is its place in argv; argv[0] is the program. The path begins at
	// Offset, in bytes.
	Argument int `json:"Argument"`
	Offset   int `json:"Offset,omitempty"`
	// Path is where it leads, with every link resolved.
	Path string `json:"Path"`
}

// ChildTerms are what an elevated command may start, and by whose right: enough to
// decide about its children when nothing else is known of it any more.
type ChildTerms struct {
	// Rule is a rule for child processes as policies write it, "inherit" included.
	Rule     string `json:"rule"`
	UserID   UserID `json:"userId"`
	User     string `json:"user"`
	TargetID UserID `json:"targetId"`
	Target   string `json:"target"`
}
