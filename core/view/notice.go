package view

// Kinds of notices.
const (
	NoticeApproved       = "approval-approved"
	NoticeDenied         = "approval-denied"
	NoticeExpired        = "approval-expired"
	NoticeApprovalEnding = "approval-ending"
	NoticeGrantEnding    = "grant-ending"
	NoticeRights         = "rights"
	NoticeExecution      = "execution-refused"
	NoticeElevation      = "elevation"
)

// Notice is something that a person is to hear about what they have asked for, about
// their rights, or about a program that they were kept from.
type Notice struct {
	Kind string `json:"kind"`
	// ID is the approval's or the grant's; of NoticeRights, the group's name, and of
	// NoticeExecution and NoticeElevation the program.
	ID string `json:"id"`
	// Text is a sentence for the person, printable.
	Text string `json:"text"`
	// SecondsLeft is for how long it may still be used; 0 if that is over, or does not
	// matter.
	SecondsLeft int64 `json:"secondsLeft"`
}
