package wire

import (
	"strings"
	"unicode/utf8"

	"kpm/core"
)

// MaxSubject bounds argv, working directory and names of one request together,
// in bytes (decision 24a). Longer requests are refused, never truncated.
const MaxSubject = 128 << 10

// EventPrivilegeElevation is the EventType of a keepersudo question. One
// question carries the command line too (decision 30).
const EventPrivilegeElevation = "PrivilegeElevation"

// EventFileAccess is the EventType of the question whether somebody may open a file,
// which takes the place of the program (keepersudo --file-access).
const EventFileAccess = "FileAccess"

// EventFileRules is the EventType of the service's own question what policies about
// files keep people from. It is about nobody, and is answered DENY with FileRules.
const EventFileRules = "FileRules"

// EventFileChanges is the EventType of the service's own question what policies make of
// the agent's own files. It is about nobody, and is answered DENY with FileChanges.
const EventFileChanges = "FileChanges"

// FileChanges returns that question.
func FileChanges() PolicyRequest {
	return PolicyRequest{EventType: EventFileChanges, UserID: "0", FilePath: "/", Arguments: []string{"/"}}
}

// FileRules returns that question.
func FileRules() PolicyRequest {
	return PolicyRequest{EventType: EventFileRules, UserID: "0", FilePath: "/", Arguments: []string{"/"}}
}

// EventList is the EventType of the question what the user may run. It names no
// program, is answered DENY, and Listing has what was asked.
const EventList = "List"

// EventExecution is the EventType of the question whether a program may be executed
// by whoever does so already, without anybody having asked for an elevation. The
// service alone asks it; what no policy restricts is answered ALLOW.
const EventExecution = "Execution"

// EventLeastPrivilege is the EventType of the question whether somebody who is in a
// group of administrators is to stay there. It names no program, and Removal has
// what was asked.
const EventLeastPrivilege = "LeastPrivilege"

// EventProbe is the EventType of the question by which the service learns that
// KeeperPolicy decides. It is about nobody, and is answered DENY.
const EventProbe = "Probe"

// Probe returns that question.
func Probe() PolicyRequest {
	return PolicyRequest{EventType: EventProbe, UserID: "0", FilePath: "/", Arguments: []string{"/"}}
}

// Nothing is the digest of an answer with nothing in it.
const Nothing = "none"

// EventReload is the EventType of the service's own question that is answered, like
// a probe, once policies have been read again after it was asked. Fault then says
// what of them cannot be used.
const EventReload = "Reload"

// Reload returns that question.
func Reload() PolicyRequest {
	return PolicyRequest{EventType: EventReload, UserID: "0", FilePath: "/", Arguments: []string{"/"}}
}

// PolicyRequest is the question on topic KeeperPolicy.
type PolicyRequest struct {
	// RequestID and SealDigest are set by the service only. A question
	// without them is answered and never launched (decision 34).
	RequestID  core.RequestID `json:"RequestId,omitempty"`
	SealDigest string         `json:"SealDigest,omitempty"`
	EventType  string         `json:"EventType"`
	UserID     core.UserID    `json:"UserId"`
	UserName   string         `json:"UserName"`
	// OtherNames are what else the user database calls that user id. They
	// restrict only.
	OtherNames []string `json:"OtherNames,omitempty"`
	// Groups and GroupNames are the groups that the user is in, on which the
	// kernel and the user database agree: ids, and what they are called at this
	// moment. Of the doubtful ones only one of the two knows. GroupsUnknown says
	// that there may be more.
	Groups             []string `json:"Groups,omitempty"`
	GroupNames         []string `json:"GroupNames,omitempty"`
	DoubtfulGroups     []string `json:"DoubtfulGroups,omitempty"`
	DoubtfulGroupNames []string `json:"DoubtfulGroupNames,omitempty"`
	GroupsUnknown      bool     `json:"GroupsUnknown,omitempty"`
	Administrator      bool     `json:"IsAdministrator"`
	// TargetUser is whom the program would run as. A question without one is
	// about the administrator.
	TargetUser            string      `json:"TargetUser,omitempty"`
	TargetUserID          core.UserID `json:"TargetUserId,omitempty"`
	TargetIsAdministrator bool        `json:"TargetIsAdministrator,omitempty"`
	MachineName           string      `json:"MachineName"`
	FilePath              string      `json:"FilePath"`
	RequestedPath         string      `json:"RequestedPath,omitempty"`
	FileHash              string      `json:"FileHash,omitempty"`
	// Arguments are argv, argv[0] included. Those that are not UTF-8 are shown
	// escaped there, and are what ArgumentBytes has under their place (Argv).
	Arguments        []string       `json:"Arguments"`
	ArgumentBytes    map[int][]byte `json:"ArgumentBytes,omitempty"`
	WorkingDirectory string         `json:"WorkingDirectory,omitempty"`
	// Signers have signed the program, and this machine trusts them.
	// SignersKnown says that somebody has looked.
	Signers      []core.Signer `json:"Signers,omitempty"`
	SignersKnown bool          `json:"SignersKnown,omitempty"`
	// Risk is that of what is asked about, from 0 to 100; nil if nobody has told
	// it.
	Risk *uint8 `json:"RiskLevel,omitempty"`
	// RequestedBy is who is behind the request, and Agent the coding agent, if it is
	// one.
	RequestedBy core.Requester `json:"RequestedBy,omitempty"`
	Agent       string         `json:"Agent,omitempty"`
	// Parent makes it the question whether the program may be started by one that
	// was allowed by this earlier question, for which Satisfied controls were
	// satisfied.
	Parent    *PolicyRequest `json:"Parent,omitempty"`
	Satisfied []core.Control `json:"Satisfied,omitempty"`
}

// Children are rules about what an allowed program may start, as policies write
// them (docs/policies.md, "Child processes").
const (
	ChildrenOwnRule = "own-rule"
	ChildrenDenied  = "deny"
)

// PolicyResponse is the answer on the question's reply topic.
type PolicyResponse struct {
	RequestID  core.RequestID   `json:"RequestId,omitempty"`
	SealDigest string           `json:"SealDigest,omitempty"`
	Decision   core.Outcome     `json:"Decision"`
	Controls   []core.Control   `json:"ControlList,omitempty"`
	Policies   []core.PolicyRef `json:"Policies,omitempty"`
	Message    string           `json:"Message,omitempty"`
	// Uncovered is true of a DENY that no policy has caused: none grants it, none denies
	// it, and none asks for anything.
	Uncovered bool `json:"Uncovered,omitempty"`
	// Paths are the arguments that were decided on as files.
	Paths []core.PathArgument `json:"Paths,omitempty"`
	// Demands say which policy asks for which controls, and under what terms that
	// may be remembered.
	Demands []core.Demand `json:"Demands,omitempty"`
	// Monitored is what monitoring policies would have done; nil if none is met.
	Monitored *core.Monitored `json:"Monitored,omitempty"`
	// Approvals say for each policy that asks for APPROVAL whom that takes.
	Approvals []core.ApprovalRule `json:"Approvals,omitempty"`
	// Account is set if the command runs as an account that is made for it.
	Account *core.TransientTerms `json:"Account,omitempty"`
	// Session is set if the command runs as whoever asks: User in the login session that
	// they ask from, UserDesktop in the one that shows them windows.
	Session string `json:"Session,omitempty"`
	// Listing is the answer to EventList.
	Listing *core.Listing `json:"Listing,omitempty"`
	// Children is what an allowed program may start; empty is anything that no
	// policy denies.
	Children string `json:"Children,omitempty"`
	// Unrestricted, in the answer to EventExecution, says that policies in force
	// never restrict who executes that file.
	Unrestricted bool `json:"Unrestricted,omitempty"`
	// Generation names the policies that the answer is from: another one means
	// that they have changed. Executions says whether any of them restricts
	// executions, ChildRules whether any has a rule for what commands start, and
	// Removals whether any takes people out of groups.
	Generation string `json:"Generation,omitempty"`
	Executions bool   `json:"Executions,omitempty"`
	ChildRules bool   `json:"ChildRules,omitempty"`
	Removals   bool   `json:"Removals,omitempty"`
	// Removal is the answer to EventLeastPrivilege.
	Removal *core.Removal `json:"Removal,omitempty"`
	// FileRules is the answer to EventFileRules.
	FileRules *core.FileRules `json:"FileRules,omitempty"`
	// FileRulesDigest, in the answer to a probe, changes when the answer to
	// EventFileRules would be another one. It is Nothing if that has nothing in it,
	// and empty in other answers and while no policies are in force: then what was
	// said before stays so.
	FileRulesDigest string `json:"FileRulesDigest,omitempty"`
	// FileChanges is the answer to EventFileChanges, and FileChangesDigest is of it
	// what FileRulesDigest is of FileRules.
	FileChanges       *core.FileChanges `json:"FileChanges,omitempty"`
	FileChangesDigest string            `json:"FileChangesDigest,omitempty"`
	// Fault, in the answer to a probe, is what keeps KeeperPolicy from allowing
	// anything; empty if nothing does. In the answer to EventReload it is also why a
	// file is not in force as it lies there.
	Fault string `json:"Fault,omitempty"`
}

// Event is a custom event on topic EventMessages: a name and the context that
// becomes a job's initial context.
type Event struct {
	Name    string         `json:"EventName"`
	Context map[string]any `json:"Context,omitempty"`
}

// Event names that the service alone may publish (docs/wire.md).
const (
	EventStartup                 = "Startup"
	EventPolicyEvaluationPending = "PolicyEvaluationPending"
	EventLaunch                  = "LaunchPrivilegeElevation"
	// Those of approvals and grants: what they start acts with rights that somebody
	// has given (decision 12).
	EventApprovalRequested = "ApprovalRequested"
	EventLaunchApproved    = "LaunchApprovedRequest"
	EventGrantFileAccess   = "GrantFileAccess"
	EventLaunchFileAccess  = "LaunchFileAccess"
	// EventRights has somebody told what became of their place in a group of
	// administrators.
	EventRights = "LeastPrivilegeNotice"
)

// GrantEvent reports whether name, in any letter case, is an event of approvals and
// grants.
func GrantEvent(name string) bool {
	return strings.EqualFold(name, EventApprovalRequested) || strings.EqualFold(name, EventLaunchApproved) || strings.EqualFold(name, EventGrantFileAccess) || strings.EqualFold(name, EventLaunchFileAccess) || strings.EqualFold(name, EventRights)
}

// JobCompleted tells on topic JobService how a run ended.
type JobCompleted struct {
	JobID     string         `json:"JobId"`
	RunID     string         `json:"RunId"`
	RequestID core.RequestID `json:"RequestId,omitempty"`
	Event     string         `json:"EventName,omitempty"`
	Succeeded bool           `json:"Succeeded"`
	// Skipped: no task ran. Error says why.
	Skipped bool   `json:"Skipped,omitempty"`
	Error   string `json:"Error,omitempty"`
}

// TriggerJob asks on topic JobService for a run of a job. The publisher needs what tier
// Plugin needs to run it over the API.
type TriggerJob struct {
	JobID   string         `json:"JobId"`
	Context map[string]any `json:"Context,omitempty"`
}

// Notice is something to show to a user, on topic KeeperClient. Kind is message, which
// stays until it is closed, or toast.
type Notice struct {
	Kind      string         `json:"Kind"`
	Title     string         `json:"Title,omitempty"`
	Message   string         `json:"Message"`
	UserName  string         `json:"UserName,omitempty"`
	UserID    core.UserID    `json:"UserId,omitempty"` // nobody else's session hears of it
	SessionID string         `json:"SessionId,omitempty"`
	JobID     string         `json:"JobId"`
	RequestID core.RequestID `json:"RequestId,omitempty"`
}

// LogEntry is one record for KeeperLogger. Level is one of Trace, Debug,
// Information, Warning, Error, Critical.
type LogEntry struct {
	Level   string         `json:"Level"`
	Message string         `json:"Message"`
	Fields  map[string]any `json:"Fields,omitempty"`
}

// Printable returns s with every character removed that could move a cursor,
// hide text or forge a line in a terminal or log: C0, C1, DEL, bidirectional
// controls and invalid UTF-8 become U+FFFD (CVE-2023-28486).
func Printable(s string) string {
	clean := true
	for _, r := range s {
		if unsafeRune(r) {
			clean = false
			break
		}
	}
	if clean && utf8.ValidString(s) {
		return s
	}
	out := make([]rune, 0, len(s))
	for _, r := range s {
		if unsafeRune(r) {
			r = utf8.RuneError
		}
		out = append(out, r)
	}
	return string(out)
}

// PrintableLine is Printable for the text of an error, which may be several
// joined by line breaks: they become one line.
func PrintableLine(s string) string {
	lines := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' })
	return Printable(strings.Join(lines, "; "))
}

func unsafeRune(r rune) bool {
	return r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x061c || r == 0x200e || r == 0x200f ||
		r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0xfeff || r >= 0xe0000 && r <= 0xe007f
}

// SettingsChanged tells a plugin which of its settings have another value now. It
// reads them where it reads all of them: values are not on the bus.
type SettingsChanged struct {
	Plugin   string   `json:"PluginId"`
	Settings []string `json:"Settings"`
}
