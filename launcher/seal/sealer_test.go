package seal

import (
	"kpm/core"
	"kpm/core/fair"
	"testing"
)

func TestCopiesAreBounded(t *testing.T) {
	copies := NewCopies()
	take := func(user core.UserID, n int64) *fair.Slot[core.UserID] {
		slot, err := copies.TryTake(user, n)
		if (err == nil) != (slot != nil) {
			t.Errorf("%v, %v", slot, err)
		}
		return slot
	}
	if take("1", -1) != nil || take("1", maxUserCopies+1) != nil {
		t.Error("more than one user may have")
	}
	first := take("1", maxUserCopies)
	if first == nil || take("1", 1) != nil {
		t.Error("one user's bytes")
	}
	for _, user := range []core.UserID{"2", "3", "4"} {
		if take(user, maxUserCopies) == nil {
			t.Errorf("user %s has no room", user)
		}
	}
	if take("5", 1) != nil {
		t.Error("all users' bytes")
	}
	first.Release()
	if take("5", 1) == nil {
		t.Error("bytes given back")
	}
}
