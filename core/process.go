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
	// Confined says what a holder was denied that this service was not, such as
	// "another root directory", and is empty for none. What is started for it
	// would be denied nothing (decision 32a).
	Confined string
	// Groups are the ids of the groups that the kernel counted the peer in when
	// it connected; nil where it does not say.
	Groups []string
	// Login is the user whose login the peer's process belongs to, for the
	// operating system's own audit; empty if there was none.
	Login UserID
	// Session is the login session that the peer's process belongs to, where the
	// system runs what is started for somebody in one of theirs (Windows); empty
	// elsewhere.
	Session SessionID
	// Share is whose part of every limit the peer uses; empty means its own.
	// Those without an account use one part together (decision 32a).
	Share UserID
}

// Payer is whose part of every limit the peer uses.
func (p Peer) Payer() UserID {
	if p.Share != "" {
		return p.Share
	}
	return p.User
}

// Account is an account of this machine that a process can run as.
type Account struct {
	User UserID
	Name string
	// OtherNames are further names of the same user: they restrict and never
	// grant, since nobody can tell under which of them somebody asks.
	OtherNames []string
	Group      string   // primary group id
	Groups     []string // all group ids, the primary one included
	// GroupsUnknown is true if the account may be in more groups: one of the
	// machine's databases did not answer.
	GroupsUnknown bool
	Home          string
	Shell         string
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
