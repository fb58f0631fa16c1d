package core

// Listing is what policy lets one person run at this moment.
type Listing struct {
	// Everything is true for somebody whom policy does not concern.
	Everything bool `json:"everything"`
	// Permissions are in the order of their policies' ids; More counts those that
	// there was no room for.
	Permissions []Permission `json:"permissions"`
	More        int          `json:"more,omitempty"`
}

// Permission is what one policy, which is met by who asks, where and when, says of
// programs.
type Permission struct {
	PolicyRef
	// Grants and Denies say what the policy does to what it meets; one that does
	// neither only asks for Controls.
	Grants   bool      `json:"grants,omitempty"`
	Denies   bool      `json:"denies,omitempty"`
	Controls []Control `json:"controls,omitempty"`
	// Programs and Commands are what it is about, as policies write them: if there
	// are Commands, these programs with these arguments alone.
	Programs []string `json:"programs,omitempty"`
	Commands []string `json:"commands,omitempty"`
	// Targets are whom it is about as a target: names, "#" and an id, or "*". None
	// is the administrator for a grant, and anybody for the rest.
	Targets []string `json:"targets,omitempty"`
	// For is how long what it asks for may be remembered, as policies write it;
	// empty if it may not.
	For string `json:"for,omitempty"`
	// Approval is whom the policy names to approve, if it asks for APPROVAL.
	Approval *ApprovalRule `json:"approval,omitempty"`
	// Signed is true if it is about programs of certain signers alone.
	Signed bool `json:"signed,omitempty"`
}
