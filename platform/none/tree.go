package none

import (
	"errors"
	"os"

	"kpm/core"
	"kpm/core/port"
)

// Tree implements port.ProcessTree: nothing is launched.
type Tree struct{}

var _ port.ProcessTree = Tree{}

// Self implements port.ProcessTree. The start stamp is not known.
func (Tree) Self() core.ProcessID { return core.ProcessID{PID: os.Getpid()} }

// Alive implements port.ProcessTree.
func (Tree) Alive(core.ProcessID) bool { return false }

// Which implements port.ProcessTree.
func (Tree) Which(core.ProcessID, []port.Group) int { return -1 }

// Empty implements port.ProcessTree.
func (Tree) Empty(core.ProcessID, string) bool { return true }

// Occupied implements port.ProcessTree.
func (Tree) Occupied([]port.Group) ([]bool, error) { return nil, errors.ErrUnsupported }

// KillGroups implements port.ProcessTree.
func (Tree) KillGroups(...port.Group) (int, error) { return 0, errors.ErrUnsupported }
