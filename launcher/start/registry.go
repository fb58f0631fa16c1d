package start

import (
	"slices"
	"sync"

	"kpm/core"
	"kpm/core/port"
)

// Entry is a plugin or job task that the service launched.
type Entry struct {
	// Root is the process that was launched, Group its launch group.
	Root  core.ProcessID
	Group string
	// As is what it and its live descendants may act as, as long as they are
	// the user that it was launched as.
	As   core.Principal
	User core.UserID
}

// Registry knows every launched process, and says who a peer is. Elevated
// commands are in a table of their own and get no authority from it: it takes
// away the one that their uid would give (decision 10). Its methods may be
// called concurrently.
type Registry struct {
	tree port.ProcessTree
	self core.ProcessID

	mu       sync.RWMutex
	services map[core.ProcessID]Entry
	ended    []core.ProcessID // roots of services that have ended
	elevated map[core.ProcessID]string
}

// maxEnded is how many ended services are kept before it is looked which of
// them have living descendants.
const maxEnded = 16

// NewRegistry returns an empty registry. self is this process.
func NewRegistry(tree port.ProcessTree, self core.ProcessID) *Registry {
	return &Registry{tree: tree, self: self, services: map[core.ProcessID]Entry{}, elevated: map[core.ProcessID]string{}}
}

// Register adds a plugin or task, before its first instruction.
func (r *Registry) Register(e Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.services[e.Root] = e
}

// RegisterElevated adds an elevated command, before its first instruction.
func (r *Registry) RegisterElevated(root core.ProcessID, group string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.elevated[root] = group
}

// Elevated returns how many elevated commands are known.
func (r *Registry) Elevated() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.elevated)
}

// Remove forgets a launch group of either kind.
func (r *Registry) Remove(root core.ProcessID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.services, root)
	delete(r.elevated, root)
}

// End says that the root of a plugin or task has ended. Descendants that live
// keep what it was; once there are none the entry goes.
func (r *Registry) End(root core.ProcessID) {
	groups := r.end(root)
	if len(groups) == 0 {
		return
	}
	// Not under the lock, which everybody's connections wait for.
	occupied, err := r.tree.Occupied(groups)
	if err != nil {
		return // the next end asks again
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, g := range groups {
		if !occupied[i] {
			delete(r.services, g.Root)
			r.ended = slices.DeleteFunc(r.ended, func(root core.ProcessID) bool { return root == g.Root })
		}
	}
}

// end remembers that root has ended, and returns the groups to look at, if they
// have become many.
func (r *Registry) end(root core.ProcessID) (groups []port.Group) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.services[root]; !ok || slices.Contains(r.ended, root) {
		return nil
	}
	r.ended = append(r.ended, root)
	if len(r.ended) <= maxEnded {
		return nil
	}
	r.ended = slices.DeleteFunc(r.ended, func(root core.ProcessID) bool {
		_, there := r.services[root]
		return !there
	})
	for _, root := range r.ended {
		groups = append(groups, port.Group{Root: root, Name: r.services[root].Group})
	}
	return groups
}

// Identify says who a peer is, and the root of its launch group, zero if it is
// in none. Everything comes from the kernel and from what we launched, nothing
// from what the peer says (decisions 10, 11).
func (r *Registry) Identify(peer core.Peer) (core.Principal, core.ProcessID) {
	public := core.Principal{Kind: core.Public, User: peer.User}
	switch {
	case peer.Foreign, !peer.SameIdentity, len(peer.Processes) == 0:
		return public, core.ProcessID{}
	case slices.Contains(peer.Processes, r.self):
		// Our own Http tasks are bound before they connect (decision 16).
		return public, core.ProcessID{}
	}
	who, root := r.among(peer)
	// Attack: connect, hand the socket to a sibling, die: what the dead
	// process was part of cannot be asked any more. Who lives now has lived
	// while it was asked about.
	for _, id := range peer.Processes {
		if !r.tree.Alive(id) {
			return public, core.ProcessID{}
		}
	}
	return who, root
}

// among says which of the registry's groups a peer belongs to, if any.
func (r *Registry) among(peer core.Peer) (core.Principal, core.ProcessID) {
	known := r.known(peer.Administrator)
	var e *Entry
	in, ours := 0, false // how many processes are e's, and whether any is of this service
	var elevated *core.ProcessID
	for _, id := range peer.Processes {
		switch at := known.which(r.tree, id); {
		case at == port.Unknown: // it may be
			ours = true
		case at < 0:
		case at < known.elevated:
			elevated = &known.groups[at].Root
		case at == len(known.groups)-1:
			ours = true
		default:
			one := &known.services[at-known.elevated]
			if e == nil {
				e = one
			}
			if one.Root == e.Root {
				in++
			}
		}
	}
	switch {
	case elevated != nil:
		return core.Principal{Kind: core.User, User: peer.User}, *elevated
	case e != nil && in < len(peer.Processes):
		// Attack: a plugin's socket is shared with a process that is not its
		// own; whose bytes are whose cannot be told.
		return core.Principal{Kind: core.Public, User: peer.User}, core.ProcessID{}
	case e != nil && e.User == peer.User:
		return e.As, e.Root
	case peer.Administrator && !ours && !r.launched(peer.Processes):
		return core.Principal{Kind: core.Admin, User: peer.User}, core.ProcessID{}
	}
	return core.Principal{Kind: core.User, User: peer.User}, core.ProcessID{}
}

// launched reports whether any of the processes descends from this service, or may. It
// asks again, after everything else.
//
// Attack: an elevated command leaves the session and the parents by which its
// group is known, and so becomes a child of ours that belongs to no group.
func (r *Registry) launched(processes []core.ProcessID) bool {
	self := []port.Group{{Root: r.self}}
	return slices.ContainsFunc(processes, func(id core.ProcessID) bool { return r.tree.Which(id, self) != -1 })
}

// groups are those of a moment. Who has connected was registered before that, so whom
// a peer belongs to is asked without the lock, which everybody's connections wait for.
type groups struct {
	// groups are the elevated commands, the services, and what descends from this
	// service.
	groups   []port.Group
	elevated int
	services []Entry
}

// known returns the groups that there are, those of elevated commands for an
// administrator alone: they take away what others have not.
func (r *Registry) known(administrator bool) groups {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var g groups
	if administrator {
		for root, name := range r.elevated {
			g.groups = append(g.groups, port.Group{Root: root, Name: name})
		}
	}
	g.elevated = len(g.groups)
	for root, e := range r.services {
		g.groups = append(g.groups, port.Group{Root: root, Name: e.Group})
		g.services = append(g.services, e)
	}
	g.groups = append(g.groups, port.Group{Root: r.self})
	return g
}

// which returns the index of the group that a process belongs to, or what the tree says
// of one that belongs to none. Roots are known by themselves; but what descends from an
// elevated command belongs to that first.
func (g groups) which(tree port.ProcessTree, id core.ProcessID) int {
	root := slices.IndexFunc(g.groups, func(one port.Group) bool { return one.Root == id })
	if root >= 0 && (root < g.elevated || g.elevated == 0) {
		return root
	}
	if at := tree.Which(id, g.groups); at >= 0 {
		return at
	} else if root < 0 {
		return at
	}
	return root
}

// Administrator reports whether a peer is one outside everything that this
// service has launched.
func (r *Registry) Administrator(peer core.Peer) bool {
	who, _ := r.Identify(peer)
	return who.Kind == core.Admin
}
