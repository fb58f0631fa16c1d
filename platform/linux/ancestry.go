//go:build linux

package linux

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/unix/ancestry"
)

// Ancestry reads /proc.
type Ancestry struct{ names ancestry.Names }

var _ port.Ancestry = (*Ancestry)(nil)

// NewAncestry returns an Ancestry.
func NewAncestry() *Ancestry { return &Ancestry{} }

// Ancestors implements port.Ancestry.
func (a *Ancestry) Ancestors(id core.ProcessID) ([]core.Ancestor, error) {
	var stats []procStat // of each that was looked at
	list, err := ancestry.Walk(id, errVanished, func(pid int) (core.Ancestor, int, error) {
		one, stat, err := a.ancestor(pid)
		stats = append(stats, stat)
		return one, stat.parent, err
	})
	if err == nil {
		lead(list, stats)
	}
	return list, err
}

// lead says who leads the sessions of processes. Most of them are in a session that
// one of them leads. A leader of the same number that is another process has a session
// of its own.
func lead(list []core.Ancestor, stats []procStat) {
	leaders := map[int]core.ProcessID{}
	for i := range list {
		if stats[i].session == list[i].ID.PID {
			leaders[stats[i].session] = list[i].ID
		}
	}
	for i := range list {
		session := stats[i].session
		leader, known := leaders[session]
		if !known {
			if st, there := readStat(session); there && st.session == session {
				leader = core.ProcessID{PID: session, Start: st.start}
			}
			leaders[session] = leader
		}
		if leader.Start <= list[i].ID.Start {
			list[i].Leader = leader
		}
	}
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
	status, err := p.status()
	if err != nil {
		return "", err
	}
	uids, err := p.uids(status)
	if err != nil {
		return "", err
	}
	return core.UserID(strconv.FormatUint(uint64(uids[0]), 10)), nil
}

func (a *Ancestry) ancestor(pid int) (one core.Ancestor, stat procStat, err error) {
	p, err := openProcess(pid)
	if err != nil {
		return one, stat, err
	}
	defer p.close()
	var buf [1024]byte
	text, err := p.read("stat", buf[:])
	if err != nil {
		return one, stat, err
	}
	stat, ok := parseStat(pid, text)
	if !ok {
		return one, stat, fmt.Errorf("process %d: unreadable stat", pid)
	}
	one = core.Ancestor{ID: core.ProcessID{PID: pid, Start: stat.start}, Terminal: terminalName(stat.terminal)}
	if from, to := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')'); from >= 0 && from < to {
		one.Names = append(one.Names, string(text[from+1:to])) // what /proc/PID/comm says
	}
	if n, err := unix.Readlinkat(p.dir, "exe", buf[:]); err == nil {
		one.Program = strings.TrimSuffix(string(buf[:n]), " (deleted)")
	}
	if ancestry.Interprets(one.Program) {
		names, err := a.said(p)
		if err != nil {
			return one, stat, err
		}
		one.Names = append(one.Names, names...)
	}
	return one, stat, nil
}

// said returns the first arguments of a process.
func (a *Ancestry) said(p process) ([]string, error) {
	var st unix.Stat_t
	if err := unix.Fstat(p.dir, &st); err != nil {
		return nil, vanished(p.pid, err)
	}
	fd, err := unix.Openat(p.dir, "cmdline", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, vanished(p.pid, err)
	}
	return a.names.Of(p.pid, st.Uid, os.NewFile(uintptr(fd), "cmdline"))
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
