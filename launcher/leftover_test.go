package launcher

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"kpm/core"
	"kpm/launcher/journal"
)

// What is beyond the bounds is ended by one call for all of it, however many commands
// have left something. What cannot be ended is remembered.
func TestWhatIsTooMuchIsEndedTogether(t *testing.T) {
	for name, left := range map[string]error{"it ends": nil, "it stays": errors.New("processes remain")} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t)
				w.tree.KillErr = left
				for i := range maxUserLeft {
					child := journal.Child{PID: 5000 + i, Start: 1, Group: "g"}
					w.tree.Set(child.ID(), true)
					w.leftovers.keep(core.RequestID(fmt.Sprint(i)), leftover{Child: child, who: "1000"})
				}
				const commands = 20
				for i := range commands {
					child := journal.Child{PID: 6000 + i, Start: 1, Group: "g"}
					w.tree.Set(child.ID(), true)
					w.leftovers.add(ended{
						id: core.RequestID(fmt.Sprint("over", i)), gone: func(context.Context) {},
						leftover: leftover{Child: child, who: "1000"},
					})
				}
				w.leftovers.looks.Wait()
				if len(w.tree.Killed) != commands || w.tree.Kills > 2 { // the first is looked at alone
					t.Errorf("%d groups were ended by %d calls, want %d by 2", len(w.tree.Killed), w.tree.Kills, commands)
				}
				want := 0
				if left != nil {
					want = commands
				}
				if n := strings.Count(w.recorded(), "left"); n != want {
					t.Errorf("%d are on record as left, want %d", n, want)
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
