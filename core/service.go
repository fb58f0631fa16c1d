package core

import "os"

// ServiceSpec is a plugin or job task to start as the service account. Its
// program must be Protected, like everything it is reached through
// (decision 6).
type ServiceSpec struct {
	// As is what the process, and its live descendants, may act as.
	As   Principal
	Path string // absolute
	// Script, if not empty, is a file that the program is told to run: as Protected as
	// the program itself.
	Script string
	Argv   []string // argv[0] included
	Env    []string // complete; nothing is inherited
	Dir    string   // absolute
	// Stdin, Stdout and Stderr; nil means the null device.
	Stdin, Stdout, Stderr *os.File
}

// UserSpec is a job task to start in a user's session. The program is the service's,
// like any other; what it does there proves nothing (decision 27).
type UserSpec struct {
	ServiceSpec
	RunAs RunAs
	// User is whose session it is, by name; empty for the person at the machine.
	User string
	// Session names it; empty for a session of that user.
	Session SessionID
}
