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
