//go:build linux

package linux

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
)

// lookPiece is how many processes are looked at before everything else that
// the service does goes on.
const lookPiece = 32

// Occupied implements port.ProcessTree. Groups that are sessions are found by
// one walk over all processes, however many they are.
func (t *Tree) Occupied(groups []port.Group) ([]bool, error) {
	occupied := make([]bool, len(groups))
	sessions := newSessions()
	for i, named := range groups {
		g, ok := parseGroup(named.Name)
		switch {
		case !ok || g.stale:
		case g.cgroup == "":
			sessions.add(g, i)
		default:
			has, err := hasMembers(g.cgroup)
			occupied[i] = has || err != nil // one that cannot be seen may have members
		}
		if i%lookPiece == lookPiece-1 {
			t.yielder.Yield()
		}
	}
	err := t.eachMember(sessions, func(_ core.ProcessID, of []int) {
		for _, at := range of {
			occupied[at] = true
		}
	})
	return occupied, err
}

// eachMember calls member for each living process of session groups, with the indexes of
// those in the question.
func (t *Tree) eachMember(ss *sessions, member func(id core.ProcessID, of []int)) error {
	if len(ss.groups) == 0 {
		return nil
	}
	all, err := t.processes()
	if err != nil {
		return err
	}
	ss.each(all, t.self.PID, t.asking(), member)
	return nil
}

// processes are all processes of this machine.
func (t *Tree) processes() (map[int]procStat, error) {
	names, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	all := map[int]procStat{}
	for i, entry := range names {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		s, err := statOf(pid)
		if err == nil {
			all[pid] = s
		} else if !errors.Is(err, errVanished) {
			return nil, err
		}
		if i%lookPiece == lookPiece-1 {
			t.yielder.Yield()
		}
	}
	return all, nil
}

// hasMembers reports whether a process lives in a cgroup or below. The kernel's own word
// that nobody does is right; that somebody does it also says in the last moments of those
// that were reaped, and so they are looked for: most that have any have them in the
// cgroup itself, and to walk below means to list its forty files.
func hasMembers(dir string) (bool, error) {
	if data, err := os.ReadFile(dir + "/cgroup.events"); err == nil && bytes.Contains(data, []byte("populated 0\n")) {
		return false, nil
	}
	data, err := os.ReadFile(dir + "/cgroup.procs")
	switch {
	case err == nil && len(pidsIn(data)) > 0:
		return true, nil
	case errors.Is(err, fs.ErrNotExist): // every cgroup has this file
		return false, nil
	}
	pids, err := membersOf(dir)
	return len(pids) > 0, err
}

// pidsIn are the processes that a cgroup.procs names; 0 is one of elsewhere.
func pidsIn(data []byte) (pids []int) {
	for _, field := range strings.Fields(string(data)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// membersOf lists the processes in a cgroup and below; of one that is not there
// any more, none.
func membersOf(dir string) ([]int, error) {
	var pids []int
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() != "cgroup.procs" {
			return err
		}
		data, err := os.ReadFile(dir + "/" + path)
		pids = append(pids, pidsIn(data)...)
		return err
	})
	// A file that was opened before its cgroup went says that there is no device.
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		err = nil
	}
	return pids, err
}
