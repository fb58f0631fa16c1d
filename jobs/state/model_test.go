package state

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"kpm/core/spintest"
	"kpm/core/view"
)

// tasksInModel is how many tasks the model's jobs have: enough for a route back, one
// forward and one to itself.
const tasksInModel = 3

// model is a run as Promela: the tables of this package, and a runner, a person who
// cancels, and a crash at any point, after which the service starts again. Outcomes and
// routes are chosen anew at every task, so every job of that many tasks is in it.
func model() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("mtype:state = { st_none, %s }", states())
	p("mtype:state st = st_queued;")
	p("byte at = 0; byte ends = 0; byte rerun = 0; byte budget = 6;")
	p("bit crashed = 0; bit safe = 0; bit ranAfterEnd = 0; bit routedBySkip = 0; bit moved = 0;")
	p("inline become(to) { st = to; if :: (to != st_running) -> ends++ :: else fi }")
	// The table of runs.
	for _, cause := range []Cause{Begin, Skip, Finish, Fail, Cancel, Crash} {
		p("inline by_%s() { if", cause)
		for _, t := range transitions {
			if t.Cause == cause {
				p(":: (st == st_%s) -> become(st_%s)", t.From, t.To)
			}
		}
		p(":: else fi }")
	}
	p("active proctype service() {")
	p("if :: safe = 0 :: safe = 1 fi;")
	p("do")
	p(":: atomic { (st == st_queued && !crashed) -> if :: skip; by_begin() :: skip; by_skip() :: skip; by_fail() :: skip; by_cancel() fi }")
	// One task: an outcome, the route of its file, and the row of the table.
	p(":: atomic { (st == st_running && !crashed && at < %d && budget > 0) -> budget--; if :: (ends > 0) -> ranAfterEnd = 1 :: else fi; if", tasksInModel)
	for _, s := range steps {
		label := fmt.Sprintf("/* %s, route %s, goes on %v */", s.Outcome, s.Route, s.Goes)
		switch s.Move {
		case Next:
			p(":: at++ %s", label)
		case Follow:
			for to := range tasksInModel {
				skip := ""
				if s.Outcome == TaskSkipped {
					skip = "routedBySkip = 1; "
				}
				p(":: %sat = %d %s", skip, to, label)
			}
		case EndWell:
			p(":: skip; by_finish() %s", label)
		case EndBadly:
			p(":: skip; by_fail() %s", label)
		}
	}
	p("fi }")
	p(":: atomic { (st == st_running && !crashed && at >= %d) -> by_finish() }", tasksInModel)
	p(":: atomic { (st == st_running && !crashed && budget == 0) -> by_fail() } /* too many steps */")
	p(":: atomic { (st == st_running && !crashed) -> by_cancel() }")
	p(":: atomic { (!crashed && (st == st_queued || st == st_running)) -> crashed = 1 }")
	// What the next start does with a run that has no end.
	p(":: atomic { (crashed && (st == st_queued || st == st_running)) -> by_crash(); if :: (safe) -> rerun++ :: else fi }")
	p(":: (st != st_queued && st != st_running) -> break")
	p("od }")
	p("ltl oneEnd { [] (ends <= 1) }")
	p("ltl comesToAnEnd { <> (ends == 1) }")
	p("ltl nothingAfterTheEnd { [] (ranAfterEnd == 0) }")
	p("ltl aSkipTakesNoRoute { [] (routedBySkip == 0) }")
	p("ltl aCrashRerunsWhatIsSafe { [] (rerun == 0 || (safe && crashed)) }")
	return b.String()
}

// all are the states, in the order of a run's life.
var all = []State{Queued, Running, Succeeded, Failed, Skipped, Cancelled, Interrupted}

func states() string {
	var list []string
	for _, s := range all {
		list = append(list, "st_"+string(s))
	}
	return strings.Join(list, ", ")
}

// Every claim holds in every run of the model. Debian's spin goes through all of them.
func TestTheModel(t *testing.T) {
	text := model()
	spintest.Holds(t, text, "oneEnd", "comesToAnEnd", "nothingAfterTheEnd", "aSkipTakesNoRoute", "aCrashRerunsWhatIsSafe")
	// It can tell: of a run that ends twice, one claim does not hold.
	spintest.Finds(t, text, "oneEnd", "(st == st_running) -> become(st_succeeded)", "(st == st_running) -> ends++; become(st_succeeded)")
}

// Every case has its row, and no state but the final ones is an end.
func TestTheTablesAreWhole(t *testing.T) {
	for _, outcome := range []Outcome{TaskSucceeded, TaskFailed, TaskSkipped} {
		for _, route := range []Route{NoRoute, ToTask, ToStop, ToFail} {
			for _, goes := range []bool{false, true} {
				move := Follows(outcome, route, goes)
				if outcome == TaskSkipped && move != Next {
					t.Errorf("a skip with route %s: %s", route, move)
				}
				if outcome == TaskSucceeded && (move == EndBadly) != (route == ToFail) {
					t.Errorf("success with route %s: %s", route, move)
				}
			}
		}
	}
	for _, row := range transitions {
		if row.From.Final() {
			t.Errorf("%s is final and is left by %s", row.From, row.Cause)
		}
		if to, ok := After(row.From, row.Cause); !ok || to != row.To {
			t.Errorf("%s by %s: %s, %v", row.From, row.Cause, to, ok)
		}
	}
	for _, s := range all {
		if _, leaves := After(s, Crash); leaves == s.Final() {
			t.Errorf("%s and a crash", s)
		}
	}
	for _, s := range all {
		if !slices.Contains(view.JobRunStates(), string(s)) || len(all) != len(view.JobRunStates()) {
			t.Errorf("%s is not among those that are shown", s)
		}
	}
}
