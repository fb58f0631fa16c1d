package core

// FileRule is what one FileAccess policy that is in force at the moment keeps people
// from: it denies files to them, or asks for something first.
type FileRule struct {
	PolicyRef
	// Denies is true if nothing that a person does lifts it.
	Denies bool `json:"Denies,omitempty"`
	// Monitor is true if the policy only watches.
	Monitor bool `json:"Monitor,omitempty"`
	// Everyone is true if it is about every user. Otherwise it is about those who
	// are in Users, by name or "#id", or in one of Groups, the same.
	Everyone bool     `json:"Everyone,omitempty"`
	Users    []string `json:"Users,omitempty"`
	Groups   []string `json:"Groups,omitempty"`
	// Files are absolute paths, in which "*" stands for any characters.
	Files []string `json:"Files"`
	// Unplaced is true if the policy also names files by something other than where
	// they lie: these are looked at when they are started as programs, and not here.
	Unplaced bool `json:"Unplaced,omitempty"`
}

// FileRules are all rules about files, in the order of their policies. More is how
// many there was no room for.
type FileRules struct {
	Rules []FileRule `json:"Rules"`
	More  int        `json:"More,omitempty"`
}
