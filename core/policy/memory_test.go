package policy

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kpm/core"
)

// Attack: what one person asked becomes part of another's question. So each
// question is asked of a set that has answered others and of one that has not.
func TestNothingOfAnEarlierQuestionRemains(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies := drawPolicies(t, 8)
		used, _ := engine.Compile(policies, linux())
		for range rapid.IntRange(1, 4).Draw(t, "earlier") {
			q := drawQuestion(t)
			q.Signers, q.SignersKnown, q.Administrator = []core.Signer{{SPKI: leafSPKI}}, true, rapid.Bool().Draw(t, "administrator")
			used.Decide(q)
			used.Watching(q)
		}
		q := drawQuestion(t)
		fresh, _ := engine.Compile(policies, linux())
		if diff := cmp.Diff(fresh.Decide(q), used.Decide(q)); diff != "" {
			t.Fatal(diff)
		}
		if diff := cmp.Diff(fresh.Watching(q), used.Watching(q)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// An answer is the same whoever else asks at the same time.
func TestManyAskAtOnce(t *testing.T) {
	set, _ := engine.Compile(fleet(1000), linux())
	questions := []Question{
		ask("/usr/bin/systemctl", "/usr/bin/systemctl", "systemctl", "restart", "nginx"),
		ask("/usr/bin/passwd", "passwd", "passwd"),
		ask("/usr/bin/tool6", "tool6", "tool6"),
		ask("/opt/vendor3/x", "x", "reboot"),
		ask("relative", "relative"),
	}
	want := make([]core.Decision, len(questions))
	for i, q := range questions {
		want[i] = set.Decide(q)
	}
	var wg sync.WaitGroup
	for i, q := range slices.Repeat(questions, 4) {
		wg.Go(func() {
			for range 200 {
				if got := set.Decide(q); !cmp.Equal(got, want[i%len(want)]) {
					t.Errorf("%s: got %+v", q.Path, got)
					return
				}
			}
		})
	}
	wg.Wait()
}

// Policies of many files mean what they would in one list, and nothing is held of how they
// were written.
func TestPoliciesComeFileByFile(t *testing.T) {
	var texts [][]byte
	var list []Policy
	for at, ids := range [][]string{{"a", "b"}, {}, {"c", "a", "d"}} { // one is of another file, too
		var policies []string
		for i, id := range ids {
			policies = append(policies, fmt.Sprintf(`{"PolicyId": %q, "PolicyType": "PrivilegeElevation", "Controls": ["ALLOW"], "UserCheck": ["u%d"], "MachineCheck": ["*"], "ApplicationCheck": ["/usr/bin/%s%d%d"]}`, id, i%2, id, at, i))
		}
		texts = append(texts, []byte("["+strings.Join(policies, ",")+strings.Repeat(" ", 64)+"]"))
	}
	apart := engine.Begin(linux())
	released := make(chan struct{}, len(texts))
	for at, text := range texts {
		file := fmt.Sprintf("%d.json", at)
		policies, findings := engine.Parse(file, text)
		if Faulty(findings) {
			t.Fatal(findings)
		}
		list = append(list, policies...)
	}
	together, want := engine.Compile(list, linux())
	for at, text := range texts {
		held := slices.Clone(text)
		runtime.AddCleanup(&held[0], func(struct{}) { released <- struct{}{} }, struct{}{})
		policies, _ := engine.Parse(fmt.Sprintf("%d.json", at), held)
		apart.Add(policies)
	}
	for range texts {
		runtime.GC()
		<-released
	}
	set, got := apart.Set(false)
	if diff := cmp.Diff(want, got); diff != "" || len(got) == 0 {
		t.Error(diff)
	}
	for k := range together.kinds {
		a, b := &together.kinds[k].enforcing, &set.kinds[k].enforcing
		if len(a.rules) != len(b.rules) {
			t.Fatalf("%d rules, want %d", len(b.rules), len(a.rules))
		}
		for i := range a.rules {
			if !reflect.DeepEqual(a.rules[i], b.rules[i]) {
				t.Errorf("rule %d is %+v, want %+v", i, b.rules[i], a.rules[i])
			}
		}
	}
}

// Whether administrators are subject to policy is known when everything has been read.
func TestAdministratorsAreSubjectByTheLastWord(t *testing.T) {
	for _, enforce := range []bool{true, false} {
		env := linux()
		env.EnforceForAdministrators = !enforce
		set, _ := engine.Begin(env).Set(enforce)
		q := ask("/usr/bin/id", "id", "id")
		q.Administrator = true
		if got := set.Decide(q).Outcome; (got == core.Deny) != enforce {
			t.Errorf("enforced %t: %s", enforce, got)
		}
	}
}

// Rules that ask the same of everything but programs, or of who asks, hold that once.
func TestAlikeConditionsAreHeldOnce(t *testing.T) {
	list := fleet(30)
	list[7].Machines = []string{"web1"}
	set, _ := engine.Compile(list, linux())
	different, everyone := map[*conditions]int{}, map[*who]int{}
	for _, kind := range set.kinds {
		for _, r := range kind.enforcing.rules {
			different[r.conditions]++
			if r.who.any {
				everyone[r.who]++
			}
			alone, _ := engine.Compile(list[r.place:r.place+1], linux())
			if diff := cmp.Diff(*alone.of(list[r.place].Type).enforcing.rules[0].who, *r.who, cmp.AllowUnexported(who{})); diff != "" {
				t.Errorf("policy %s is about others: %s", r.ref().ID, diff)
			}
		}
	}
	if len(different) != 2 || len(everyone) != 1 {
		t.Errorf("%d conditions and %d times everyone of %d rules", len(different), len(everyone), len(list))
	}
}
