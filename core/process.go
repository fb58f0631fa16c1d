package core

import "fmt"

// ProcessID names a process for as long as the machine is up. A bare pid is
// reused; pid and start together are not (CVE-2019-6133).
type ProcessID struct {
	PID int
	// Start is the kernel's start stamp: clock ticks since boot on Linux,
	// 100 ns FILETIME on Windows, microseconds on macOS.
	Start uint64
}

// String prints pid and start stamp, for logs and the journal.
func (p ProcessID) String() string { return fmt.Sprintf("%d@%d", p.PID, p.Start) }

// Peer is who the kernel says holds the other end of a local connection.
type Peer struct {
	User UserID
	// Administrator is true for root, SYSTEM and elevated administrators.
	Administrator bool
	// Processes are all processes found to hold the connection. A local
	// socket names exactly one; a TCP socket may have several holders.
	Processes []ProcessID
	// SameIdentity is true when every holder has User as its real, effective
	// and saved user. A setuid program that inherited a socket does not
	// (decision 11).
	SameIdentity bool
	// Foreign is true when a holder lives in another mount, user or pid
	// namespace: its paths and pids do not mean what ours do (decision 26).
	Foreign bool
}

// Account is a local account that a process can run as.
type Account struct {
	User   UserID
	Name   string
	Group  string   // primary group id
	Groups []string // all group ids, the primary one included
	Home   string
	Shell  string
}

// ExitStatus is how a process ended. Signal is 0 unless it was killed by one.
type ExitStatus struct {
	Code   int `json:"code"`
	Signal int `json:"signal,omitempty"`
}

// Shell returns the status as shells report it: the exit code, or 128 plus the
// signal number.
func (s ExitStatus) Shell() int {
	if s.Signal != 0 {
		return 128 + s.Signal
	}
	return s.Code
}
