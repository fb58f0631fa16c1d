package approval

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"kpm/core"
)

// op is one thing that somebody does to one approval, at the same time as others.
type op struct {
	verb string // approve, deny, use, withdraw, expire or look
	by   Person
}

// seen is what the sequential specification knows: who has agreed, and what has become
// of it. It shares nothing with the table.
type seen struct {
	state  string
	agreed string // the approvers' users, sorted by being single letters
}

// approvals is that specification: two approvers are needed.
var approvals = porcupine.Model{
	Init: func() any { return seen{state: "waits"} },
	Step: func(state, input, output any) (bool, any) {
		s, o, result := state.(seen), input.(op), output.(string)
		after, want := s, "conflict"
		switch o.verb {
		case "approve":
			switch {
			case s.state != "waits", s.agreed == string(o.by.User):
			case s.agreed == "":
				after.agreed, want = string(o.by.User), "pending"
			default:
				after.state, want = "given", "approved"
			}
		case "deny":
			if s.state == "waits" {
				after.state, want = "refused", "denied"
			}
		case "withdraw":
			if s.state == "waits" || s.state == "given" {
				after.state, want = "back", "withdrawn"
			}
		case "use":
			if s.state == "given" {
				after.state, want = "run", "used"
			}
		case "expire":
			if want = "passed"; s.state == "waits" || s.state == "given" {
				after.state = "late"
			}
		case "look":
			want = map[string]string{"waits": "pending", "given": "approved", "refused": "denied", "back": "withdrawn", "run": "used", "late": "expired"}[s.state]
		}
		return result == want, after
	},
	DescribeOperation: func(input, output any) string {
		o := input.(op)
		return fmt.Sprintf("%s by %s: %s", o.verb, o.by.User, output)
	},
}

// carryOut does o, and returns what became of it.
func carryOut(d *desk, w Want, id string, o op) string {
	var r Record
	var err error
	switch o.verb {
	case "approve":
		r, err = d.Approve(id, o.by, "", 0)
	case "deny":
		r, err = d.Deny(id, o.by, "")
	case "withdraw":
		r, err = d.Withdraw(id, w.User)
	case "use":
		r, err = d.Use(&w, "R")
	case "expire":
		d.pass(1000 * time.Hour)
		return "passed"
	case "look":
		r, err = d.Get(id)
	}
	if err != nil {
		if core.KindOf(err) == core.Conflict {
			return "conflict"
		}
		return err.Error()
	}
	return string(r.State)
}

// Whatever people and the clock do to an approval at once has come one after the other,
// as the specification has it.
func TestHistoriesAreLinearizable(t *testing.T) {
	rule := core.ApprovalRule{Users: []string{"#1", "#2", "#3"}, Number: 2}
	verbs := []string{"approve", "approve", "approve", "use", "use", "look", "look", "deny", "withdraw", "expire"}
	ends := map[string]int{}
	for round := range 60 {
		d := newDesk(t)
		w := want("1000", rule)
		id := d.ask(t, w).ID
		random := rand.New(rand.NewPCG(uint64(round), 1))
		var mu sync.Mutex
		var history []porcupine.Operation
		begun := time.Now()
		var clients sync.WaitGroup
		for client := range 5 {
			plan := make([]op, 6)
			for i := range plan {
				// What ends it comes late, or nothing else would be seen.
				plan[i] = op{verbs[random.IntN(len(verbs)-3+min(3, i))], Person{User: core.UserID(fmt.Sprint(1 + random.IntN(3)))}}
			}
			clients.Go(func() {
				for _, o := range plan {
					call := time.Since(begun)
					result := carryOut(d, w, id, o)
					done := time.Since(begun)
					mu.Lock()
					history = append(history, porcupine.Operation{ClientId: client, Input: o, Call: int64(call), Output: result, Return: int64(done)})
					mu.Unlock()
				}
			})
		}
		clients.Wait()
		if result := porcupine.CheckOperationsTimeout(approvals, history, time.Minute); result != porcupine.Ok {
			t.Fatalf("round %d is %s: %+v", round, result, history)
		}
		for _, o := range history {
			ends[o.Output.(string)]++
		}
	}
	for _, seen := range []string{"pending", "approved", "used", "denied", "withdrawn", "expired", "conflict"} {
		if ends[seen] == 0 {
			t.Errorf("no history has %q: %v", seen, ends)
		}
	}
	// It can tell: an approval that is used twice is no such history.
	twice := []porcupine.Operation{}
	for i, o := range []struct{ verb, by, result string }{
		{"approve", "1", "pending"}, {"approve", "2", "approved"}, {"use", "", "used"}, {"use", "", "used"}} {
		twice = append(twice, porcupine.Operation{Input: op{o.verb, Person{User: core.UserID(o.by)}}, Call: int64(2 * i), Output: o.result, Return: int64(2*i + 1)})
	}
	if porcupine.CheckOperations(approvals, twice) {
		t.Error("the specification finds nothing wrong with what runs twice")
	}
}
