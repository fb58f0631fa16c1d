package core

// Removal is what LeastPrivilege policies say of one member of a group of
// administrators.
type Removal struct {
	// Policies are those that are enforced and want the person out of it; none
	// means that the person may stay.
	Policies []PolicyRef `json:"Policies,omitempty"`
	// Monitored are those that only watch, and Notices what the person is told of
	// them.
	Monitored []PolicyRef `json:"Monitored,omitempty"`
	Notices   []Notice    `json:"Notices,omitempty"`
}
