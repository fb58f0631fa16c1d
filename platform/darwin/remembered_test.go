package darwin

import (
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
)

func TestAnswersGrowOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemembered()
		asked := 0
		result := error(nil)
		look := func() (core.Account, error) {
			return r.account("alice", func() (core.Account, error) {
				asked++
				time.Sleep(time.Second) // the directory takes its time
				return core.Account{User: "501"}, result
			})
		}
		look()
		time.Sleep(answerTime - time.Second - 1)
		if a, err := look(); asked != 1 || a.User != "501" || err != nil {
			t.Errorf("asked %d times within %v: %v, %v", asked, answerTime, a, err)
		}
		time.Sleep(time.Nanosecond)
		result = core.ErrNoAnswer
		if _, err := look(); asked != 2 || !errors.Is(err, core.ErrNoAnswer) {
			t.Errorf("asked %d times, %v: an old answer was taken", asked, err)
		}
		look()
		if asked != 3 {
			t.Error("that nobody answered was remembered")
		}
		result = core.ErrNoAccount
		look()
		if _, err := look(); asked != 4 || !errors.Is(err, core.ErrNoAccount) {
			t.Errorf("asked %d times, %v: that there is none was forgotten", asked, err)
		}
		if !r.known("501") || r.known("502") {
			t.Error("who was seen is not known, or somebody else is")
		}
		groups := 0
		for range 2 {
			r.groupNames(func() (map[string][]string, error) { groups++; return map[string][]string{"20": {"staff"}}, nil })
		}
		time.Sleep(answerTime)
		if _, err := r.groupNames(func() (map[string][]string, error) { groups++; return nil, core.ErrNoAnswer }); groups != 2 || err == nil {
			t.Errorf("groups were asked for %d times, %v", groups, err)
		}
	})
}

func TestAnswersAreBounded(t *testing.T) {
	r := newRemembered()
	for i := range 2 * maxKnown {
		id := strconv.Itoa(i)
		r.account(id, func() (core.Account, error) { return core.Account{User: core.UserID(id)}, nil })
	}
	if len(r.accounts) > maxRemembered || len(r.seen) > maxKnown {
		t.Errorf("%d accounts, %d seen", len(r.accounts), len(r.seen))
	}
	var none *remembered
	if a, err := none.account("x", func() (core.Account, error) { return core.Account{User: "1"}, nil }); a.User != "1" || err != nil || none.known("1") {
		t.Error("one that remembers nothing does not ask")
	}
}
