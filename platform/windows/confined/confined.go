// Package confined is the inside of a process that can do nothing but compute and
// answer: what its one connection carries, and the files that come with it.
//
// It confines nothing: package windows makes the process with a token that opens
// nothing, holds it to that by what the system says of it, and is the only one at
// the other end.
package confined

// Name is argv[0] of the process.
const Name = "keeperreader"

// Ready is the first byte that a process sends: it has loaded all that it needs
// from the disk, and can be confined.
const Ready = 0

// Bounds of a process. It is a job of its own.
const (
	// MaxMemory is what it can have of memory, in bytes. A reader of signatures
	// takes a few megabytes, some hundred for the worst file.
	MaxMemory = 512 << 20
	// MaxTime is its whole processor time, in seconds.
	MaxTime = 120
)

// Environ is the whole environment, for the Go runtime alone: one processor;
// garbage is collected well before MaxMemory is reached. The system finds its own
// libraries by systemRoot.
func Environ(systemRoot string) []string {
	return []string{"GOMAXPROCS=1", "GOMEMLIMIT=384MiB", "GOTRACEBACK=none", "SystemRoot=" + systemRoot}
}
