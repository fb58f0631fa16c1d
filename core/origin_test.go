package core

import "testing"

func TestWhatIsRememberedForWhom(t *testing.T) {
	shell, other := ProcessID{PID: 100, Start: 7}, ProcessID{PID: 100, Start: 8}
	person := Origin{By: ByTerminal, Terminal: "pts/1", Leader: shell, Session: "3"}
	agent := person
	agent.By, agent.Agent = ByAgent, "claude"
	for _, tc := range []struct {
		name       string
		other      Origin
		same, lent bool // the person's key is the other's own, or what a policy may lend it
	}{
		{"the same terminal", person, true, true},
		{"another process with the leader's number", Origin{By: ByTerminal, Terminal: "pts/1", Leader: other, Session: "3"}, false, false},
		{"another terminal", Origin{By: ByTerminal, Terminal: "pts/2", Leader: ProcessID{PID: 101, Start: 9}, Session: "3"}, false, false},
		{"the desktop of the same login", Origin{By: ByDesktop, Session: "3"}, false, false},
		{"a process that has left the terminal", Origin{By: ByService, Leader: shell}, false, false},
		{"an agent in the terminal", agent, false, true},
		{"an agent without the terminal", Origin{By: ByAgent, Agent: "claude", Leader: shell, Session: "3"}, false, false},
		{"nobody knows who", Origin{}, false, false},
	} {
		if got := tc.other.Key() == person.Key(); got != tc.same {
			t.Errorf("%s: %q and %q", tc.name, tc.other.Key(), person.Key())
		}
		if got := tc.other.KeyOfPerson() == person.Key(); got != tc.lent {
			t.Errorf("%s: lent %q and %q", tc.name, tc.other.KeyOfPerson(), person.Key())
		}
	}
	for _, o := range []Origin{{}, {By: ByTerminal}, {By: ByTerminal, Terminal: "pts/1"}, {By: ByDesktop}, {By: ByService}, {By: ByAgent}} {
		if key := o.Key(); key != "" {
			t.Errorf("%+v is remembered as %q, and does not say where it is", o, key)
		}
	}
}
