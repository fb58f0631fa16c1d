package rights

import (
	"context"
	"errors"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/port"
)

var toolsPolicy = core.PolicyRef{ID: "tools"}

func (m *machine) give(id string, who core.Account, left time.Duration) {
	m.t.Helper()
	if err := m.Give(id, who.User, who.Name, toolsPolicy, left); err != nil {
		m.t.Fatal(err)
	}
	m.round()
}

func TestAnAdministratorForATime(t *testing.T) {
	m := newMachine(t, bob)
	m.give("G1", ada, 30*time.Minute)
	m.are("ada", "bob")
	m.wrote("given ada")
	if got := m.alarms["G1"]; got != 30*time.Minute+spareTime {
		t.Errorf("the alarm goes off in %s", got)
	}
	if list := m.List(ada.User); len(list.Given) != 1 || list.Given[0].Group != sudo { // and not wheel, which there is not
		t.Errorf("listed: %+v", list)
	}
	m.since += 30*time.Minute - time.Second
	m.round()
	m.are("ada", "bob")
	m.since += time.Second
	m.round()
	m.are("bob")
	m.wrote("ended ada")
	if len(m.alarms) > 0 || len(m.List("").Given) > 0 {
		t.Errorf("left: %v %+v", m.alarms, m.List(""))
	}
}

func TestHowATimeEnds(t *testing.T) {
	for name, end := range map[string]func(*machine){
		"it is revoked":                            func(m *machine) { must(t, m.End("G1", "it was revoked")) },
		"the machine was restarted":                func(m *machine) { m.boot, m.since = "two", time.Minute; m.open() },
		"the grant is not there any more":          func(m *machine) { m.open(); must(t, m.Only([]string{"other"})) },
		"the service does not run: an alarm":       func(m *machine) { m.offline = true; m.open(); m.since += time.Hour },
		"it ends while the service does not run":   func(m *machine) { m.since += time.Hour; m.open() },
		"the wall clock does not count, this does": func(m *machine) { m.since += 31 * time.Minute },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, bob)
			m.give("G1", ada, 30*time.Minute)
			m.are("ada", "bob")
			end(m)
			if m.offline {
				must(t, m.Overdue(context.Background()))
			} else {
				m.round()
			}
			m.are("bob")
			// What was done without a journal is told later.
			if m.offline {
				m.offline = false
				m.open()
				m.round()
			}
			m.wrote("given ada", "ended ada")
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The alarm goes off before the time is over, by a clock that somebody has set.
func TestAnAlarmThatIsEarlyEndsNothing(t *testing.T) {
	m := newMachine(t, bob)
	m.give("G1", ada, 30*time.Minute)
	m.offline = true
	m.open()
	must(t, m.Overdue(context.Background()))
	m.are("ada", "bob")
}

// Whoever is an administrator anyway stays one when the time is over.
func TestATimeTakesNothing(t *testing.T) {
	m := newMachine(t, ada, bob)
	m.give("G1", ada, time.Minute)
	m.wrote()
	m.since += time.Hour
	m.round()
	m.are("ada", "bob")
}

func TestATimeAndPolicy(t *testing.T) {
	m := newMachine(t, ada, bob)
	m.wanted[ada.User] = true
	m.round()
	m.are("bob")
	m.give("G1", ada, 30*time.Minute)
	m.are("ada", "bob") // policy waits
	m.round()
	m.are("ada", "bob")
	m.since += time.Hour
	m.round()
	m.are("bob")
	m.wrote("taken ada", "given ada", "ended ada")
	// The policy goes while a time runs: it is her own place again.
	m.give("G2", ada, 30*time.Minute)
	m.wanted[ada.User] = false
	m.round()
	m.since += time.Hour
	m.round()
	m.are("ada", "bob")
}

// Two grants give the same: it lasts as long as the longer one.
func TestTwoTimesAtOnce(t *testing.T) {
	m := newMachine(t, bob)
	m.give("G1", ada, 10*time.Minute)
	m.give("G2", ada, 30*time.Minute)
	m.since += 20 * time.Minute
	m.round()
	m.are("ada", "bob")
	m.give("G2", ada, 30*time.Minute) // prolonged
	m.since += 25 * time.Minute
	m.round()
	m.are("ada", "bob")
	m.since += 10 * time.Minute
	m.round()
	m.are("bob")
}

// Somebody who is an administrator for a time is not the one who may remain.
func TestATimeDoesNotMakeALastAdministrator(t *testing.T) {
	m := newMachine(t, bob)
	m.give("G1", ada, 30*time.Minute)
	m.wanted[bob.User], m.wanted[ada.User] = true, true
	m.round()
	m.are("ada", "bob")
}

// A service is killed at any moment of giving and ending.
func TestKilledWhileATimeBeginsOrEnds(t *testing.T) {
	dead := errors.New("killed")
	kill := func(m *machine) {
		m.members.Before = func(string, core.Account, bool) error { return dead }
		if err := m.Round(context.Background()); !errors.Is(err, dead) {
			t.Fatal(err)
		}
		m.members.Before = nil
		m.open()
	}
	m := newMachine(t, bob)
	must(t, m.Give("G1", ada.User, ada.Name, toolsPolicy, 30*time.Minute))
	kill(m)
	m.are("bob")
	m.round()
	m.are("ada", "bob")
	m.since += time.Hour
	kill(m)
	m.are("ada", "bob")
	m.round()
	m.are("bob")
	if list := m.List(""); len(list.Given) > 0 {
		t.Errorf("kept: %+v", list)
	}
}

// The agent is removed in the middle of everything.
func TestEverythingIsGivenBack(t *testing.T) {
	m := newMachine(t, ada, bob)
	m.wanted[ada.User] = true
	m.round()
	m.give("G1", eve, time.Hour)
	m.are("bob", "eve")
	m.offline = true
	m.open()
	must(t, m.Everything(context.Background(), "the agent is removed"))
	m.are("ada", "bob")
	if list := m.List(""); len(list.Given)+len(list.Taken) > 0 {
		t.Errorf("kept: %+v", list)
	}
	if len(m.alarms) > 0 {
		t.Errorf("alarms are left, for a program that is not there any more: %v", m.alarms)
	}
}

// One person who cannot be put in is nobody else's loss.
func TestOneFaultIsNobodyElses(t *testing.T) {
	m := newMachine(t, ada, bob)
	m.wanted[ada.User], m.wanted[bob.User] = true, true
	m.members.LetRootLogIn()
	m.members.Before = func(_ string, a core.Account, _ bool) error {
		if a.User == ada.User {
			return errors.New("locked")
		}
		return nil
	}
	if err := m.Round(context.Background()); err == nil {
		t.Error("no error")
	}
	m.are("ada")
}

var _ port.Alarms = (*machine)(nil)
