package service

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/core/wire"
)

// hearing is a said with what it was asked and what was taken.
type hearing struct {
	*said[core.FileRules]
	asked chan string
	taken chan core.FileRules
}

func hear(t *testing.T) hearing {
	h := hearing{asked: make(chan string, 10), taken: make(chan core.FileRules, 10)}
	h.said = &said[core.FileRules]{
		changed: make(chan struct{}, 1), take: func(rules core.FileRules) { h.taken <- rules },
		pick: func(a wire.PolicyResponse) (*core.FileRules, string) { return a.FileRules, a.FileRulesDigest },
	}
	ask := func(_ context.Context, id string, _ wire.PolicyRequest) error {
		h.asked <- id
		return nil
	}
	go h.follow(t.Context(), ask, slog.New(slog.DiscardHandler))
	return h
}

// says is an answer of KeeperPolicy to the question id.
func (h hearing) says(id string, files int) {
	rules := core.FileRules{Rules: make([]core.FileRule, files)}
	h.answered(core.Principal{Kind: core.Plugin, Name: wire.PolicyPlugin}, id, wire.PolicyResponse{FileRules: &rules, FileRulesDigest: "abc"})
}

// Attack: keepersudo -l, or KeeperPolicy that starts and cannot read policies: neither
// answer speaks of files, and nobody is given back what they were kept from.
func TestAnAnswerThatDoesNotSpeakOfItChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hear(t)
		h.digest("")
		h.digest("abc")
		h.says(<-h.asked, 1)
		if got := <-h.taken; len(got.Rules) != 1 {
			t.Fatalf("taken: %v", got)
		}
		h.digest("")
		h.digest("abc")
		synctest.Wait()
		if len(h.taken)+len(h.asked) != 0 {
			t.Fatal("something changed")
		}
		h.digest(wire.Nothing)
		if got := <-h.taken; len(got.Rules) != 0 {
			t.Fatalf("there is nothing any more, and taken is %v", got)
		}
	})
}

// Attack: somebody keeps the machine so busy that KeeperPolicy answers late. That answer
// is not in force, so it is asked again until one is.
func TestALateAnswerIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hear(t)
		h.digest("abc")
		first := <-h.asked
		time.Sleep(saidWithin)
		synctest.Wait()
		h.says(first, 7)
		h.digest("abc")
		h.says(<-h.asked, 1)
		if got := <-h.taken; len(got.Rules) != 1 {
			t.Fatalf("taken: %d", len(got.Rules))
		}
	})
}
