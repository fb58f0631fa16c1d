package fair

import (
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// Attack: many people stand and wait, as many as there is room for. Whoever has
// fewer holds than they have gets one of theirs.
func TestASilentCrowdKeepsNobodyOut(t *testing.T) {
	p := NewRevocable[string](Bounds{Each: 4, All: 10, Aside: 2}, func(who string) bool { return who == "root" })
	var gone []string
	take := func(who string) (*Hold[string], error) {
		return p.Take(who, func() { gone = append(gone, who) })
	}
	for _, who := range []string{"a", "a", "a", "a", "b", "b", "b", "b"} {
		if _, err := take(who); err != nil {
			t.Fatalf("%s: %v", who, err)
		}
	}
	if _, err := take("a"); !errors.Is(err, ErrPersonFull) {
		t.Errorf("a fifth of one person: %v", err)
	}
	if _, err := take("c"); err != nil || len(gone) != 1 {
		t.Errorf("somebody who has none: %v; %v had to go", err, gone)
	}
	for range 2 {
		if _, err := take("root"); err != nil {
			t.Errorf("what is set aside: %v", err)
		}
	}
	if _, err := take("root"); err != nil || len(gone) != 2 {
		t.Errorf("who comes first and finds all taken: %v; %v had to go", err, gone)
	}
	if p.Held() != 10 {
		t.Errorf("%d of 10 are held", p.Held())
	}
}

func TestWhoHasMostHasToGoAndTheOldestOfTheirs(t *testing.T) {
	p := NewRevocable[string](Bounds{Each: 9, All: 4}, nil)
	var gone []int
	for i, who := range []string{"a", "b", "b", "b"} {
		if _, err := p.Take(who, func() { gone = append(gone, i) }); err != nil {
			t.Fatal(err)
		}
	}
	second, err := p.Take("a", func() { gone = append(gone, 4) })
	if err != nil || len(gone) != 1 || gone[0] != 1 {
		t.Errorf("%v: %v had to go, expected the oldest of b", err, gone)
	}
	if _, err := p.Take("a", func() {}); !errors.Is(err, ErrFull) {
		t.Errorf("somebody who has as many as b: %v", err)
	}
	second.Release()
	second.Release()
	if _, err := p.Take("c", func() {}); err != nil || len(gone) != 1 {
		t.Errorf("a hold that was given back: %v, %v", err, gone)
	}
}

// Whatever people do, the bounds hold and nothing is left behind.
func TestPlacesAreBoundedAndGivenBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Bounds{Each: rapid.Int64Range(0, 5).Draw(t, "each"), All: rapid.Int64Range(0, 10).Draw(t, "all"), Aside: rapid.Int64Range(0, 3).Draw(t, "aside")}
		p := NewRevocable[int](b, foremost)
		held := map[*Hold[int]]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				var hold *Hold[int]
				who := rapid.IntRange(0, 3).Draw(t, "who")
				hold, err := p.Take(who, func() { delete(held, hold) })
				if err == nil {
					held[hold] = true
				}
			},
			"leave": func(t *rapid.T) {
				for hold := range held {
					delete(held, hold)
					hold.Release()
					hold.Release()
					break
				}
			},
			"": func(t *rapid.T) {
				common, each := int64(0), map[int]int64{}
				for hold := range held {
					each[hold.who]++
					if !foremost(hold.who) {
						common++
					}
				}
				if p.Held() != int64(len(held)) || p.Held() > b.All || common > max(0, b.All-b.Aside) || common != p.common {
					t.Fatalf("%d are held, %d of them by those who do not come first; counted %d and %d; bounds %+v", len(held), common, p.Held(), p.common, b)
				}
				for who, n := range each {
					if !foremost(who) && n > b.Each || int(n) != len(p.people[who]) {
						t.Fatalf("person %d has %d, counted %d", who, n, len(p.people[who]))
					}
				}
			},
		})
		for hold := range held {
			hold.Release()
		}
		if p.Held() != 0 || len(p.people) != 0 {
			t.Fatalf("%d are held by %v", p.Held(), p.people)
		}
	})
}
