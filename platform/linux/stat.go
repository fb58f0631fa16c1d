//go:build linux

package linux

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
)

// procStat is what /proc/PID/stat says about a process's place among others.
type procStat struct {
	pid     int
	state   byte
	parent  int
	session int
	// terminal is the device of the controlling terminal, or 0.
	terminal uint32
	start    uint64
}

// dead reports whether only the exit status is left.
func (s procStat) dead() bool { return s.state == 'Z' || s.state == 'X' }

// readStat returns false if there is no such process.
func readStat(pid int) (procStat, bool) {
	s, err := statOf(pid)
	return s, err == nil
}

// outWait is how long a look at a process is put off when the service has no
// descriptor left for it. Attack: whoever fills the service's descriptors for a
// moment makes every process look as if it had ended, its own among them.
const (
	outWait = 2 * time.Millisecond
	outTry  = 50
)

// statOf is readStat that says why it cannot be seen; a process that is not
// there is errVanished.
func statOf(pid int) (procStat, error) {
	var buf [1024]byte
	fd, err := openat(unix.AT_FDCWD, "/proc/"+strconv.Itoa(pid)+"/stat", unix.O_RDONLY, 0)
	for try := 0; core.OutOfResources(err) && try < outTry; try++ {
		time.Sleep(outWait)
		fd, err = openat(unix.AT_FDCWD, "/proc/"+strconv.Itoa(pid)+"/stat", unix.O_RDONLY, 0)
	}
	if err != nil {
		return procStat{}, vanished(pid, err)
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, buf[:])
	if err != nil {
		return procStat{}, vanished(pid, err)
	}
	s, ok := parseStat(pid, buf[:n])
	if !ok {
		return s, fmt.Errorf("process %d: unreadable stat %q", pid, buf[:n])
	}
	return s, nil
}

// statFields are the first fields of /proc/PID/stat after the name of the program, which
// may have anything in it (proc_pid_stat(5)), and how many of them there are.
func statFields(stat []byte) (fields [20][]byte, n int) {
	for field := range bytes.FieldsSeq(stat[bytes.LastIndexByte(stat, ')')+1:]) {
		if n == len(fields) {
			break
		}
		fields[n] = field
		n++
	}
	return fields, n
}

// parseStat reads fields 3, 4, 6, 7 and 22. The second field is a name that the
// process chose: it may hold spaces and parentheses, so fields are counted
// from the last one.
func parseStat(pid int, stat []byte) (procStat, bool) {
	fields, n := statFields(stat)
	if n < len(fields) {
		return procStat{}, false
	}
	parent, err1 := strconv.Atoi(string(fields[1]))
	session, err2 := strconv.Atoi(string(fields[3]))
	start, err3 := strconv.ParseUint(string(fields[19]), 10, 64)
	s := procStat{pid: pid, state: fields[0][0], parent: parent, session: session, terminal: terminalDevice(fields[4]), start: start}
	return s, err1 == nil && err2 == nil && err3 == nil
}

// inSession reports whether the process is in the session that leader leads or
// led. The kernel does not give a session's number away while somebody is in
// it; a leader of the same number that is another process has a session of its
// own.
func (s procStat) inSession(leader core.ProcessID) bool {
	if s.session != leader.PID || s.start < leader.Start {
		return false
	}
	now, ok := readStat(leader.PID)
	return !ok || now.start == leader.Start
}

// lineageTries is how often the way up is looked for: each try ends because somebody on it
// has just ended.
const lineageTries = 20

// lineage is the process, its parent, that one's parent and so on, and whether that is
// all of them. A parent that is younger than its child is not the parent but a later
// process with that number.
//
// Attack: a parent ends while it is asked for, so that the way up is lost: its child has
// another one by then, and is asked again. If that has ended as well, everything is. Who
// ends a long row of processes at once would otherwise look like nobody's descendant.
func (s procStat) lineage() (line []core.ProcessID, whole bool) {
	for range lineageTries {
		if line, whole = s.upwards(); whole {
			break
		}
		now, there := readStat(s.pid)
		if !there || now.start != s.start {
			break
		}
		s = now
	}
	return line, whole
}

// upwards is one try of lineage.
func (s procStat) upwards() (line []core.ProcessID, whole bool) {
	line = append(line, s.id())
	for s.parent > 0 {
		parent, ok := readStat(s.parent)
		if ok && parent.start <= s.start {
			s = parent
			line = append(line, s.id())
			continue
		}
		now, there := readStat(s.pid)
		if !there || now.start != s.start {
			return line, false
		}
		if now.parent == s.parent {
			return line, ok // else its parent cannot be looked at
		}
		s = now
	}
	return line, true
}

func (s procStat) id() core.ProcessID { return core.ProcessID{PID: s.pid, Start: s.start} }

// allPids lists the processes of this machine.
func allPids() []int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// terminalDevice reads field 7 of /proc/PID/stat: the controlling terminal's device,
// or 0.
func terminalDevice(field []byte) uint32 {
	number, err := strconv.ParseInt(string(field), 10, 32)
	if err != nil {
		return 0
	}
	return uint32(number)
}
