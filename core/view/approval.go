package view

import (
	"time"

	"kpm/core"
)

// ApprovalTypeElevation is the published number of PrivilegeElevation.
const ApprovalTypeElevation = 1

// Approval is what approvers are asked, and what they have said. Names of fields are
// the published ones where there are any; times are in milliseconds since 1970.
type Approval struct {
	ID           string              `json:"id"`
	ApprovalUID  string              `json:"approvalUid"` // the same
	ApprovalType int                 `json:"approvalType"`
	Status       core.ApprovalStatus `json:"status"`
	// Used says that a request has used it up, Withdrawn that its requester has taken
	// it back.
	Used      bool `json:"used"`
	Withdrawn bool `json:"withdrawn"`

	UserName      string         `json:"userName"`
	UserID        core.UserID    `json:"userId"`
	TargetUser    string         `json:"targetUser"`
	FilePath      string         `json:"filePath"`
	RequestedPath string         `json:"requestedPath"`
	Arguments     []string       `json:"arguments"`               // argv; what is not UTF-8 is escaped
	ArgumentBytes map[int][]byte `json:"argumentBytes,omitempty"` // those, by their place
	CommandLine   string         `json:"commandLine"`
	Directory     string         `json:"workingDirectory"`
	SealDigest    string         `json:"sealDigest"`
	Justification string         `json:"justification"`

	Created  int64 `json:"created"`
	Modified int64 `json:"modified"`
	// ExpireIn is in minutes from now, rounded up; 0 if it is over.
	ExpireIn  int                 `json:"expireIn"`
	Approvers []core.ApprovalRule `json:"approvers"`
	Decisions []ApprovalDecision  `json:"decisions"`
	RequestID core.RequestID      `json:"requestId,omitempty"` // that has used it up
	// Own is true if whoever asks has requested it, MayDecide if they are an approver.
	Own       bool `json:"own"`
	MayDecide bool `json:"mayDecide"`
	// Challenge is what its requester reads to the help desk, for a code; empty if no
	// code can approve it, and to everybody else.
	Challenge string `json:"challenge,omitempty"`
}

// ApprovalDecision is what one person has said, or a schedule of policies: then there
// is no ApproverID, and Comment is when the schedule is open.
type ApprovalDecision struct {
	Approver   string      `json:"approver"`
	ApproverID core.UserID `json:"approverId"`
	Decision   string      `json:"decision"` // approve, deny, extend or schedule
	Comment    string      `json:"comment,omitempty"`
	At         int64       `json:"at"`
}

// ApprovalAnswer is what an approver says. ExpireIn is in minutes: for how long it may
// be used, or wait. Approver names somebody elsewhere; plugin KeeperAPI alone may.
type ApprovalAnswer struct {
	Comment  string `json:"comment,omitempty"`
	ExpireIn int    `json:"expireIn,omitempty"`
	Approver string `json:"approver,omitempty"`
}

// ApprovalCode is a one-time code of the help desk's for an approval.
type ApprovalCode struct {
	Code string `json:"code"`
}

// ApprovalKey is the key by which this machine's help desk makes codes. Key is shown
// once, when it is made.
type ApprovalKey struct {
	Machine string    `json:"machine"`
	Key     string    `json:"key,omitempty"`
	At      time.Time `json:"at,omitzero"`
	By      string    `json:"by"`
}
