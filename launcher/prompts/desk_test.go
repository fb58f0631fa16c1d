package prompts

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/core/dialog"
	"kpm/core/view"
)

func proc(pid int) core.ProcessID { return core.ProcessID{PID: pid, Start: 1} }

func peer(user core.UserID, pid int) core.Peer {
	return core.Peer{User: user, Processes: []core.ProcessID{proc(pid)}, SameIdentity: true}
}

// tree is a machine: 10 is sshd, which root runs; below it are ada's shells 20 and 30,
// and bob's 40. 22 asks without a terminal, below 21; 31 listens in shell 30, 41 in 40,
// and 23 in a terminal that 21 has made. 50 is ada's tmux, which holds 51 and 52.
type tree struct {
	parent  map[int]int
	program map[int]string
	user    map[int]core.UserID
	by      map[int]core.Origin
	none    map[int]bool // has no terminal
	unknown map[int]bool // whose starter cannot be seen
	device  map[int]uint64
}

func newTree() *tree {
	return &tree{
		parent:  map[int]int{20: 10, 21: 20, 22: 21, 23: 21, 30: 10, 31: 30, 33: 30, 40: 10, 41: 40, 50: 0, 51: 50, 52: 50, 53: 51, 54: 52},
		program: map[int]string{10: "/usr/sbin/cron", 50: "/usr/bin/tmux"},
		user:    map[int]core.UserID{10: "0", 40: "1001", 41: "1001"},
		by:      map[int]core.Origin{}, none: map[int]bool{22: true}, unknown: map[int]bool{}, device: map[int]uint64{},
	}
}

func (m *tree) desk() *Desk {
	return New(Config{
		Ancestors: func(id core.ProcessID) (list []core.Ancestor, err error) {
			for pid := id.PID; pid > 0; pid = m.parent[pid] {
				if _, there := m.parent[pid]; !there && pid != 10 {
					return nil, errors.New("it has ended")
				}
				list = append(list, core.Ancestor{ID: proc(pid), Program: m.program[pid]})
			}
			return list, nil
		},
		Starter: func(id core.ProcessID) (core.UserID, error) {
			if m.unknown[id.PID] {
				return "", errors.New("it has ended")
			}
			if user, other := m.user[id.PID]; other {
				return user, nil
			}
			return "1000", nil
		},
		TerminalOf: func(id core.ProcessID) (core.Terminal, error) {
			if m.none[id.PID] {
				return core.Terminal{}, nil
			}
			if at, same := m.device[id.PID]; same {
				return core.Terminal{Device: at, Leader: id}, nil
			}
			return core.Terminal{Device: uint64(id.PID), Leader: id}, nil
		},
		Behind: func(id core.ProcessID) (core.Origin, error) {
			if by, set := m.by[id.PID]; set {
				return by, nil
			}
			return core.Origin{By: core.ByTerminal}, nil
		},
	})
}

// Who is asked has a terminal, and is no coding agent, nor anything that nobody knows.
func TestWhoMayListen(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*tree)
		peer   core.Peer
		want   error
	}{
		"a person at a terminal":         {nil, peer("1000", 31), nil},
		"without a terminal":             {func(m *tree) { m.none[31] = true }, peer("1000", 31), ErrNoTerminal},
		"a coding agent":                 {func(m *tree) { m.by[31] = core.Origin{By: core.ByAgent, Agent: "codex"} }, peer("1000", 31), ErrAgent},
		"one that has left its parents":  {func(m *tree) { m.by[31] = core.Origin{} }, peer("1000", 31), ErrNoTerminal},
		"several processes":              {nil, core.Peer{User: "1000", Processes: []core.ProcessID{proc(31), proc(33)}, SameIdentity: true}, ErrWhose},
		"a setuid program":               {nil, core.Peer{User: "1000", Processes: []core.ProcessID{proc(31)}}, ErrWhose},
		"a container":                    {nil, core.Peer{User: "1000", Processes: []core.ProcessID{proc(31)}, SameIdentity: true, Foreign: true}, ErrWhose},
		"what is confined":               {nil, core.Peer{User: "1000", Processes: []core.ProcessID{proc(31)}, SameIdentity: true, Confined: "another root directory"}, ErrWhose},
		"nobody knows which process":     {nil, core.Peer{User: "1000", SameIdentity: true}, ErrWhose},
		"a process of a graphical shell": {func(m *tree) { m.by[31] = core.Origin{By: core.ByDesktop} }, peer("1000", 31), ErrNoTerminal},
	} {
		m := newTree()
		if tc.change != nil {
			tc.change(m)
		}
		_, stop, err := m.desk().Listen(tc.peer)
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, expected %v", name, err, tc.want)
		}
		if err == nil {
			stop()
		}
	}
	d := newTree().desk()
	d.cfg.TerminalOf = func(core.ProcessID) (core.Terminal, error) { return core.Terminal{}, errors.ErrUnsupported }
	if _, _, err := d.Listen(peer("1000", 31)); !errors.Is(err, ErrWhose) {
		t.Errorf("where nobody knows terminals: %v", err)
	}
}

// Who answers belongs neither to the request nor to whatever has made it.
func TestWhoIsAsked(t *testing.T) {
	for name, tc := range map[string]struct {
		change            func(*tree)
		asking, listening core.Peer
		want              bool
	}{
		"another terminal of theirs": {nil, peer("1000", 22), peer("1000", 31), true},
		"another user's":             {nil, peer("1000", 22), peer("1001", 41), false},
		"the same process":           {nil, peer("1000", 31), peer("1000", 31), false},
		"one that has left its parents, in the same terminal": {func(m *tree) {
			delete(m.none, 22)
			m.parent[22], m.device[22], m.device[31] = 10, 7, 7
		}, peer("1000", 22), peer("1000", 31), false},
		"what the request has started":                         {func(m *tree) { m.parent[31] = 22 }, peer("1000", 22), peer("1000", 31), false},
		"what the request has started, and holds terminals":    {func(m *tree) { m.parent[22], m.parent[31], m.program[22] = 10, 22, "/usr/bin/tmux" }, peer("1000", 22), peer("1000", 31), false},
		"whoever has started the request, and holds terminals": {func(m *tree) { m.parent[31], m.parent[22], m.program[31] = 10, 31, "/usr/bin/tmux" }, peer("1000", 22), peer("1000", 31), false},
		"whoever has started the request":                      {nil, peer("1000", 22), peer("1000", 21), false},
		"what the same program has started":                    {nil, peer("1000", 22), peer("1000", 23), false},
		"another window of tmux":                               {nil, peer("1000", 53), peer("1000", 54), true},
		"what calls itself tmux":                               {func(m *tree) { m.program[50] = "/home/ada/tmux" }, peer("1000", 53), peer("1000", 54), false},
		"a common parent of which nobody knows whose it is":    {func(m *tree) { m.unknown[10] = true }, peer("1000", 22), peer("1000", 31), false},
		"a common parent that is another user's":               {func(m *tree) { m.user[10] = "7" }, peer("1000", 22), peer("1000", 31), true},
		"a request of a process that has ended":                {nil, peer("1000", 99), peer("1000", 31), false},
		"a request of a container":                             {nil, core.Peer{User: "1000", Processes: []core.ProcessID{proc(22)}, Foreign: true}, peer("1000", 31), false},
		"a request of several processes":                       {nil, core.Peer{User: "1000", Processes: []core.ProcessID{proc(22), proc(21)}}, peer("1000", 31), false},
	} {
		m := newTree()
		if tc.change != nil {
			tc.change(m)
		}
		d := m.desk()
		_, stop, err := d.Listen(tc.listening)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, there := d.Find(tc.asking); there != tc.want {
			t.Errorf("%s: asked %v, expected %v", name, there, tc.want)
		}
		stop()
		if _, there := d.Find(tc.asking); there {
			t.Errorf("%s: asked though nobody listens", name)
		}
	}
	for name, change := range map[string]func(*tree){
		"that has lost its terminal since":      func(m *tree) { m.none[31] = true },
		"that is a coding agent's by now":       func(m *tree) { m.by[31] = core.Origin{By: core.ByAgent} },
		"that has left its parents by now":      func(m *tree) { m.by[31] = core.Origin{} },
		"that has come to the request's parent": func(m *tree) { m.parent[31] = 21 },
	} {
		m := newTree()
		d := m.desk()
		_, stop, err := d.Listen(peer("1000", 31))
		if err != nil {
			t.Fatal(err)
		}
		change(m)
		if _, there := d.Find(peer("1000", 22)); there {
			t.Errorf("asked what listens, and %s", name)
		}
		stop()
	}
}

// asked is one question under way.
type asked struct {
	answer dialog.Answer
	err    error
}

func ask(ctx context.Context, t *testing.T, d *Desk) <-chan asked {
	t.Helper()
	show, there := d.Find(peer("1000", 22))
	if !there {
		t.Fatal("nobody listens")
	}
	done := make(chan asked, 1)
	go func() {
		a, err := show(ctx, dialog.Desktop{}, dialog.Question{Kind: dialog.KindReason, Code: "ABCDEF", Text: "Why?"})
		done <- asked{a, err}
	}()
	return done
}

// An answer counts once, from the process that was asked.
func TestAnAnswerCounts(t *testing.T) {
	d := newTree().desk()
	said, stop, err := d.Listen(peer("1000", 31))
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	done := ask(t.Context(), t, d)
	p := <-said
	if p.Kind != view.PromptQuestion || p.Question.Code != "ABCDEF" {
		t.Fatalf("%+v", p)
	}
	if _, there := d.Find(peer("1000", 22)); there {
		t.Error("who is being asked is asked something else")
	}
	given := dialog.Answer{Outcome: dialog.Given, Text: "a reason"}
	for name, who := range map[string]core.Peer{"another process": peer("1000", 33), "another user": peer("1001", 31), "nobody": {User: "1000"}} {
		if err := d.Answer(who, p.ID, given); !errors.Is(err, ErrUnasked) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := d.Answer(peer("1000", 31), "", given); !errors.Is(err, ErrUnasked) {
		t.Errorf("to no question: %v", err)
	}
	if err := d.Answer(peer("1000", 31), p.ID, given); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.err != nil || got.answer != given {
		t.Errorf("%+v", got)
	}
	if err := d.Answer(peer("1000", 31), p.ID, given); !errors.Is(err, ErrUnasked) {
		t.Errorf("twice: %v", err)
	}
	if len(said) != 0 {
		t.Errorf("an answered question is over: %+v", <-said)
	}
}

// Who goes has declined, at once; a question that is over is not answered any more.
func TestWhoGoesHasDeclined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newTree().desk()
		said, stop, err := d.Listen(peer("1000", 31))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := ask(ctx, t, d)
		p := <-said
		cancel()
		if got := <-done; got.answer.Outcome != dialog.Declined || !errors.Is(got.err, context.Canceled) {
			t.Errorf("%+v", got)
		}
		if over := <-said; over.Kind != view.PromptOver || over.ID != p.ID {
			t.Errorf("%+v", over)
		}
		if err := d.Answer(peer("1000", 31), p.ID, dialog.Answer{Outcome: dialog.Given}); !errors.Is(err, ErrUnasked) {
			t.Errorf("answered too late: %v", err)
		}
		done = ask(t.Context(), t, d)
		<-said
		gone := time.Now()
		stop()
		if got := <-done; got.answer.Outcome != dialog.Declined || got.err != nil || time.Since(gone) > 0 {
			t.Errorf("%+v after %v", got, time.Since(gone))
		}
		stop() // again
	})
}

// Attack: one person's programs take the places of everybody, or wait to be asked and do
// not read.
func TestListenersAreBounded(t *testing.T) {
	d := newTree().desk()
	for range maxOwnListeners {
		if _, _, err := d.Listen(peer("1000", 31)); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := d.Listen(peer("1000", 31)); !errors.Is(err, ErrTooMany) {
		t.Errorf("one more of one person: %v", err)
	}
	said, stop, err := d.Listen(peer("1001", 41))
	if err != nil {
		t.Fatalf("another person: %v", err)
	}
	defer stop()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	asking := peer("1001", 22)
	rounds := 0
	for show, there := d.Find(asking); there && rounds < 10*maxWaiting; show, there = d.Find(asking) {
		if _, err := show(ctx, dialog.Desktop{}, dialog.Question{}); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		rounds++
	}
	if rounds == 0 || rounds > maxWaiting || len(said) > maxWaiting {
		t.Errorf("%d questions for whoever does not read, %d wait", rounds, len(said))
	}
}
