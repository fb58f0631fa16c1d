//go:build linux

package linux

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"kpm/core"
)

// tcpListen is the state of a listening socket in /proc/net/tcp.
const tcpListen = "0A"

// Listener implements port.Peers. It says who listens on a TCP port, for a person who must find out why
// a port is in use. It reads every socket and every process: it is for an error
// message, never for identity.
func (*Peers) Listener(port int) (pid int, user core.UserID, err error) {
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		uid, inode, err := listener(table, port)
		if err != nil {
			continue // no such table, or nobody in it
		}
		target := "socket:[" + inode + "]"
		for _, pid := range allPids() {
			if holds(pid, target) {
				return pid, core.UserID(uid), nil
			}
		}
		return 0, core.UserID(uid), fmt.Errorf("port %d: its process: %w", port, fs.ErrNotExist)
	}
	return 0, "", fmt.Errorf("port %d: nobody listens: %w", port, fs.ErrNotExist)
}

// listener finds who listens on port in a table of proc(5), "/proc/net/tcp".
func listener(table string, port int) (uid, inode string, err error) {
	file, err := os.Open(table)
	if err != nil {
		return "", "", err
	}
	defer file.Close()
	suffix := fmt.Sprintf(":%04X", port)
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) > 9 && strings.HasSuffix(fields[1], suffix) && fields[3] == tcpListen {
			return fields[7], fields[9], nil
		}
	}
	if err := lines.Err(); err != nil {
		return "", "", err
	}
	return "", "", fs.ErrNotExist
}

func holds(pid int, target string) bool {
	links, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/fd/*")
	if err != nil {
		return false
	}
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && to == target {
			return true
		}
	}
	return false
}
