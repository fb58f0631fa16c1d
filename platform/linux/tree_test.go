//go:build linux

package linux

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
)

// identify returns the full name of a process that is alive.
func identify(t testing.TB, pid int) core.ProcessID {
	t.Helper()
	start, err := startTicks(pid)
	must(t, err)
	return core.ProcessID{PID: pid, Start: start}
}

// Whoever ended with their parent has no way up that could be looked at.
func TestALineageThatBreaksOffIsNotWhole(t *testing.T) {
	const nobody = 1 << 30 // more than any pid
	if line, whole := (procStat{pid: nobody, parent: nobody + 1, start: 7}).lineage(); whole || len(line) != 1 {
		t.Errorf("of who is not there: %v, %v", line, whole)
	}
	self, ok := readStat(os.Getpid())
	if line, whole := self.lineage(); !ok || !whole || line[0].PID != os.Getpid() || len(line) < 2 {
		t.Errorf("of this process: %v, %v", line, whole)
	}
	self.parent = nobody // as it was read before its parent ended
	if line, whole := self.lineage(); !whole || len(line) < 2 {
		t.Errorf("of this process, whose parent has changed: %v, %v", line, whole)
	}
}

// belongs reports whether a process is a member of a launch group.
func belongs(tree *Tree, root core.ProcessID, group string, id core.ProcessID) bool {
	return tree.Which(id, []port.Group{{Root: root, Name: group}}) == 0
}

// family is a launch whose processes have spread in every way they can. Each
// writes its pid and then sleeps.
const family = `
(exec sh -c "echo child $rest") &
(exec setsid sh -c "echo own-session $rest") &
( (exec sh -c "echo orphan $rest") & )
( (exec setsid sh -c "echo daemon $rest") & )
eval "echo root $rest"
`

// rest is how each of them goes on after its name.
const rest = `$$; exec 1>&-; exec sleep 1000`

// launchFamily starts family and returns the pid of each member.
func launchFamily(t *testing.T, l *Launcher, env ...string) (port.Process, string, map[string]core.ProcessID) {
	t.Helper()
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	spec := shell(t, family)
	spec.Streams.Output, spec.Env = w, append(env, "rest="+rest)
	p, h := start(t, l, spec)
	w.Close()
	out := readAll(t, r)
	members := map[string]core.ProcessID{}
	for line := range strings.Lines(out) {
		name, pid, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.Atoi(pid)
		must(t, err)
		members[name] = identify(t, n)
	}
	if len(members) != 5 || members["root"] != p.ID() {
		t.Fatalf("%v started %v from %q", p.ID(), members, out)
	}
	// The two whose parents are gone have become ours.
	for _, name := range []string{"orphan", "daemon"} {
		eventually(t, name+" is adopted", func() bool { s, _ := readStat(members[name].PID); return s.parent == os.Getpid() })
	}
	return p, h.Group(), members
}

func TestLaunchGroup(t *testing.T) {
	for _, tc := range []struct {
		name   string
		home   func(t testing.TB) string
		env    []string
		member map[string]bool // what Member says; KillGroups ends these
		killed []string        // and these
	}{
		{
			"cgroup", withCgroups, nil,
			map[string]bool{"root": true, "child": true, "own-session": true, "orphan": true, "daemon": true}, nil,
		},
		{
			// A daemon is recognised by its environment, which only ends it: it
			// gains nothing by that.
			"session, tagged", func(testing.TB) string { return "" }, []string{"A=1", "KEEPER_REQUEST_ID=TAG1", "PATH=/bin:/usr/bin"},
			map[string]bool{"root": true, "child": true, "own-session": true, "orphan": true, "daemon": false}, []string{"daemon"},
		},
		{
			"session", func(testing.TB) string { return "" }, []string{"PATH=/bin:/usr/bin"},
			map[string]bool{"root": true, "child": true, "own-session": true, "orphan": true, "daemon": false}, nil,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLauncher(t, 1, tc.home(t))
			tree := NewTree()
			p, group, members := launchFamily(t, l, tc.env...)
			stranger, strangerGroup, strangers := launchFamily(t, l, "KEEPER_REQUEST_ID=TAG2", "PATH=/bin:/usr/bin")
			defer func() {
				must(t, stranger.Kill())
				for _, id := range strangers {
					killExactly(id) // the untagged daemon, which no group knows
				}
				for _, id := range members {
					killExactly(id)
				}
			}()
			want := 0
			for name, id := range members {
				if got := belongs(tree, p.ID(), group, id); got != tc.member[name] {
					t.Errorf("%s is a member: %v, want %v", name, got, tc.member[name])
				}
				if tc.member[name] {
					want++
				}
				if belongs(tree, stranger.ID(), strangerGroup, id) {
					t.Errorf("%s is taken for a member of another group", name)
				}
				later := id
				later.Start++
				if belongs(tree, p.ID(), group, later) || tree.Alive(later) {
					t.Errorf("%s is taken for a later process with its pid", name)
				}
				if !belongs(tree, tree.Self(), "", id) {
					t.Errorf("%s is not seen to descend from the service", name)
				}
			}
			if belongs(tree, p.ID(), group, tree.Self()) {
				t.Error("the service is taken for a member")
			}
			if tree.Empty(p.ID(), group) {
				t.Error("Empty before KillGroups")
			}
			n, err := tree.KillGroups(port.Group{Root: p.ID(), Name: group})
			if want += len(tc.killed); n != want || err != nil {
				t.Errorf("KillGroups = %d, %v; want %d", n, err, want)
			}
			status, err := p.Wait(t.Context())
			if status.Signal != int(unix.SIGKILL) || err != nil {
				t.Errorf("it ended with %v, %v", status, err)
			}
			for name, id := range members {
				gone := tc.member[name] || contains(tc.killed, name)
				if gone { // a signal takes its time on a busy machine
					eventually(t, name+" is gone", func() bool { return !tree.Alive(id) })
					eventually(t, name+" is reaped", func() bool { _, exists := readStat(id.PID); return !exists })
				} else if !tree.Alive(id) {
					t.Errorf("KillGroups ended %s", name)
				}
			}
			for name, id := range strangers {
				if !tree.Alive(id) {
					t.Errorf("KillGroups ended %s of another group", name)
				}
			}
			if !tree.Empty(p.ID(), group) {
				t.Error("not Empty after KillGroups")
			}
			if n, err := tree.KillGroups(port.Group{Root: p.ID(), Name: group}); n != 0 || err != nil {
				t.Errorf("again: KillGroups = %d, %v", n, err)
			}
			other, otherGroup, others := launchFamily(t, l, "KEEPER_REQUEST_ID=TAG3", "PATH=/bin:/usr/bin")
			n, err = tree.KillGroups(port.Group{Root: stranger.ID(), Name: strangerGroup}, port.Group{Root: other.ID(), Name: "no group"},
				port.Group{Root: p.ID(), Name: group}, port.Group{Root: other.ID(), Name: otherGroup})
			if n != len(strangers)+len(others) || !errors.Is(err, errBadGroup) {
				t.Errorf("of two at once, one that has gone and none: KillGroups = %d, %v; want %d and %v", n, err, len(strangers)+len(others), errBadGroup)
			}
			for _, family := range []map[string]core.ProcessID{strangers, others} {
				for name, id := range family {
					eventually(t, name+" is gone", func() bool { return !tree.Alive(id) })
				}
			}
		})
	}
}

func contains(list []string, s string) bool {
	for _, item := range list {
		if item == s {
			return true
		}
	}
	return false
}

// A program that ends leaves its group behind: what it left can still be ended.
func TestKillAfterTheProgramHasEnded(t *testing.T) {
	for name, home := range map[string]string{"session": "", "cgroup": withCgroups(t)} {
		t.Run(name, func(t *testing.T) {
			l := newLauncher(t, 1, home)
			out, _ := output(t, l, shell(t, "sleep 1000 >/dev/null 2>&1 & echo $!"))
			pid, err := strconv.Atoi(strings.TrimSpace(out))
			must(t, err)
			left := identify(t, pid)
			p, h := start(t, l, shell(t, "sleep 1000 & exit 0"))
			_, err = p.Wait(t.Context())
			must(t, err)
			if l.tree.Empty(p.ID(), h.Group()) {
				t.Error("Empty, but something was left")
			}
			must(t, p.Kill())
			if !l.tree.Empty(p.ID(), h.Group()) || !l.tree.Alive(left) {
				t.Errorf("empty: %v, the other launch's rest alive: %v", l.tree.Empty(p.ID(), h.Group()), l.tree.Alive(left))
			}
			killExactly(left)
		})
	}
}

// A process whose environment cannot be read, here FIFOs that nobody writes to,
// carries nothing and keeps nobody waiting, the next question included.
func TestNobodyWaitsForAnEnvironment(t *testing.T) {
	tree := NewTree()
	stuck := filepath.Join(public(t), "environ")
	must(t, unix.Mkfifo(stuck, 0o600))
	own := exec.Command("sleep", "1000")
	own.Env = []string{"A=1", "TAG=x", "B=2"}
	must(t, own.Start())
	defer func() { own.Process.Kill(); own.Wait() }()
	environ := environOf(own.Process.Pid)
	eventually(t, "sleep runs", func() bool { return carries(tree.asking()(environ), "TAG=x") })

	for range maxEnvirons + 2 {
		done := make(chan bool, 1)
		go func() {
			ask := tree.asking()
			done <- carries(ask(stuck), "TAG=x") || carries(ask(environ), "TAG=x")
		}()
		select {
		case yes := <-done:
			if yes {
				t.Error("found something after its time")
			}
		case <-time.After(20 * time.Second):
			t.Fatal("a question waits for an environment")
		}
	}
	// Those that were waited for end some time; then there is room again.
	fifo, err := os.OpenFile(stuck, os.O_RDWR, 0)
	must(t, err)
	must(t, errors.Join(os.Remove(stuck), fifo.Close()))
	eventually(t, "there is room again", func() bool { return carries(tree.asking()(environ), "TAG=x") })
	for _, other := range []string{"TAG", "TAG=", "AG=x", "TAG=xy"} {
		if carries(tree.asking()(environ), other) {
			t.Errorf("%q is taken for a variable", other)
		}
	}
}

// Group names come back from a journal that may be of another boot, or damaged.
func TestGroupNamesThatAreNotToBeTrusted(t *testing.T) {
	tree := NewTree()
	victim := exec.Command("sleep", "1000")
	victim.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	must(t, victim.Start())
	defer func() { victim.Process.Kill(); victim.Wait() }()
	id := identify(t, victim.Process.Pid)
	if n, err := tree.KillGroups(port.Group{Root: id, Name: "session:" + id.String() + ":another-boot"}); n != 0 || err != nil || !tree.Alive(id) {
		t.Errorf("a group of another boot: KillGroups = %d, %v; alive: %v", n, err, tree.Alive(id))
	}
	if !tree.Empty(id, "session:"+id.String()+":another-boot") {
		t.Error("a group of another boot is not empty")
	}
	earlier := core.ProcessID{PID: id.PID, Start: id.Start - 1}
	if n, err := tree.KillGroups(port.Group{Root: earlier, Name: sessionName(earlier, nil)}); n != 0 || err != nil || !tree.Alive(id) {
		t.Errorf("the pid's earlier owner: KillGroups = %d, %v; alive: %v", n, err, tree.Alive(id))
	}
	own := ownCgroup(t)
	for _, name := range []string{
		"", "nonsense", "cgroup:", "cgroup:/", "cgroup:" + own, "cgroup:/sys/fs/cgroup", "cgroup:/a/kpm-x/../..", "cgroup:kpm-x",
		"session:", "session:1@1:" + bootID(), "session:0@0:" + bootID(), "session:-5@1:" + bootID(), "session:5:" + bootID(), "session:5@6",
	} {
		if n, err := tree.KillGroups(port.Group{Root: id, Name: name}); n != 0 || err == nil {
			t.Errorf("KillGroups(%q) = %d, %v; want an error", name, n, err)
		}
	}
}

// carries reports whether a variable, NAME=value, is in an environment.
func carries(env environment, variable string) bool {
	return slices.Contains(strings.Split(string(env), "\x00"), variable)
}

func FuzzParseGroup(f *testing.F) {
	f.Add("cgroup:/sys/fs/cgroup/kpm/kpm-ABC")
	f.Add("session:12@345:boot")
	f.Add("session:12@345:boot:KEEPER_RUN_ID=x:y")
	f.Fuzz(func(t *testing.T, name string) {
		g, ok := parseGroup(name)
		if ok && g.cgroup == "" && g.root.PID < 2 {
			t.Errorf("%q would end process %d", name, g.root.PID)
		}
		if ok && g.cgroup != "" && (cgroupName(g.cgroup) != name || !strings.Contains(name, "/"+cgroupPrefix)) {
			t.Errorf("%q became %+v", name, g)
		}
	})
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("7 (a) b) S 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 1"))
	f.Add([]byte("7 (a"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, stat []byte) {
		if s, ok := parseStat(7, stat); ok && s.pid != 7 {
			t.Errorf("%q became %+v", stat, s)
		}
	})
}

func TestParseStatWithAHostileName(t *testing.T) {
	s, ok := parseStat(7, []byte("7 (x) R 1 1 1 (y) S 3 7 9 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 1"))
	if want := (procStat{pid: 7, state: 'S', parent: 3, session: 9, start: 4711}); !ok || s != want {
		t.Errorf("got %+v, want %+v", s, want)
	}
}

func TestCgroupPaths(t *testing.T) {
	for _, tc := range []struct {
		c          cgroups
		path, want string
	}{
		{cgroups{"/sys/fs/cgroup", "/"}, "/a/b", "/sys/fs/cgroup/a/b"},
		{cgroups{"/sys/fs/cgroup", "/"}, "/", "/sys/fs/cgroup"},
		{cgroups{"/sys/fs/cgroup", "/box"}, "/box/a", "/sys/fs/cgroup/a"},
		{cgroups{"/sys/fs/cgroup", "/box"}, "/other", ""},
		{cgroups{"/sys/fs/cgroup", "/"}, "/../outside", ""},
	} {
		if got := tc.c.dir(tc.path); got != tc.want {
			t.Errorf("%+v.dir(%q) = %q, want %q", tc.c, tc.path, got, tc.want)
		}
	}
}
