package fair

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// crowd does what people may do with Slots, and knows who has what.
type crowd struct {
	slots  *Slots[int]
	bounds Bounds
	held   []*Slot[int]
	queue  []*visitor
}

// foremost says that person 0 comes first.
func foremost(who int) bool { return who == 0 }

// visitor waits in Take.
type visitor struct {
	who     int
	n       int64
	cancel  context.CancelFunc
	outcome chan *Slot[int] // nil when it gave up
}

func (c *crowd) wait(who int, n int64) {
	ctx, cancel := context.WithCancel(context.Background())
	v := &visitor{who, n, cancel, make(chan *Slot[int], 1)}
	go func() {
		slot, _ := c.slots.Take(ctx, who, n)
		v.outcome <- slot
	}()
	c.queue = append(c.queue, v)
}

// settle lets everything happen that can, and takes over what visitors got.
func (c *crowd) settle() {
	synctest.Wait()
	var queue []*visitor
	for _, v := range c.queue {
		select {
		case slot := <-v.outcome:
			v.cancel()
			if slot != nil {
				c.held = append(c.held, slot)
			}
		default:
			queue = append(queue, v)
		}
	}
	c.queue = queue
}

// leave ends whoever still waits after a failure.
func (c *crowd) leave() {
	for _, v := range c.queue {
		v.cancel()
	}
	synctest.Wait()
}

func (c *crowd) check(t *rapid.T) {
	var all, common int64
	each := map[int]int64{}
	for _, slot := range c.held {
		all += slot.n
		if !foremost(slot.who) {
			common += slot.n
		}
		each[slot.who] += slot.n
	}
	if all > c.bounds.All || c.slots.Taken() != all {
		t.Fatalf("%d are taken, counted %d, there are %d", all, c.slots.Taken(), c.bounds.All)
	}
	if common > max(0, c.bounds.All-c.bounds.Aside) {
		t.Fatalf("%d are taken by those who do not come first, of %d %d are set aside", common, c.bounds.All, c.bounds.Aside)
	}
	for who, n := range each {
		if n > max(c.bounds.Each, c.bounds.Alone) || c.slots.people[who] != n {
			t.Fatalf("person %d has %d, counted %d, may have %d, alone %d", who, n, c.slots.people[who], c.bounds.Each, c.bounds.Alone)
		}
	}
	for who := range c.slots.people {
		if _, ok := each[who]; !ok {
			t.Fatalf("person %d has nothing and is remembered", who)
		}
	}
	blocked := false
	for _, v := range c.queue {
		if v.n > c.bounds.Each-each[v.who] || blocked && !foremost(v.who) {
			continue
		}
		if v.n <= c.bounds.All-all && (foremost(v.who) || v.n <= c.bounds.All-c.bounds.Aside-common) {
			t.Fatalf("person %d waits for %d, and there is room", v.who, v.n)
		}
		if foremost(v.who) {
			break // nobody overtakes this one
		}
		blocked = true // only who comes first overtakes this one
	}
}

// No sequence of calls exceeds a bound, keeps somebody waiting for whom there
// is room, or leaves anything behind.
func TestSlotsAreBoundedAndGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Without the method that a bubble forbids.
		rapid.Check(struct{ rapid.TB }{t}, func(t *rapid.T) {
			b := Bounds{Each: rapid.Int64Range(0, 6).Draw(t, "each"), All: rapid.Int64Range(0, 12).Draw(t, "all"), Aside: rapid.Int64Range(0, 4).Draw(t, "aside"), Alone: rapid.Int64Range(0, 9).Draw(t, "alone")}
			c := &crowd{slots: NewSlotsFor(b, foremost), bounds: b}
			defer c.leave()
			who, n := rapid.IntRange(0, 3), rapid.Int64Range(-1, 7)
			keep := func(slot *Slot[int], err error) {
				if err == nil {
					c.held = append(c.held, slot)
				}
			}
			t.Repeat(map[string]func(*rapid.T){
				"try":  func(t *rapid.T) { keep(c.slots.TryTake(who.Draw(t, "who"), n.Draw(t, "n"))) },
				"wait": func(t *rapid.T) { c.wait(who.Draw(t, "who"), n.Draw(t, "n")) },
				"release": func(t *rapid.T) {
					if len(c.held) > 0 {
						i := rapid.IntRange(0, len(c.held)-1).Draw(t, "slot")
						c.held[i].Release()
						c.held[i].Release()
						c.held = append(c.held[:i], c.held[i+1:]...)
					}
				},
				"give up": func(t *rapid.T) {
					if len(c.queue) > 0 {
						rapid.SampledFrom(c.queue).Draw(t, "visitor").cancel()
					}
				},
				"pass": func(*rapid.T) { time.Sleep(aloneAfter / 2) },
				"": func(t *rapid.T) {
					c.settle()
					c.check(t)
				},
			})
			for c.settle(); len(c.held) > 0; c.settle() {
				c.held[0].Release()
				c.held = c.held[1:]
				c.settle()
				c.check(t)
			}
			if len(c.queue) != 0 || len(c.slots.waiting) != 0 || len(c.slots.waits) != 0 || c.slots.Taken() != 0 || len(c.slots.people) != 0 {
				t.Fatalf("%d wait (%d), %d are taken, by %v", len(c.queue), len(c.slots.waiting), c.slots.Taken(), c.slots.people)
			}
		})
	})
}
