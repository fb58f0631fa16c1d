package launcher

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/fair"
	"kpm/launcher/journal"
)

// What is beyond the bounds is ended by one call for all of it, however many commands
// have left something. What cannot be ended is remembered, and nothing else is.
func TestWhatIsTooMuchIsEndedTogether(t *testing.T) {
	const commands, stays = 20, 7
	for name, tc := range map[string]struct {
		kill, look error
		left       int
	}{
		"all of it ends":         {},
		"some of it stays":       {kill: errors.New("processes remain"), left: stays},
		"what stays is not seen": {kill: errors.New("processes remain"), look: errors.New("out of descriptors"), left: commands},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t)
				w.tree.KillErr, w.tree.Stay = tc.kill, map[core.ProcessID]bool{}
				slots := fair.NewSlots[core.UserID](fair.Bounds{Each: commands, All: commands})
				for i := range maxUserLeft {
					child := journal.Child{PID: 5000 + i, Start: 1, Group: "g"}
					w.tree.Set(child.ID(), true)
					w.leftovers.keep(core.RequestID(fmt.Sprint(i)), leftover{Child: child, who: "1000"})
				}
				fresh, occupied := []ended(nil), []bool(nil)
				for i := range commands {
					child := journal.Child{PID: 6000 + i, Start: 1, Group: "g"}
					w.tree.Set(child.ID(), true)
					w.tree.Stay[child.ID()] = tc.kill != nil && i%3 == 1
					slot, err := slots.TryTake("1000", 1)
					if err != nil {
						t.Fatal(err)
					}
					fresh = append(fresh, ended{id: core.RequestID(fmt.Sprint("over", i)), leftover: leftover{Child: child, who: "1000", slot: slot}})
					occupied = append(occupied, true)
				}
				w.tree.LookErr = tc.look
				w.leftovers.settle(fresh, occupied)
				if len(w.tree.Killed) != commands || w.tree.Kills != 1 {
					t.Errorf("%d groups were ended by %d calls, want %d by one", len(w.tree.Killed), w.tree.Kills, commands)
				}
				if n := strings.Count(w.recorded(), "left"); n != tc.left || len(w.leftovers.left) != maxUserLeft+tc.left {
					t.Errorf("%d are on record as left and %d remembered, want %d and %d", n, len(w.leftovers.left), tc.left, maxUserLeft+tc.left)
				}
				for i, e := range fresh {
					if _, remembered := w.leftovers.left[e.id]; remembered != (tc.look != nil || w.tree.Stay[e.ID()]) {
						t.Errorf("%d is remembered: %v", i, remembered)
					}
				}
				if slots.Taken() != 0 {
					t.Errorf("%d places are still taken", slots.Taken())
				}
			})
		})
	}
}

// A service that starts looks once for all that commands had left behind.
func TestWhatWasLeftIsLookedForOnce(t *testing.T) {
	w := newWorld(t)
	const all, there = 50, 20
	for i := range all {
		id, child := core.RequestID(fmt.Sprintf("%026d", i)), &journal.Child{PID: 5000 + i, Start: 1, Group: "g"}
		w.tree.Set(child.ID(), i < there)
		for _, r := range []journal.Record{
			{Type: journal.Opened, Request: id}, {Type: journal.Launched, Request: id, Child: child},
			{Type: journal.Ended, Request: id}, {Type: journal.Left, Request: id, Child: child},
		} {
			if err := w.journal.Append(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.journal.Close(); err != nil {
		t.Fatal(err)
	}
	replay := w.openJournal()
	w.cfg.Journal = w.journal
	next := New(w.cfg)
	if err := next.Recover(replay); err != nil {
		t.Fatal(err)
	}
	if gone := strings.Count(w.recorded(), "gone"); w.tree.Looks != 1 || gone != all-there || len(next.leftovers.left) != there {
		t.Errorf("%d looks, %d on record as gone, %d remembered; want 1, %d and %d", w.tree.Looks, gone, len(next.leftovers.left), all-there, there)
	}
	next.Close(context.Background())
}
