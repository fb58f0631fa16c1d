package service_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/door"
)

// One elevation, from the request to the exit status, on an operating system of
// fakes.
func TestAnOperatingSystem(t *testing.T) {
	m := boot(t)
	m.install(m.bin("allowed"), report(0))
	m.install(m.bin("justified"), report(7))
	m.install(m.bin("other"), report(0))
	mine := filepath.Join(m.Files.Dir, "home", "allowed")
	m.install(mine, report(3))

	t.Run("allow", func(t *testing.T) {
		out := m.output()
		if got := m.ask(out, "allowed", "a b", "$c").exit(); got != (door.Exit{}) {
			t.Errorf("%+v", got)
		}
		if got, want := printed(t, out), "root UserElevated allowed a b $c"; got != want {
			t.Errorf("it was started as %q, expected %q", got, want)
		}
		records, types := m.recorded()
		if want := "opened evaluating allowed launching launched ended"; types != want {
			t.Fatalf("recorded: %s", types)
		}
		opened, launched, ended := records[0], records[4], records[5]
		if opened.User != "ada" || opened.Target != "root" || opened.Program.Path != m.bin("allowed") || !opened.Program.Protected {
			t.Errorf("opened: %+v", opened)
		}
		if launched.Child == nil || launched.Child.Start == 0 || ended.Exit == nil || *ended.Exit != (core.ExitStatus{}) {
			t.Errorf("launched %+v, ended %+v", launched, ended)
		}
	})
	t.Run("allow a user's own program", func(t *testing.T) {
		out := m.output()
		if got := m.ask(out, mine).exit(); got != (door.Exit{Code: 3}) || !strings.HasPrefix(printed(t, out), "root ") {
			t.Errorf("%+v, it printed %q", got, printed(t, out))
		}
		// What ran was a copy that its owner could not change.
		records, _ := m.recorded()
		if program := records[0].Program; program.Path != mine || program.Protected {
			t.Errorf("opened: %+v", program)
		}
	})
	t.Run("deny", func(t *testing.T) {
		out := m.output()
		if got := m.ask(out, "other").refused(); got.Code != door.CodeDenied || !strings.Contains(got.Message, "not this one") {
			t.Errorf("%+v", got)
		}
		if _, types := m.recorded(); types != "opened evaluating denied" || printed(t, out) != "" {
			t.Errorf("recorded: %s; it printed %q", types, printed(t, out))
		}
	})
	t.Run("justify", func(t *testing.T) {
		out := m.output()
		v := m.ask(out, "justified")
		v.answer(m.bin("justified"), door.Answer{Text: "the disk is full"})
		if got := v.exit(); got != (door.Exit{Code: 7}) || printed(t, out) != "root UserElevated justified" {
			t.Errorf("%+v, it printed %q", got, printed(t, out))
		}
		records, types := m.recorded()
		if want := "opened evaluating pending control allowed launching launched ended"; types != want {
			t.Fatalf("recorded: %s", types)
		}
		if reason := records[3]; reason.Message != "the disk is full" || !slices.Equal(reason.Controls, []core.Control{core.ControlJustify}) {
			t.Errorf("recorded as %+v", reason)
		}
	})
	t.Run("justify without a reason", func(t *testing.T) {
		v := m.ask(m.output(), "justified")
		v.answer(m.bin("justified"), door.Answer{Cancelled: true})
		if got := v.refused(); got.Code != door.CodeDenied {
			t.Errorf("%+v", got)
		}
		if _, types := m.recorded(); types != "opened evaluating pending denied" {
			t.Errorf("recorded: %s", types)
		}
	})
}
