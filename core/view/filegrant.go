package view

import (
	"time"

	"kpm/core"
)

// ApprovalTypeFileAccess is the published number of FileAccess.
const ApprovalTypeFileAccess = 2

// FileGrant is access to a file for a time, as GET /api/filegrants and GET
// /api/executiongrants list it.
type FileGrant struct {
	ID       string           `json:"id"`
	User     string           `json:"user"`
	UserID   core.UserID      `json:"userId"`
	FilePath string           `json:"filePath"`
	Policies []core.PolicyRef `json:"policies"`
	// RequestID is the request that it was given for, empty if it was given by hand;
	// GivenBy is who has given it.
	RequestID core.RequestID `json:"requestId,omitempty"`
	GivenBy   string         `json:"givenBy"`
	GivenAt   time.Time      `json:"givenAt"`
	Until     time.Time      `json:"until"`
	// SecondsLeft is by a clock that nobody can set, or by the wall clock if that is
	// over first.
	SecondsLeft int64 `json:"secondsLeft"`
}

// FileGrantsCleaned says what was ended of what was over, and what goes on.
type FileGrantsCleaned struct {
	Ended int `json:"ended"`
	Left  int `json:"left"`
}

// FileAccess is what people are kept from, as GET /api/fileaccess shows it.
type FileAccess struct {
	Files    []FileKept    `json:"files"`
	Problems []FileProblem `json:"problems"`
}

// FileKept is one file whose access control list has entries of the agent's.
type FileKept struct {
	FilePath string           `json:"filePath"`
	Denied   []core.UserID    `json:"denied"`
	Granted  []core.UserID    `json:"granted"`
	Policies []core.PolicyRef `json:"policies"`
	// Fault is why the list is not as it is to be; empty if it is.
	Fault string `json:"fault,omitempty"`
}

// FileProblem is why a policy about a file is not kept.
type FileProblem struct {
	FilePath string         `json:"filePath,omitempty"`
	Policy   core.PolicyRef `json:"policy"`
	Why      string         `json:"why"`
}
