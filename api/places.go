package api

import (
	"sync"

	"kpm/api/local"
	"kpm/core"
)

// places bounds how many connections there are, in all and by one user, so
// that nobody can keep others out by connecting and waiting.
type places struct {
	max, maxUser int

	mu    sync.Mutex
	total int
	users map[core.UserID]int
}

var _ local.Places = (*places)(nil)

func newPlaces(max, maxUser int) *places {
	return &places{max: max, maxUser: maxUser, users: map[core.UserID]int{}}
}

// Enter takes a place, before it is known for whom.
func (p *places) Enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.total >= p.max {
		return false
	}
	p.total++
	return true
}

// Claim counts the place that was entered against user, unless that user has
// enough. Either way Leave gives it back.
func (p *places) Claim(user core.UserID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users[user] >= p.maxUser {
		return false
	}
	p.users[user]++
	return true
}

// Leave returns a place, with the claim on it if there was one.
func (p *places) Leave(user core.UserID, claimed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total--
	if !claimed {
		return
	}
	if p.users[user]--; p.users[user] == 0 {
		delete(p.users, user)
	}
}
