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

// Access is what an entry of an access control list that is ours gives a user.
type Access uint8

// Denied takes away reading and writing, and deleting where the list of a file says
// that; ReadWrite gives reading and writing.
const (
	Denied Access = iota
	ReadWrite
)

// FileRef names a file so that it is found again, whatever it is called by then.
type FileRef struct {
	Path   string `json:"path"` // where it was found
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"`
	// Handle is how the file system itself names it; empty where it does not.
	Handle []byte `json:"handle,omitempty"`
}

// Same reports whether r and other are of one file.
func (r FileRef) Same(other FileRef) bool {
	return r.Device == other.Device && r.Inode == other.Inode && string(r.Handle) == string(other.Handle)
}
