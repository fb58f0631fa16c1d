//go:build linux

package linux

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
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
			if err != nil {
				return nil, fmt.Errorf("launch group %s: %w", g.cgroup, err)
			}
			occupied[i] = has
		}
		if i%lookPiece == lookPiece-1 {
			t.yielder.Yield()
		}
	}
	members, err := t.members(sessions)
	if err != nil {
		return nil, err
	}
	for at := range members {
		occupied[at] = true
	}
	return occupied, nil
}

// members are the living processes of session groups that have any, by their index in
// the question.
func (t *Tree) members(ss *sessions) (map[int][]core.ProcessID, error) {
	if len(ss.groups) == 0 {
		return nil, nil
	}
	all, err := t.processes()
	if err != nil {
		return nil, err
	}
	return ss.members(all, t.self.PID, t.asking()), nil
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

// sessions are the session groups of one question.
type sessions struct {
	groups   map[int]group // by their index in the question
	byLeader map[int][]int // pid of the leader to those indexes
}

func newSessions() *sessions {
	return &sessions{groups: map[int]group{}, byLeader: map[int][]int{}}
}

func (ss *sessions) add(g group, at int) {
	ss.groups[at] = g
	ss.byLeader[g.root.PID] = append(ss.byLeader[g.root.PID], at)
}

// String implements fmt.Stringer: whose groups they are.
func (ss *sessions) String() string {
	var roots []string
	for _, g := range ss.groups {
		roots = append(roots, g.root.String())
	}
	slices.Sort(roots)
	return strings.Join(roots, ", ")
}

// members are those among all that live and are in a group: in its session, with its
// tag, or descended from one of whom that is true. The ascent ends at the first process
// and at self.
func (ss *sessions) members(all map[int]procStat, self int, ask asking) map[int][]core.ProcessID {
	members := map[int][]core.ProcessID{}
	direct := map[int][]int{}
	for pid, s := range all {
		if pid == 1 || pid == self {
			continue
		}
		for _, at := range ss.byLeader[s.session] {
			if s.inSession(ss.groups[at].root) {
				direct[pid] = append(direct[pid], at)
			}
		}
		if tags := ss.tagsFor(s); len(tags) > 0 {
			environ := ask(environOf(pid))
			for _, at := range tags {
				if environ.has(ss.groups[at].tag) {
					direct[pid] = append(direct[pid], at)
				}
			}
		}
	}
	for pid, s := range all {
		if s.dead() {
			continue
		}
		id := core.ProcessID{PID: pid, Start: s.start}
		for seen := []int(nil); s.pid > 1 && s.pid != self && !slices.Contains(seen, s.pid); s = all[s.parent] {
			seen = append(seen, s.pid)
			for _, at := range direct[s.pid] {
				members[at] = append(members[at], id)
			}
		}
	}
	return members
}

// tagsFor are the groups whose tag a process may carry: one that was started before a
// group has none of its.
func (ss *sessions) tagsFor(s procStat) (indexes []int) {
	for at, g := range ss.groups {
		if g.tag != "" && s.start >= g.root.Start {
			indexes = append(indexes, at)
		}
	}
	return indexes
}
