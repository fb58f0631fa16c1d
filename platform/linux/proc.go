//go:build linux

package linux

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
)

// errVanished is wrapped by errors about a process that ended while it was
// being looked at. An identity is never put together from a process that may
// have been replaced (CVE-2019-6133).
var errVanished = errors.New("the process has ended")

// process is an open /proc/PID directory. It stays bound to the process that
// had the pid when it was opened: once that one is gone every read fails, even
// when the pid is in use again.
type process struct {
	pid int
	dir int
}

func openProcess(pid int) (process, error) {
	dir, err := unix.Open("/proc/"+strconv.Itoa(pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return process{}, vanished(pid, err)
	}
	return process{pid: pid, dir: dir}, nil
}

func (p process) close() { unix.Close(p.dir) }

// read returns the beginning of one of the process's files, as much of it as
// fits in buf.
func (p process) read(name string, buf []byte) ([]byte, error) {
	fd, err := unix.Openat(p.dir, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, vanished(p.pid, err)
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, buf)
	if err != nil {
		return nil, vanished(p.pid, err)
	}
	return buf[:n], nil
}

// stat returns what the kernel says of a process that has not ended.
func (p process) stat() (procStat, error) {
	var buf [1024]byte
	stat, err := p.read("stat", buf[:])
	if err != nil {
		return procStat{}, err
	}
	s, ok := parseStat(p.pid, stat)
	if !ok {
		return s, fmt.Errorf("process %d: unreadable stat %q", p.pid, stat)
	}
	if s.dead() {
		return s, fmt.Errorf("process %d: %w", p.pid, errVanished)
	}
	return s, nil
}

// id returns the process's name for as long as the machine is up.
func (p process) id() (core.ProcessID, error) {
	s, err := p.stat()
	return core.ProcessID{PID: p.pid, Start: s.start}, err
}

// status returns the whole of /proc/PID/status. In the middle is the list of
// groups, which may be long.
func (p process) status() ([]byte, error) {
	for buf := make([]byte, 4096); ; buf = make([]byte, 4*len(buf)) {
		status, err := p.read("status", buf)
		if err != nil || len(status) < len(buf) {
			return status, err
		}
	}
}

// runsAs reports whether uid is the real, effective, saved and file system
// user of the process with this status. A setuid program that inherited a socket
// is not (decision 11).
func (p process) runsAs(uid uint32, status []byte) (bool, error) {
	uids, err := p.uids(status)
	return err == nil && uids == [4]uint32{uid, uid, uid, uid}, err
}

// uids returns the real, effective, saved and file system user of the process.
func (p process) uids(status []byte) ([4]uint32, error) {
	uids, ok := parseUids(status)
	if !ok {
		return [4]uint32{}, fmt.Errorf("process %d: no user ids in its status", p.pid)
	}
	return uids, nil
}

// spaces are the mount, user and pid namespace of a process, as /proc names them.
type spaces [3]string

func (p process) spaces() (s spaces, err error) {
	for i, name := range [len(s)]string{"ns/mnt", "ns/user", "ns/pid"} {
		var link [64]byte
		n, err := unix.Readlinkat(p.dir, name, link[:])
		if err != nil {
			return s, vanished(p.pid, err)
		}
		s[i] = string(link[:n])
	}
	return s, nil
}

// holds reports whether one of the process's descriptors is target, as
// /proc/PID/fd shows it ("socket:[4711]"). It gives up with errCostly at until,
// if that is not zero.
func (p process) holds(target string, until time.Time) (bool, error) {
	fd, err := unix.Openat(p.dir, "fd", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, vanished(p.pid, err)
	}
	list := os.NewFile(uintptr(fd), "fd")
	defer list.Close()
	var link [64]byte
	for until.IsZero() || time.Now().Before(until) {
		names, err := list.Readdirnames(1024)
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, vanished(p.pid, err)
		}
		for _, name := range names {
			n, err := unix.Readlinkat(fd, name, link[:])
			if err == nil && string(link[:n]) == target {
				return true, nil
			}
		}
	}
	return false, errCostly
}

// vanished names the process in err, and says so when it is gone.
func vanished(pid int, err error) error {
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("process %d: %w", pid, errVanished)
	}
	return fmt.Errorf("process %d: %w", pid, err)
}

// startTicks returns the start stamp of the process that has the pid now.
func startTicks(pid int) (uint64, error) {
	p, err := openProcess(pid)
	if err != nil {
		return 0, err
	}
	defer p.close()
	id, err := p.id()
	return id.Start, err
}

// parseUids finds the real, effective, saved and file system uid in
// /proc/PID/status. The kernel escapes line breaks in the name that comes
// before them.
func parseUids(status []byte) (uids [4]uint32, ok bool) {
	_, rest, ok := bytes.Cut(status, []byte("\nUid:"))
	if !ok {
		return uids, false
	}
	line, _, ok := bytes.Cut(rest, []byte{'\n'})
	fields := bytes.Fields(line)
	if !ok || len(fields) != len(uids) {
		return uids, false
	}
	for i, field := range fields {
		uid, err := strconv.ParseUint(string(field), 10, 32)
		if err != nil {
			return uids, false
		}
		uids[i] = uint32(uid)
	}
	return uids, true
}
