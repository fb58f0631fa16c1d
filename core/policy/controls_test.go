package policy

import (
	"slices"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/controls"
)

// withBadge is the engine with one control more: a row of the table.
func withBadge() *Engine {
	return New(Kinds(), append(controls.Standard(), controls.Row{Name: "BADGE", Effect: controls.Required}))
}

func TestAnotherControlIsARow(t *testing.T) {
	policies, findings := withBadge().Parse("a.json", []byte("["+
		sketch{id: "a", controls: "badge"}.json()+","+sketch{id: "b", controls: "JUSTIFY MFA"}.json()+"]"))
	if len(findings) != 0 {
		t.Fatal(findings)
	}
	set, findings := withBadge().Compile(policies, linux())
	got := set.Decide(ask("/usr/bin/id", "id", "id"))
	if want := []core.Control{"BADGE", core.ControlJustify, core.ControlMFA}; len(findings) != 0 || got.Outcome != core.Pending || !slices.Equal(got.Controls, want) {
		t.Errorf("%+v, %v", got, findings)
	}
}

// What a table does not have may stand for anything: it grants nothing, and
// whoever wrote it is told what there is.
func TestAControlThatIsNotInTheTable(t *testing.T) {
	text := sketch{id: "a", controls: "ALLOW BADGE"}.json()
	policies, findings := engine.Parse("a.json", []byte(text))
	if len(findings) != 1 || findings[0].Severity != Doubt || !strings.HasSuffix(findings[0].Expected, controls.Standard().String()) {
		t.Errorf("read with %v", findings)
	}
	set, _ := engine.Compile(policies, linux())
	if got := set.Decide(ask("/usr/bin/id", "id", "id")); got.Outcome != core.Deny {
		t.Errorf("%+v", got)
	}
	// Attack: it was read by an engine that knows it.
	policies, _ = withBadge().Parse("a.json", []byte(text))
	set, findings = engine.Compile(policies, linux())
	if len(findings) != 1 || findings[0].Field != "$.Actions.OnSuccess.Controls[1]" || findings[0].Expected != "one of "+controls.Standard().String() {
		t.Errorf("compiled with %v", findings)
	}
	if got := set.Decide(ask("/usr/bin/id", "id", "id")); got.Outcome != core.Deny {
		t.Errorf("%+v", got)
	}
}
