//go:build linux

package linux

import (
	"fmt"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"kpm/core"
)

// known says whose part of every limit a user has (port.Accounts, Share).
type known interface {
	Share(id core.UserID) core.UserID
}

// viewpoint is what this service knows, and is itself: peers are compared with
// it.
type viewpoint struct {
	accounts known     // nil leaves everyone their own share
	ours     restraint // which holds for good, and so do
	spaces   spaces
}

func newViewpoint(accounts known) (viewpoint, error) {
	v := viewpoint{accounts: accounts}
	self, err := openProcess(unix.Getpid())
	if err != nil {
		return v, fmt.Errorf("this service: %w", err)
	}
	defer self.close()
	status, err := self.status()
	if err == nil {
		v.ours, err = restraintOf(self, status)
	}
	if err == nil {
		v.spaces, err = self.spaces()
	}
	if err != nil {
		return v, fmt.Errorf("this service: %w", err)
	}
	return v, nil
}

func (v viewpoint) newPeer(uid uint32) core.Peer {
	peer := core.Peer{User: core.UserID(strconv.FormatUint(uint64(uid), 10)), SameIdentity: true, Administrator: uid == 0}
	if v.accounts != nil {
		peer.Share = v.accounts.Share(peer.User)
	}
	return peer
}

// peerGroups returns the groups that the process was in when it connected, the
// primary one first.
func peerGroups(fd int, primary uint32) ([]string, error) {
	gids := make([]uint32, 64)
	for {
		size := uint32(4 * len(gids))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&gids[0])), uintptr(unsafe.Pointer(&size)), 0)
		if errno == unix.ERANGE && int(size) > 4*len(gids) {
			gids = make([]uint32, size/4)
			continue
		}
		if errno != 0 {
			return nil, fmt.Errorf("groups: %w", errno)
		}
		groups := []string{strconv.FormatUint(uint64(primary), 10)}
		for _, gid := range gids[:size/4] {
			if gid != primary {
				groups = append(groups, strconv.FormatUint(uint64(gid), 10))
			}
		}
		return groups, nil
	}
}
