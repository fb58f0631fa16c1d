package service

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestACrowdHasEveryProcessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var set, grow []int
		p := &processors{
			all: 8,
			set: func(n int) int { set = append(set, n); return 0 }, grow: func(n int) int { grow = append(grow, n); return 0 },
		}
		ask := func(name string, want []int, open ...int) {
			t.Helper()
			set = nil
			for _, n := range open {
				p.crowd(n)
			}
			if !slices.Equal(set, want) {
				t.Errorf("%s: set to %v, want %v", name, set, want)
			}
		}
		ask("few", nil, 1, 2, 3, 4, 5, 4, 3, 2, 1, 0)
		ask("a crowd", []int{8}, 5, 6, 7, 50, 7, 6, 5)
		ask("it has gone at once", nil, 2, 1, 0)
		time.Sleep(crowdLasts)
		ask("the next one asks", []int{1}, 1, 0)
		p.all = 1
		ask("where there is one processor", nil, 50, 0)
		if want := []int{growthInCrowd, growth, growthInCrowd}; !slices.Equal(grow, want) {
			t.Errorf("the heap may grow by %v, want %v", grow, want)
		}
	})
}

// A start uses every processor. At its end there is one for few people, and all of them
// for a crowd that has been waiting.
func TestTheEndOfAStart(t *testing.T) {
	for name, tc := range map[string]struct {
		open int
		want []int
		grow int
	}{"few": {2, []int{1}, growth}, "a crowd": {50, []int{8}, growthInCrowd}} {
		var set []int
		var grow int
		p := &processors{
			all: 8,
			set: func(n int) int { set = append(set, n); return 0 }, grow: func(n int) int { grow = n; return 0 },
		}
		p.crowd(tc.open)
		p.settle()
		if grow != tc.grow {
			t.Errorf("%s: the heap may grow by %d, want %d", name, grow, tc.grow)
		}
		if !slices.Equal(set, tc.want) {
			t.Errorf("%s: set to %v, want %v", name, set, tc.want)
		}
	}
}
