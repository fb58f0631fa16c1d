//go:build linux

package linux

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
)

// maxAncestors bounds how far up is looked.
const maxAncestors = 64

// Bounds of reading what processes say they are called: the bytes of one, the time
// of one, and how many readings of one user's processes may hang.
const (
	maxNames     = 512
	namesTime    = 100 * time.Millisecond
	maxUserHangs = 2
)

// Ancestry reads /proc.
type Ancestry struct {
	mu    sync.Mutex
	hangs map[uint32]int // readings under way, by the user of the process
}

var _ port.Ancestry = (*Ancestry)(nil)

// NewAncestry returns an Ancestry.
func NewAncestry() *Ancestry { return &Ancestry{hangs: map[uint32]int{}} }

// Ancestors implements port.Ancestry. A parent that is younger than its child is
// not the parent, but a later process with that number.
func (a *Ancestry) Ancestors(id core.ProcessID) ([]core.Ancestor, error) {
	var list []core.Ancestor
	leaders := map[int]core.ProcessID{} // most of them are in one session
	for pid, youngest := id.PID, ^uint64(0); pid > 1 && len(list) < maxAncestors; {
		one, parent, err := a.ancestor(pid, leaders)
		switch {
		case err != nil && len(list) > 0 && errors.Is(err, errVanished), err == nil && one.ID.Start > youngest:
			return list, nil // it has ended, and so has the way up
		case err == nil && len(list) == 0 && one.ID != id:
			err = fmt.Errorf("process %d is another one by now: %w", pid, errVanished)
		}
		if errors.Is(err, errVanished) {
			err = fmt.Errorf("%w: %w", err, fs.ErrNotExist)
		}
		if err != nil {
			return nil, fmt.Errorf("ancestors of %s: %w", id, err)
		}
		list = append(list, one)
		pid, youngest = parent, one.ID.Start
	}
	return list, nil
}

// Starter implements port.Ancestry. It reads status, which tells the ids of a process
// that nobody may trace as well; the owner of its folder is root then.
func (a *Ancestry) Starter(id core.ProcessID) (core.UserID, error) {
	user, err := starter(id)
	if errors.Is(err, errVanished) {
		err = fmt.Errorf("%w: %w", err, fs.ErrNotExist)
	}
	if err != nil {
		return "", fmt.Errorf("user of process %s: %w", id, err)
	}
	return user, nil
}

func starter(id core.ProcessID) (core.UserID, error) {
	p, err := openProcess(id.PID)
	if err != nil {
		return "", err
	}
	defer p.close()
	if err := p.is(id); err != nil {
		return "", err
	}
	uids, err := p.uids()
	if err != nil {
		return "", err
	}
	return core.UserID(strconv.FormatUint(uint64(uids[0]), 10)), nil
}

func (a *Ancestry) ancestor(pid int, leaders map[int]core.ProcessID) (one core.Ancestor, parent int, err error) {
	p, err := openProcess(pid)
	if err != nil {
		return one, 0, err
	}
	defer p.close()
	var buf [1024]byte
	text, err := p.read("stat", buf[:])
	if err != nil {
		return one, 0, err
	}
	stat, ok := parseStat(pid, text)
	if !ok {
		return one, 0, fmt.Errorf("process %d: unreadable stat", pid)
	}
	one = core.Ancestor{ID: core.ProcessID{PID: pid, Start: stat.start}, Terminal: terminalName(terminalNumber(text))}
	if from, to := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')'); from >= 0 && from < to {
		one.Names = append(one.Names, string(text[from+1:to])) // what /proc/PID/comm says
	}
	// A leader of the same number that is another process has a session of its own.
	leader, known := leaders[stat.session]
	if !known {
		if st, there := readStat(stat.session); there && st.session == stat.session {
			leader = core.ProcessID{PID: stat.session, Start: st.start}
		}
		leaders[stat.session] = leader
	}
	if leader.Start <= stat.start {
		one.Leader = leader
	}
	if n, err := unix.Readlinkat(p.dir, "exe", buf[:]); err == nil {
		one.Program = strings.TrimSuffix(string(buf[:n]), " (deleted)")
	}
	if interprets(one.Program) {
		names, err := a.names(p)
		if err != nil {
			return one, 0, err
		}
		one.Names = append(one.Names, names...)
	}
	return one, stat.parent, nil
}

// interprets reports whether what a program runs is said by its arguments alone.
func interprets(program string) bool {
	name := strings.TrimRight(path.Base(program), "0123456789.")
	switch name {
	case "node", "nodejs", "bun", "deno", "python", "pypy", "ruby", "perl", "java", "env":
		return true
	}
	return false
}

// names returns the first arguments of a process.
//
// Attack: a process has its arguments in memory that a file system of its own
// serves. Whoever reads them waits for it, and nothing ends that but the file
// system. So another goroutine reads, its time is bounded, and so is how many may
// hang for one user.
func (a *Ancestry) names(p process) ([]string, error) {
	var st unix.Stat_t
	if err := unix.Fstat(p.dir, &st); err != nil {
		return nil, vanished(p.pid, err)
	}
	fd, err := unix.Openat(p.dir, "cmdline", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, vanished(p.pid, err)
	}
	a.mu.Lock()
	full := a.hangs[st.Uid] >= maxUserHangs
	if !full {
		a.hangs[st.Uid]++
	}
	a.mu.Unlock()
	if full {
		unix.Close(fd)
		return nil, fmt.Errorf("process %d: too many processes of user %d keep their arguments back", p.pid, st.Uid)
	}
	read := make(chan []byte, 1)
	go func() {
		buf := make([]byte, maxNames)
		n, err := unix.Read(fd, buf)
		unix.Close(fd)
		a.mu.Lock()
		if a.hangs[st.Uid]--; a.hangs[st.Uid] == 0 {
			delete(a.hangs, st.Uid)
		}
		a.mu.Unlock()
		if err != nil {
			n = 0
		}
		read <- buf[:n]
	}()
	timer := time.NewTimer(namesTime)
	defer timer.Stop()
	select {
	case text := <-read:
		return firstWords(text), nil
	case <-timer.C:
		return nil, fmt.Errorf("process %d keeps its arguments back", p.pid)
	}
}

// firstWords are the first four arguments: of an interpreter, its own name, perhaps
// options, and the script.
func firstWords(text []byte) (words []string) {
	for word := range bytes.SplitSeq(text, []byte{0}) {
		if len(words) == 4 {
			break
		}
		if len(word) > 0 {
			words = append(words, string(word))
		}
	}
	return words
}

// terminalName is a terminal's device as people know it, for a number as
// /proc/PID/stat writes it (new_encode_dev of the kernel's linux/kdev_t.h; majors
// as in Documentation/admin-guide/devices.txt).
func terminalName(number uint32) string {
	major, minor := number>>8&0xfff, number&0xff|number>>12&0xfff00
	switch {
	case number == 0:
		return ""
	case major >= 136 && major <= 143:
		return "pts/" + strconv.FormatUint(uint64(major-136)<<20|uint64(minor), 10)
	case major == 4 && minor < 64:
		return "tty" + strconv.FormatUint(uint64(minor), 10)
	}
	return strconv.FormatUint(uint64(major), 10) + ":" + strconv.FormatUint(uint64(minor), 10)
}
