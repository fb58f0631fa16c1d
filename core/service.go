package core

import "os"

// ServiceSpec is a plugin or job task to start as the service account. Its
// program must be Protected, like everything it is reached through
// (decision 6).
type ServiceSpec struct {
	// As is what the process, and its live descendants, may act as.
	As   Principal
	Path string   // absolute
	Argv []string // argv[0] included
	Env  []string // complete; nothing is inherited
	Dir  string   // absolute
	// Stdin, Stdout and Stderr; nil means the null device.
	Stdin, Stdout, Stderr *os.File
}
