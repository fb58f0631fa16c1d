package start

import (
	"fmt"
	"testing"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/fake"
)

var self = core.ProcessID{PID: 10, Start: 1}

func TestWhoAPeerIs(t *testing.T) {
	pid := func(n int) core.ProcessID { return core.ProcessID{PID: n, Start: 1} }
	var (
		plugin, pluginChild = pid(100), pid(101)
		task, taskChild     = pid(200), pid(201)
		userTask            = pid(300)
		command, commandSub = pid(400), pid(401)
		stranger, other     = pid(500), pid(501)
		dead                = pid(600)
		runaway             = pid(700)                            // of some command; only that it is ours is still known
		reused              = core.ProcessID{PID: 100, Start: 99} // plugin's pid, later
	)
	tree := fake.NewTree(self)
	tree.Dead[dead] = true
	for child, of := range map[core.ProcessID]core.ProcessID{pluginChild: plugin, taskChild: task, commandSub: command, dead: plugin, runaway: self} {
		tree.Members[child] = of
	}
	r := NewRegistry(tree, self)
	asPlugin := core.Principal{Kind: core.Plugin, Name: "KeeperPolicy"}
	asTask := core.Principal{Kind: core.JobRun, Name: "job", Run: "1", Request: "R"}
	asUser := core.Principal{Kind: core.Plugin, Name: "KeeperClient", User: "1000", InUserSession: true}
	r.Register(Entry{Root: plugin, Group: "p", As: asPlugin, User: "0"})
	r.Register(Entry{Root: task, Group: "t", As: asTask, User: "0"})
	r.Register(Entry{Root: userTask, Group: "u", As: asUser, User: "1000"})
	r.RegisterElevated(command, "e")

	root := func(ids ...core.ProcessID) core.Peer {
		return core.Peer{User: "0", Administrator: true, Processes: ids, SameIdentity: true}
	}
	user := func(ids ...core.ProcessID) core.Peer {
		return core.Peer{User: "1000", Processes: ids, SameIdentity: true}
	}
	setuid, foreign := root(plugin), root(plugin)
	setuid.SameIdentity, foreign.Foreign = false, true
	public := func(u core.UserID) core.Principal { return core.Principal{Kind: core.Public, User: u} }
	local := func(u core.UserID) core.Principal { return core.Principal{Kind: core.User, User: u} }
	admin := core.Principal{Kind: core.Admin, User: "0"}
	none := core.ProcessID{}
	cases := map[string]struct {
		peer core.Peer
		who  core.Principal
		root core.ProcessID
	}{
		"a plugin":                          {root(plugin), asPlugin, plugin},
		"its descendant":                    {root(pluginChild), asPlugin, plugin},
		"both":                              {root(pluginChild, plugin), asPlugin, plugin},
		"a task":                            {root(taskChild), asTask, task},
		"a plugin in a user's session":      {user(userTask), asUser, userTask},
		"root":                              {root(stranger), admin, none},
		"a user":                            {user(stranger, other), local("1000"), none},
		"a later process with the same pid": {root(reused), admin, none},
		"this service itself":               {root(self), public("0"), none},
		"this service and somebody":         {root(stranger, self), public("0"), none},
		"two plugins":                       {root(plugin, task), public("0"), none},
		"a plugin and somebody":             {root(plugin, stranger), public("0"), none},
		"somebody and a plugin":             {root(stranger, plugin), public("0"), none},
		"a plugin that became a user":       {user(pluginChild), local("1000"), none},
		"a user's plugin that became root":  {root(userTask), admin, none}, // root may do this; nobody else can
		"an elevated command":               {root(command), local("0"), command},
		"its descendant, as root":           {root(commandSub), local("0"), command},
		"root with an elevated command":     {root(stranger, commandSub), local("0"), command},
		"a plugin with an elevated command": {root(plugin, command), local("0"), command},
		"an elevated command as a user":     {user(commandSub), local("1000"), none},
		"what has fled from its group":      {root(runaway), local("0"), none},
		"root with what has fled":           {root(stranger, runaway), local("0"), none},
		"a setuid program with the socket":  {setuid, public("0"), none},
		"another namespace":                 {foreign, public("0"), none},
		"nobody":                            {root(), public("0"), none},
		"one who has died":                  {root(dead), public("0"), none},
		"root and one who has died":         {root(stranger, dead), public("0"), none},
	}
	for name, c := range cases {
		if who, at := r.Identify(c.peer); who != c.who || at != c.root {
			t.Errorf("%s: %+v in %v, expected %+v in %v", name, who, at, c.who, c.root)
		}
	}
	r.Remove(plugin)
	r.Remove(command)
	for _, id := range []core.ProcessID{plugin, command} {
		if who, at := r.Identify(root(id)); who != admin || at != none {
			t.Errorf("removed: %+v in %v", who, at)
		}
	}
}

// sayingTree says of everybody what it is told to say, one after the other.
type sayingTree struct {
	*fake.Tree
	says []int
}

func (s *sayingTree) Which(core.ProcessID, []port.Group) int {
	at := s.says[0]
	s.says = s.says[min(1, len(s.says)-1):]
	return at
}

// A command that root was given ends the processes between it and this service while it
// is looked up: of whom it cannot be said that they are not ours, they are not root's.
func TestWhoMayBeOursIsNoAdministrator(t *testing.T) {
	leaf := core.ProcessID{PID: 400, Start: 1}
	for name, c := range map[string]struct {
		says []int
		want core.Kind
	}{
		"nobody's":                     {[]int{-1}, core.Admin},
		"nobody's, and then ours":      {[]int{-1, 0}, core.User},
		"it cannot be said":            {[]int{port.Unknown, -1}, core.User},
		"nobody's, and then who knows": {[]int{-1, port.Unknown}, core.User},
	} {
		r := NewRegistry(&sayingTree{fake.NewTree(self), c.says}, self)
		if who, _ := r.Identify(core.Peer{User: "0", Administrator: true, Processes: []core.ProcessID{leaf}, SameIdentity: true}); who.Kind != c.want {
			t.Errorf("%s: %+v, expected %v", name, who, c.want)
		}
	}
}

// dyingTree is a tree in which whoever is asked about has died right after.
type dyingTree struct{ *fake.Tree }

func (d dyingTree) Which(id core.ProcessID, groups []port.Group) int {
	defer d.Die(id)
	return d.Tree.Which(id, groups)
}

// An elevated command connects, hands its connection on, and dies while it is
// looked up: what is not known to be its group any more is not root's.
func TestWhoDiesWhileItIsLookedUpIsNobody(t *testing.T) {
	command, child := core.ProcessID{PID: 400, Start: 1}, core.ProcessID{PID: 401, Start: 1}
	tree := dyingTree{fake.NewTree(self)}
	tree.Members[child] = command
	r := NewRegistry(tree, self)
	r.RegisterElevated(core.ProcessID{PID: 300, Start: 1}, "asked first, which kills")
	r.RegisterElevated(command, "e")
	peer := core.Peer{User: "0", Administrator: true, Processes: []core.ProcessID{child}, SameIdentity: true}
	for range 20 { // in either order of the two
		if who, _ := r.Identify(peer); who.Kind != core.Public {
			t.Fatalf("it is %+v", who)
		}
		tree.Dead = map[core.ProcessID]bool{}
	}
}

func TestEntriesEndWithTheirLastProcess(t *testing.T) {
	tree := fake.NewTree(self)
	r := NewRegistry(tree, self)
	lingering := core.ProcessID{PID: 1, Start: 1}
	tree.Full[lingering] = true
	for i := range 100 {
		id := core.ProcessID{PID: i + 1, Start: 1}
		r.Register(Entry{Root: id, Group: "g"})
		r.End(id)
		r.End(id)
	}
	if _, kept := r.services[lingering]; !kept || len(r.services) > maxEnded+1 || len(r.ended) != len(r.services) {
		t.Errorf("kept %v, %d entries, %d ended", kept, len(r.services), len(r.ended))
	}
	r.End(core.ProcessID{PID: 9999}) // never registered
	if len(r.ended) != len(r.services) {
		t.Error("an unknown process ended")
	}
}

func BenchmarkIdentify(b *testing.B) {
	tree := fake.NewTree(self)
	r := NewRegistry(tree, self)
	for i := range 20 {
		r.Register(Entry{Root: core.ProcessID{PID: i}, Group: fmt.Sprint(i), User: "0"})
	}
	peer := core.Peer{User: "0", Processes: []core.ProcessID{{PID: 7}}, SameIdentity: true}
	for b.Loop() {
		r.Identify(peer)
	}
}
