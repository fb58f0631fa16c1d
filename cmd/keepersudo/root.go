//go:build linux

package main

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	defaultRoot = "/opt/KeeperPrivilegeManager"
	rootVar     = "KEEPER_AGENT_ROOT"
	doorPath    = "run/door.sock"
)

// connect finds the agent root and connects to its door.
func connect(flag string) (*connection, *failure) {
	root := agentRoot(flag, unix.Geteuid() == 0, os.Getenv)
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &failure{exitRefused, root + ": " + err.Error() + "; there should be an agent: see --root in keepersudo --help"}
	}
	defer unix.Close(dir)
	handle := "/proc/self/fd/" + strconv.Itoa(dir)
	if failed := trusted(handle); failed != nil {
		return nil, failed
	}
	// Attack: another user listens there and asks the caller for secrets.
	var st unix.Stat_t
	if err := unix.Fstatat(dir, doorPath, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil, notRunning(root, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK || st.Uid != 0 {
		return nil, &failure{exitRefused, root + "/" + doorPath + " is not a socket of root; nothing was sent"}
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, &failure{exitRefused, "socket: " + err.Error()}
	}
	// By the handle: what was checked is what is used, and no path is too long
	// for a socket's name.
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: handle + "/" + doorPath}); err != nil {
		return nil, notRunning(root, err)
	}
	return &connection{fd: fd}, nil
}

func notRunning(root string, err error) *failure {
	return &failure{exitRefused, "the service of " + root + " is not running (" + err.Error() +
		"); start it, or tell whoever runs this machine"}
}

// agentRoot applies decision 4: flag, then environment, then default. Root has
// more to lose, and its environment may be somebody else's.
func agentRoot(flag string, root bool, getenv func(string) string) string {
	if flag != "" {
		return flag
	}
	if value := getenv(rootVar); value != "" && !root {
		return value
	}
	return defaultRoot
}

// trusted reports whether nobody but root can put another directory in the
// place of the one behind handle. Above it, sticky directories of root are
// safe: nobody else can move what is root's.
func trusted(handle string) *failure {
	var buf [unix.PathMax]byte
	n, err := unix.Readlink(handle, buf[:])
	if err != nil {
		return &failure{exitRefused, "agent root: " + err.Error()}
	}
	path := string(buf[:n])
	for at, top := path, true; ; top = false {
		var st unix.Stat_t
		err := unix.Lstat(at, &st)
		switch {
		case err != nil:
			return &failure{exitRefused, at + ": " + err.Error()}
		case st.Mode&unix.S_IFMT != unix.S_IFDIR || st.Uid != 0,
			st.Mode&0o022 != 0 && (top || st.Mode&unix.S_ISVTX == 0):
			return &failure{exitRefused, at + " can be changed by others than root; " + path + " is not used as an agent root"}
		case at == "/":
			return nil
		}
		at = at[:max(1, strings.LastIndexByte(at, '/'))]
	}
}
