package core

// Removal is what LeastPrivilege policies say of one member of a group of
// administrators.
type Removal struct {
	// Policies are those that are enforced and want the person out of it; none
	// means that the person may stay.
	Policies []PolicyRef `json:"Policies,omitempty"`
	// Doubtful is true if one more may want that: it cannot be told whom it means, or
	// what it says. Then nobody who is out comes back.
	Doubtful bool `json:"Doubtful,omitempty"`
	// Monitored are those that only watch, and Notices what the person is told of
	// them.
	Monitored []PolicyRef `json:"Monitored,omitempty"`
	Notices   []Notice    `json:"Notices,omitempty"`
}
