package approval

import (
	"fmt"
	"strings"
	"testing"

	"kpm/core/spintest"
)

// model is an approval as Promela: the table of this package, driven by approvers, the
// requester and the clock in any order, with one or two approvers needed, and a crash
// of the service between what it writes and what it says. The next service begins with
// what is on the disk.
func model() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	var states []string
	final := []string{}
	for _, s := range []State{Pending, Escalated, Approved, Denied, Expired, Used, Withdrawn} {
		states = append(states, "st_"+string(s))
		if s.Final() {
			final = append(final, "disk == st_"+string(s))
		}
	}
	p("mtype:state = { %s }", strings.Join(states, ", "))
	p("mtype:state disk = st_pending; mtype:state st = st_pending;")
	p("byte need = 1; byte agreed = 0; byte ran = 0; byte uses = 0; byte ends = 0; byte crashes = 0;")
	p("bit up = 1; bit refused = 0;")
	p("active proctype service() {")
	p("if :: need = 1 :: need = 2 fi;")
	p("do")
	for _, t := range Transitions() {
		guard, effect, says := "", "", ""
		switch t.Cause {
		case Agree:
			guard, effect = " && agreed + 1 < need", "agreed++; "
		case Approve:
			guard, effect = " && agreed + 1 >= need", "agreed++; "
		case Deny:
			effect = "refused = 1; "
		case Schedule: // which stands for all approvers
			effect = "agreed = need; "
		case Launch:
			effect, says = "uses++; ", "ran++; "
		case Extend: // which changes a time alone
			continue
		}
		if t.To.Final() {
			effect += "ends++; "
		}
		// It is written, and then the service says so, or does not live to say it.
		p(":: (up && st == st_%s%s) -> atomic { %sdisk = st_%s }; if :: atomic { %sst = st_%s } :: (crashes < 3) -> atomic { up = 0; crashes++ } fi /* %s by %s */",
			t.From, guard, effect, t.To, says, t.To, t.Cause, t.By)
	}
	p(":: (up && crashes < 3) -> atomic { up = 0; crashes++ }")
	p(":: (!up) -> atomic { st = disk; up = 1 }")
	p(":: (up && (%s)) -> break", strings.Join(final, " || "))
	p("od }")
	p("ltl once { [] (ran <= 1) }")
	p("ltl usedOnce { [] (uses <= 1) }")
	p("ltl enoughApprovers { [] (ran == 0 || agreed >= need) }")
	p("ltl nothingAfterNo { [] (refused == 0 || ran == 0) }")
	p("ltl oneEnd { [] (ends <= 1) }")
	return b.String()
}

// Every claim holds in every order of events. Debian's spin goes through all of them.
func TestTheModel(t *testing.T) {
	text := model()
	spintest.Holds(t, text, "once", "usedOnce", "enoughApprovers", "nothingAfterNo", "oneEnd")
	// It can tell: what runs before it is approved, and what is said before it is
	// written, is found.
	spintest.Finds(t, text, "enoughApprovers", "(up && st == st_approved) -> atomic { uses++;", "(up && st == st_pending) -> atomic { uses++;")
	spintest.Finds(t, text, "once", "uses++; ends++; disk = st_used", "uses++; ends++; skip")
}
