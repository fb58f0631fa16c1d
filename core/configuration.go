package core

// FileChange is what one SettingsUpdate or JobUpdate policy that is in force at the
// moment makes of one of the agent's own files.
type FileChange struct {
	PolicyRef
	// File is the path below the agent root, with slashes: appsettings.json,
	// Plugins/{id}.json or Jobs/{id}.json.
	File string `json:"File"`
	// Text is all that the file is to hold. A job's file without any is to go.
	Text string `json:"Text,omitempty"`
}

// FileChanges are all of them, in the order of their policies: of several for one
// file the last counts. More is how many there was no room for.
type FileChanges struct {
	Changes []FileChange `json:"Changes"`
	More    int          `json:"More,omitempty"`
}
