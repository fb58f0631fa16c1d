package policy

import (
	"slices"
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

// Policies of many files mean what they would in one list, and their lists are let go of.
func TestFilesAreLetGoOf(t *testing.T) {
	list := fleet(40)
	list[30].ID = list[3].ID // of another file
	together, want := engine.Compile(slices.Clone(list), linux())
	files := [][]Policy{list[:10:10], nil, list[10:35:35], list[35:]}
	apart, got := engine.CompileFiles(files, linux())
	if diff := cmp.Diff(want, got); diff != "" || len(got) == 0 {
		t.Error(diff)
	}
	for i, policies := range files {
		if policies != nil {
			t.Errorf("file %d is held", i)
		}
	}
	for k := range together.kinds {
		a, b := &together.kinds[k].enforcing, &apart.kinds[k].enforcing
		if len(a.rules) != len(b.rules) {
			t.Fatalf("%d rules, want %d", len(b.rules), len(a.rules))
		}
		for i := range a.rules {
			if a.rules[i].ref() != b.rules[i].ref() || a.rules[i].place != b.rules[i].place {
				t.Errorf("rule %d is %v of place %d, want %v of %d", i, b.rules[i].ref(), b.rules[i].place, a.rules[i].ref(), a.rules[i].place)
			}
		}
	}
}

// Rules that ask the same of everything but users and programs hold that once.
func TestAlikeConditionsAreHeldOnce(t *testing.T) {
	list := fleet(30)
	list[7].Machines = []string{"web1"}
	set, _ := engine.Compile(list, linux())
	different := map[*conditions]int{}
	for _, kind := range set.kinds {
		for i := range kind.enforcing.rules {
			different[kind.enforcing.rules[i].conditions]++
		}
	}
	if len(different) != 2 {
		t.Errorf("%d conditions of %d rules", len(different), len(list))
	}
}
