package darwin

import (
	"errors"
	"fmt"

	"kpm/core"
	"kpm/platform/darwin/kernel"
)

// errVanished is about a process or a socket that is not there any more, or has
// become another meanwhile.
var errVanished = errors.New("the peer has gone")

// known says whose part of every limit a user has (port.Accounts, Share).
type known interface {
	Share(id core.UserID) core.UserID
}

// peerOf begins a peer: a user whose processes are not known yet.
func peerOf(user uint32, accounts known) core.Peer {
	peer := core.Peer{User: core.UserID(fmt.Sprint(user)), SameIdentity: true, Administrator: user == 0}
	if accounts != nil {
		peer.Share = accounts.Share(peer.User)
	}
	return peer
}

// withHolder adds a process that holds a connection of user's. A setuid program
// that has inherited the connection is nobody's (decision 11), and a sandboxed one
// was denied something that what is started for it would be allowed (decision 32a).
func withHolder(peer core.Peer, user uint32, p kernel.Process, sandboxed bool) core.Peer {
	peer.Processes = append(peer.Processes, core.ProcessID{PID: p.PID, Start: p.Start})
	peer.SameIdentity = peer.SameIdentity && p.Is(user)
	if sandboxed {
		peer.Confined = "a sandbox"
	}
	return peer
}

// concluded says of a peer whose holders are all known whether it is an
// administrator: root as a whole, and not in a sandbox.
func concluded(peer core.Peer) core.Peer {
	peer.Administrator = peer.Administrator && peer.SameIdentity && peer.Confined == ""
	return peer
}

// agrees checks what three answers of the kernel say about one process: the audit
// token of the connection before and after it was looked at, and the process table.
//
// Attack (CVE-2019-6133 and its kind): a process connects, ends, and another one has
// its pid; or it executes a program that is more than it was. The token counts both
// (kernel.Token.ExecsVersion).
func agrees(before, after kernel.Token, user uint32, p kernel.Process) error {
	switch {
	case before != after:
		return fmt.Errorf("process %d: %w", before.PID, errVanished)
	case p.PID != before.PID || p.Zombie:
		return fmt.Errorf("process %d: %w", before.PID, errVanished)
	case before.User != user || p.User != user || p.RealUser != before.RealUser:
		return fmt.Errorf("process %d is user %d, and user %d has connected", before.PID, before.User, user)
	}
	return nil
}
