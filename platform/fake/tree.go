package fake

import (
	"slices"
	"sync"

	"kpm/core"
	"kpm/core/port"
)

// Tree knows who belongs to which root, who is dead, and which groups of
// ended roots still have members.
type Tree struct {
	// Process is Self.
	Process core.ProcessID
	mu      sync.Mutex
	Members map[core.ProcessID]core.ProcessID
	Dead    map[core.ProcessID]bool
	Full    map[core.ProcessID]bool
	Killed  []core.ProcessID
	KillErr error
	// Stay are the roots of groups that KillGroups does not end.
	Stay map[core.ProcessID]bool
	// Looks counts the calls of Occupied, Groups what it was asked about, and LookErr
	// is what it answers. Kills counts the calls of KillGroups.
	Looks, Groups int
	Kills         int
	LookErr       error
}

// NewTree returns a tree that knows nobody. self is this process.
func NewTree(self core.ProcessID) *Tree {
	return &Tree{Process: self, Members: map[core.ProcessID]core.ProcessID{}, Dead: map[core.ProcessID]bool{}, Full: map[core.ProcessID]bool{}}
}

var _ port.ProcessTree = (*Tree)(nil)

// Self implements port.ProcessTree.
func (f *Tree) Self() core.ProcessID { return f.Process }

// Alive implements port.ProcessTree.
func (f *Tree) Alive(id core.ProcessID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.Dead[id]
}

// Which implements port.ProcessTree.
func (f *Tree) Which(id core.ProcessID, groups []port.Group) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.Dead[id] {
		return -1
	}
	return slices.IndexFunc(groups, func(g port.Group) bool { return id == g.Root || f.Members[id] == g.Root })
}

// Empty implements port.ProcessTree.
func (f *Tree) Empty(root core.ProcessID, _ string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.Full[root]
}

// Occupied implements port.ProcessTree.
func (f *Tree) Occupied(groups []port.Group) ([]bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Looks++
	f.Groups += len(groups)
	occupied := make([]bool, len(groups))
	for i, g := range groups {
		occupied[i] = f.Full[g.Root]
	}
	return occupied, f.LookErr
}

// KillGroups implements port.ProcessTree.
func (f *Tree) KillGroups(groups ...port.Group) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Kills++
	for _, g := range groups {
		f.Killed = append(f.Killed, g.Root)
		if f.Full[g.Root] && !f.Stay[g.Root] {
			f.Full[g.Root] = false
		}
	}
	return 2 * len(groups), f.KillErr
}

// Set says whether a group has members that live.
func (f *Tree) Set(id core.ProcessID, full bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Full[id] = full
}

// Die says that a process has ended.
func (f *Tree) Die(id core.ProcessID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Dead[id] = true
}
