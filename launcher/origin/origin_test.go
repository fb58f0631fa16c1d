package origin

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
)

var (
	shellID  = core.ProcessID{PID: 20, Start: 2}
	askingID = core.ProcessID{PID: 30, Start: 9}
)

// chain is keepersudo below what is named, the nearest first, in a terminal.
func chain(terminal string, between ...core.Ancestor) []core.Ancestor {
	list := []core.Ancestor{{ID: askingID, Program: "/usr/bin/keepersudo", Names: []string{"keepersudo"}}}
	for i, a := range between {
		a.ID = core.ProcessID{PID: 29 - i, Start: uint64(8 - i)}
		list = append(list, a)
	}
	list = append(list, core.Ancestor{ID: shellID, Program: "/usr/bin/bash", Names: []string{"bash"}}, core.Ancestor{ID: core.ProcessID{PID: 10, Start: 1}, Program: "/usr/sbin/sshd"})
	for i := range list {
		list[i].Leader, list[i].Terminal = shellID, terminal
	}
	return list
}

type ancestry struct {
	list []core.Ancestor
	err  error
}

func (a ancestry) Ancestors(core.ProcessID) ([]core.Ancestor, error) { return a.list, a.err }
func (a ancestry) Starter(core.ProcessID) (core.UserID, error)       { return "", errors.ErrUnsupported }

type sessions struct {
	of  core.SessionID
	all []core.Session
	err error
}

func (s sessions) Of(core.ProcessID) (core.SessionID, error) { return s.of, s.err }
func (s sessions) Terminal(core.ProcessID) (core.Terminal, error) {
	return core.Terminal{}, s.err
}
func (s sessions) List(context.Context) ([]core.Session, error) { return s.all, s.err }

func TestWhoIsBehindARequest(t *testing.T) {
	node := func(script string) core.Ancestor {
		return core.Ancestor{Program: "/usr/bin/node", Names: []string{"node", "node", script}}
	}
	left := chain("pts/1")[:1] // its parent has ended
	desktop := sessions{of: "3", all: []core.Session{{ID: "3", Graphical: true}}}
	for _, tc := range []struct {
		name     string
		list     []core.Ancestor
		sessions sessions
		by       core.Requester
		agent    string
	}{
		{"a person at a terminal", chain("pts/1"), desktop, core.ByTerminal, ""},
		{"their script", chain("pts/1", core.Ancestor{Program: "/usr/bin/make", Names: []string{"make"}}), desktop, core.ByTerminal, ""},
		{"a program of the desktop", chain(""), desktop, core.ByDesktop, ""},
		{"a program of a session without windows", chain(""), sessions{of: "4", all: []core.Session{{ID: "4"}}}, core.ByService, ""},
		{"a daemon", chain(""), sessions{}, core.ByService, ""},
		{"where nobody knows sessions", chain(""), sessions{err: errors.ErrUnsupported}, core.ByService, ""},
		{"an agent's own program", chain("pts/1", core.Ancestor{Program: "/home/ada/.local/bin/codex"}), desktop, core.ByAgent, "codex"},
		{"a version of one", chain("pts/1", core.Ancestor{Program: "/home/ada/.local/share/claude/versions/2.1.9"}), desktop, core.ByAgent, "share/claude/versions"},
		{"a script of node", chain("pts/1", node("/usr/lib/node_modules/@openai/codex/bin/run.js")), desktop, core.ByAgent, "@openai/codex"},
		{"one called so", chain("pts/1", node("/opt/tools/gemini.js")), desktop, core.ByAgent, "gemini"},
		{"one that calls itself so", chain("", core.Ancestor{Program: "/usr/bin/node", Names: []string{"Claude"}}), desktop, core.ByAgent, "claude"},
		{"a shell of one", chain("", core.Ancestor{Program: "/usr/bin/bash"}, core.Ancestor{Program: "/usr/bin/aider"}), sessions{}, core.ByAgent, "aider"},
		{"one that the machine knows", chain("pts/1", core.Ancestor{Program: "/opt/corp/robot/bin/run"}), desktop, core.ByAgent, "opt/corp/robot"},
		{"a file in an agent's folder is not one", chain("pts/1", core.Ancestor{Program: "/usr/bin/vi", Names: []string{"vi"}}), desktop, core.ByTerminal, ""},
		{"one that has left its parent", left, desktop, core.ByUnknown, ""},
		{"one that has left an agent, of which the way up shows nothing", chain("", node("x"))[:2], desktop, core.ByUnknown, ""},
	} {
		f := NewFinder(ancestry{list: tc.list}, tc.sessions, NewAgents([]string{"/opt/corp/robot/"}))
		o, err := f.Of(askingID)
		if err != nil || o.By != tc.by || o.Agent != tc.agent || o.Leader != shellID {
			t.Errorf("%s: got %+v, %v, expected %q %q", tc.name, o, err, tc.by, tc.agent)
		}
	}
	gone := errors.New("it has ended")
	if o, err := NewFinder(ancestry{err: gone}, nil, NewAgents(nil)).Of(askingID); !errors.Is(err, gone) || o != (core.Origin{}) {
		t.Errorf("of what cannot be seen: %+v, %v", o, err)
	}
}

// A script that elevates again and again does not make the login manager answer each
// time; a session that is made graphical, or whose number another one has, is seen soon.
func TestTheLoginManagerIsAskedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := &counting{sessions: sessions{of: "3", all: []core.Session{{ID: "3"}}}}
		f := NewFinder(ancestry{list: chain("")}, asked, NewAgents(nil))
		by := func() core.Requester {
			o, err := f.Of(askingID)
			if err != nil {
				t.Fatal(err)
			}
			return o.By
		}
		for range 5 {
			if got := by(); got != core.ByService {
				t.Errorf("by %q", got)
			}
		}
		asked.all[0].Graphical = true
		time.Sleep(seenAge)
		if got := by(); got != core.ByDesktop || asked.lists != 2 {
			t.Errorf("by %q, after %d questions; want the desktop after 2", got, asked.lists)
		}
		asked.err = errors.New("no answer") // nothing is remembered of that
		time.Sleep(seenAge)
		by()
		asked.err = nil
		if got := by(); got != core.ByDesktop {
			t.Errorf("by %q, want the desktop once there is an answer", got)
		}
	})
}

type counting struct {
	sessions
	lists int
}

func (c *counting) Of(core.ProcessID) (core.SessionID, error) { return c.of, nil }

func (c *counting) List(context.Context) ([]core.Session, error) {
	c.lists++
	return c.all, c.err
}

// On Windows nothing tells who leads a session, and which terminal somebody is at: an
// agent is known by what it runs, and of everybody else nothing is.
func TestCodingAgentsOnWindows(t *testing.T) {
	asking := core.Ancestor{ID: askingID, Program: `C:\Program Files\KeeperPrivilegeManager\keepersudo.exe`}
	for what, tc := range map[string]struct {
		by    core.Ancestor
		agent string
	}{
		"its own program":            {core.Ancestor{Program: `C:\Users\ada\.local\bin\Claude.exe`}, "claude"},
		"a script of node":           {core.Ancestor{Program: `C:\nodejs\node.exe`, Names: []string{"node", `C:\Users\ada\AppData\Roaming\npm\node_modules\@openai\codex\bin\run.js`}}, "@openai/codex"},
		"one that the machine knows": {core.Ancestor{Program: `D:\corp\robot\run.exe`}, "corp/robot"},
		"a person":                   {core.Ancestor{Program: `C:\Windows\System32\cmd.exe`}, ""},
	} {
		f := NewFinder(ancestry{list: []core.Ancestor{asking, tc.by}}, sessions{of: "1", all: []core.Session{{ID: "1", Graphical: true}}}, NewAgents([]string{`\corp\robot\`}))
		o, err := f.Of(askingID)
		want := core.ByUnknown
		if tc.agent != "" {
			want = core.ByAgent
		}
		if err != nil || o.By != want || o.Agent != tc.agent || o.Key() != "" {
			t.Errorf("%s: %+v, %v", what, o, err)
		}
	}
}
