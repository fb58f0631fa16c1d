package request

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
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
			before, after = "decided++; ", ""
		case Pend:
			before = "decided++; if :: required = 1 :: required = 2 :: required = 3 fi; "
		case Deny:
			before = "decided++; "
		case Satisfied:
			// One control at a time; the last one moves the request.
			before = "if :: satisfied = satisfied | 1 :: satisfied = satisfied | 2 fi; "
		case Remembered:
			before = "satisfied = required; "
		case Asked:
			guard += " && !substitute"
		case Substitute:
			guard += " && substitute"
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
	p("ltl noStartWithoutADecision { [] (started == 0 || decided == 1 || substitute) }")
	p("ltl controls { [] (started == 0 || ((required & satisfied) == required)) }")
	p("ltl nothingAfterDeny { [] (denied == 0 || started == 0) }")
	return b.String()
}

// Every claim holds in every order of events. Debian's spin goes through all of them.
func TestTheModel(t *testing.T) {
	claims := []string{"oneEnd", "once", "decidedOnce", "noStartWithoutRecord", "noStartWithoutADecision", "controls", "nothingAfterDeny"}
	text := model()
	check := checker(t, text)
	for _, claim := range claims {
		if out := check(claim); !strings.Contains(out, "errors: 0") {
			t.Errorf("%s does not hold:\n%s", claim, out)
		}
	}
	// It can tell: a launch that needs no decision is found.
	wrong := strings.Replace(text, "(!crashed && !substitute && st == st_Opened) -> become(st_Evaluating);", "(!crashed && !substitute && st == st_Opened) -> become(st_Allowed);", 1)
	if out := checker(t, wrong)("noStartWithoutADecision"); wrong == text || strings.Contains(out, "errors: 0") {
		t.Error("the model finds no fault in a launch without a decision")
	}
}

// checker makes what goes through a model for one claim, and returns what it says.
func checker(t *testing.T, text string) func(claim string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "request.pml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(program string, args ...string) string {
		cmd := exec.Command(program, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %q: %v\n%s", program, args, err, out)
		}
		return string(out)
	}
	run("spin", "-a", "request.pml")
	run("gcc", "-O1", "-w", "-o", "pan", "pan.c")
	return func(claim string) string { return run("./pan", "-a", "-N", claim) }
}
