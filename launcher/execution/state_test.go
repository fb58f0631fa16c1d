package execution

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/wire"
)

// Whoever is kept from a program is told so: of the same one once a minute. Whose
// command it was hears of what that may not start, and nobody of what was allowed.
func TestPeopleAreTold(t *testing.T) {
	within(t, func(t *testing.T, m *machine) {
		m.execute(alice, plain)()
		m.execute(root, denied)()
		for range 3 {
			m.execute(alice, held)() // is asked about each time
		}
		synctest.Wait() // the program does not
		m.execute(alice, denied)()
		synctest.Wait()
		m.server.Started(enter(t, m, wire.ChildrenOwnRule))
		m.execute(elevated, plain)()
		want := []string{"alice /usr/bin/held", "alice /usr/bin/denied", "alice /usr/bin/plain"}
		if got := m.heard(); !slices.Equal(got, want) {
			t.Errorf("told %q, expected %q", got, want)
		}
		if r := m.told[0]; r.User != "1000" || len(r.Controls) != 1 || len(r.Policies) != 1 || r.Request != "" {
			t.Errorf("%+v", r)
		}
		if r := m.told[2]; r.User != "1000" || r.Request != "REQ" {
			t.Errorf("%+v", r)
		}
		time.Sleep(time.Minute)
		m.execute(alice, held)()
		if got := m.heard(); len(got) != 4 {
			t.Errorf("a minute later: told %q", got)
		}
	})
}

// Attack: who tries one program after the other fills nobody's screen, and takes no
// notice from anybody else.
func TestPeopleAreToldSoOften(t *testing.T) {
	within(t, func(t *testing.T, m *machine) {
		m.policy = func(wire.PolicyRequest) (wire.PolicyResponse, error) {
			return wire.PolicyResponse{Decision: core.Deny, Policies: []core.PolicyRef{{ID: "p"}}}, nil
		}
		for i := range 3 * tellMost {
			inode := uint64(100 + i)
			m.kernel.programs[inode] = port.Program{Path: fmt.Sprint("/home/alice/", i), Hash: fmt.Sprint(i)}
			m.execute(alice, inode)()
		}
		if got := m.heard(); len(got) != tellMost {
			t.Errorf("told %q", got)
		}
		m.execute(bob, denied)()
		if got := m.heard(); len(got) != tellMost+1 || got[tellMost] != "#1001 /usr/bin/denied" {
			t.Errorf("told %q", got)
		}
	})
}

// That policies are not kept is known as long as they are about programs, somebody has
// switched it on, and nothing stops any.
func TestDown(t *testing.T) {
	within(t, func(t *testing.T, m *machine) {
		expect := func(is State, down string) {
			t.Helper()
			synctest.Wait()
			got := m.server.State()
			if got.On != is.On || got.Needed != is.Needed || got.Running != is.Running || (got.Why == "") != (down == "" && is.Why == "") {
				t.Errorf("%+v, expected %+v", got, is)
			}
			if text := m.server.Down(); (text == "") != (down == "") || !strings.Contains(text, down) {
				t.Errorf("down: %q, expected %q", text, down)
			}
		}
		expect(State{On: true, Needed: true, Running: true}, "")
		m.kernel.Close()
		expect(State{On: true, Needed: true}, "are not kept: keeperexec has ended")
		m.server.Policies("none about programs", false, false)
		expect(State{On: true, Why: "it has ended"}, "")
		m.server.Policies("about what commands start", false, true)
		expect(State{On: true, Needed: true}, "are not kept: keeperexec has ended")
		next := newKernel()
		next.who, next.programs = m.kernel.who, m.kernel.programs
		m.mu.Lock()
		m.kernel = next
		m.mu.Unlock()
		time.Sleep(first)
		expect(State{On: true, Needed: true, Running: true}, "")
		m.server.Switch(false, nil)
		expect(State{Needed: true}, "")
	})
}
