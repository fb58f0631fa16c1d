package request

import (
	"fmt"
	"strings"
	"testing"

	"kpm/core/spintest"
)

// model is a request as Promela: the table of this package, driven by everyone there is
// in any order, with the controls that are required and those that are satisfied, the
// record that names the child, and a crash of the service at any point, after which its
// next start fails every request that is open and ends what it has not released.
func model() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	var states []string
	for _, s := range []State{Opened, Evaluating, Pending, Allowed, Launching, Running, Ended, Denied, Expired, Failed} {
		states = append(states, "st_"+string(s))
	}
	p("mtype:state = { %s }", strings.Join(states, ", "))
	p("mtype:state st = st_Opened;")
	p("bit substitute = 0;") // it is for what a rule names in place of an allowed request
	p("byte required = 0; byte satisfied = 0; byte started = 0; byte ends = 0; byte decided = 0;")
	p("bit durable = 0; bit crashed = 0; bit denied = 0;")
	p("inline become(to) { st = to; if :: (to == st_Ended || to == st_Denied || to == st_Expired || to == st_Failed) -> ends++; if :: (to == st_Denied) -> denied = 1 :: else fi :: else fi }")
	p("active proctype service() {")
	p("if :: substitute = 1 :: substitute = 0 fi;")
	p("do")
	for _, t := range transitions {
		guard, before, after := "!crashed", "", ""
		switch t.Cause {
		case Allow:
			guard += " && !substitute"
			before, after = "decided++; ", ""
		case Pend:
			guard += " && !substitute"
			before = "decided++; if :: required = 1 :: required = 2 :: required = 3 fi; "
		case Deny:
			before = "decided++; "
		case Satisfied:
			// One control at a time; the last one moves the request.
			before = "if :: satisfied = satisfied | 1 :: satisfied = satisfied | 2 fi; "
		case Remembered:
			before = "satisfied = required; "
		case Substitute:
			guard += " && substitute"
			before = "decided++; "
		case Held:
			before, after = "durable = 1; ", " started++;"
		}
		move := fmt.Sprintf("become(st_%s);", t.To)
		if t.Cause == Satisfied {
			move = fmt.Sprintf("if :: ((required & satisfied) == required) -> become(st_%s) :: else fi;", t.To)
		}
		p(":: atomic { (%s && st == st_%s) -> %s%s%s } /* %s by %s */", guard, t.From, before, move, after, t.Cause, t.By)
	}
	final := "(st == st_Ended || st == st_Denied || st == st_Expired || st == st_Failed)"
	// The service dies. A child that was not released ends by itself; one that was is
	// ended, and the record says so.
	p(":: atomic { (!crashed && !%s) -> crashed = 1 }", final)
	p(":: atomic { (crashed && !%s) -> become(st_Failed) }", final)
	p(":: %s -> break", final)
	p("od }")
	p("ltl oneEnd { [] (ends <= 1) }")
	p("ltl once { [] (started <= 1) }")
	p("ltl decidedOnce { [] (decided <= 1) }")
	p("ltl noStartWithoutRecord { [] (started == 0 || durable) }")
	p("ltl noStartWithoutADecision { [] (started == 0 || decided == 1) }")
	p("ltl controls { [] (started == 0 || ((required & satisfied) == required)) }")
	p("ltl nothingAfterDeny { [] (denied == 0 || started == 0) }")
	return b.String()
}

// Every claim holds in every order of events. Debian's spin goes through all of them.
func TestTheModel(t *testing.T) {
	text := model()
	spintest.Holds(t, text, "oneEnd", "once", "decidedOnce", "noStartWithoutRecord", "noStartWithoutADecision", "controls", "nothingAfterDeny")
	// It can tell: a launch that needs no decision is found.
	spintest.Finds(t, text, "noStartWithoutADecision", "(!crashed && st == st_Opened) -> become(st_Evaluating);", "(!crashed && st == st_Opened) -> become(st_Allowed);")
}
