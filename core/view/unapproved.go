package view

// Restored is the Outcome of an unapproved change that was undone.
const Restored = "undone"

// Unapproved is a file that is other than what was accepted (Last Known Good).
type Unapproved struct {
	Path   string `json:"path"`   // below the agent root
	Change string `json:"change"` // "changed", "added", "removed" or "unreadable"
	// Found and Good are SHA-256 in hex; Found is the reason for "unreadable".
	Found   string `json:"found,omitempty"`
	Good    string `json:"good,omitempty"`
	Outcome string `json:"outcome,omitempty"` // what has become of it
}

// Approved answers whoever has approved changes: paths below the agent root.
type Approved struct {
	Approved []string `json:"approved"`
}
