package darwin

import (
	"errors"
	"sync"
	"time"

	"kpm/core"
)

const (
	// answerTime is how long an answer of a directory may grant (decision 32a).
	answerTime = 5 * time.Second
	// maxRemembered bounds the accounts that are remembered, maxKnown those that
	// were ever seen: a directory can have a hundred thousand.
	maxRemembered = 256
	maxKnown      = 4096
)

// remembered are answers of directories. A nil one remembers nothing.
type remembered struct {
	mu       sync.Mutex
	accounts map[string]answer // by what was asked for
	groups   map[string][]string
	asked    time.Time // when groups were
	seen     map[core.UserID]bool
}

type answer struct {
	account core.Account
	err     error
	at      time.Time
}

func newRemembered() *remembered {
	return &remembered{accounts: map[string]answer{}, seen: map[core.UserID]bool{}}
}

// account returns what is remembered of a question, or asks. That a directory did
// not answer is not remembered; that there is no such account is.
func (r *remembered) account(question string, ask func() (core.Account, error)) (core.Account, error) {
	if r == nil {
		return ask()
	}
	r.mu.Lock()
	a, ok := r.accounts[question]
	r.mu.Unlock()
	if ok && time.Since(a.at) < answerTime {
		return a.account, a.err
	}
	at := time.Now() // before: the answer may be as old as that
	account, err := ask()
	if err != nil && !errors.Is(err, core.ErrNoAccount) {
		return account, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.accounts) >= maxRemembered {
		clear(r.accounts)
	}
	r.accounts[question] = answer{account, err, at}
	if err == nil && len(r.seen) < maxKnown {
		r.seen[account.User] = true
	}
	return account, err
}

// groupNames returns the names of all groups.
func (r *remembered) groupNames(ask func() (map[string][]string, error)) (map[string][]string, error) {
	if r == nil {
		return ask()
	}
	r.mu.Lock()
	groups, asked := r.groups, r.asked
	r.mu.Unlock()
	if groups != nil && time.Since(asked) < answerTime {
		return groups, nil
	}
	at := time.Now()
	groups, err := ask()
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.groups, r.asked = groups, at
	return groups, nil
}

// known reports whether an account of this user was ever seen.
func (r *remembered) known(id core.UserID) bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen[id]
}
