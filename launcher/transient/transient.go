// Package transient keeps the accounts that are made for one command each: which are
// in use, what their numbers were, and what an earlier service has left of them.
//
// Numbers are counted in a file, durably and before an account is made, so that no
// account has the uid of one before it, whose files may still lie somewhere. It decides
// about no command, and makes no account for anybody whom policy has not allowed one.
package transient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"kpm/core"
	"kpm/core/fair"
	"kpm/core/port"
	"kpm/core/statefile"
)

// Bounds of how many accounts there are at a time: of one person's commands, and of
// all. Attack: one person's commands that never end take every account.
const (
	maxLive       = 64
	maxPersonLive = 16
	livesAside    = 8
)

// ErrTooMany is wrapped when there are too many accounts at a time.
var ErrTooMany = core.NewError(core.TooMany, "there are too many accounts of commands at this time")

// Config is what a Pool works with. Every field is required.
type Config struct {
	// File is the one in State that numbers are counted in.
	File     statefile.File
	Accounts port.TransientAccounts
	// People says who is one person; the zero value is each user.
	People fair.People
	// Record writes to the journal that an account was made for a request, or is
	// removed.
	Record func(request core.RequestID, caller, account core.Account, made bool) error
	Log    *slog.Logger
}

// Pool keeps accounts. Its methods may be called concurrently.
type Pool struct {
	cfg   Config
	slots *fair.Slots[core.UserID] // one for each that is live

	mu   sync.Mutex
	next uint32
	live map[uint32]*fair.Slot[core.UserID]

	removals sync.WaitGroup
}

// counted is the file.
type counted struct {
	Next uint32 `json:"next"`
}

// Open reads what number comes next.
func Open(cfg Config) (*Pool, error) {
	var was counted
	if err := cfg.File.Load(&was, "remove it only if no file of an account keeperusersession-N is left"); err != nil {
		return nil, fmt.Errorf("transient: %w", err)
	}
	return &Pool{
		cfg: cfg, live: map[uint32]*fair.Slot[core.UserID]{}, next: max(was.Next, 1),
		slots: fair.NewSlotsFor[core.UserID](fair.Bounds{Each: maxPersonLive, All: maxLive, Aside: livesAside}, cfg.People.First),
	}, nil
}

// Make makes an account for a request of caller's, in groups. leave removes it again:
// it is called once, and does not wait.
func (p *Pool) Make(ctx context.Context, request core.RequestID, caller core.Account, groups []string) (account core.Account, leave func(), err error) {
	number, err := p.number(p.cfg.People.Of(caller.User))
	if err != nil {
		return core.Account{}, nil, fmt.Errorf("transient: %w", err)
	}
	account, err = p.cfg.Accounts.Create(ctx, number, groups)
	if err == nil {
		err = p.cfg.Record(request, caller, account, true)
	}
	if err != nil {
		p.leave(request, caller, account, number)
		return core.Account{}, nil, fmt.Errorf("transient: %w", err)
	}
	return account, func() { p.leave(request, caller, account, number) }, nil
}

// number takes the next one, durably, for one more account of a person's commands.
func (p *Pool) number(person core.UserID) (uint32, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	slot, err := p.slots.TryTake(person, 1)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrTooMany, err)
	}
	number := p.next
	if err := p.cfg.File.Save(counted{number + 1}); err != nil {
		slot.Release()
		return 0, err
	}
	p.next++
	p.live[number] = slot
	return number, nil
}

// leave removes an account in the background: its processes are ended first, which can
// take a moment.
func (p *Pool) leave(request core.RequestID, caller, account core.Account, number uint32) {
	p.removals.Add(1)
	go func() {
		defer p.removals.Done()
		p.remove(number)
		if account.User == "" {
			return
		}
		if err := p.cfg.Record(request, caller, account, false); err != nil {
			p.cfg.Log.Error("the end of an account is not in the journal", "account", account.Name, "error", err)
		}
	}()
}

func (p *Pool) remove(number uint32) {
	if err := p.cfg.Accounts.Remove(context.Background(), number); err != nil {
		p.cfg.Log.Error("an account that was made for a command stays; job ephemeral-account-cleanup-if-unused tries again", "error", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live[number].Release()
	delete(p.live, number)
}

// Close waits for removals that have begun.
func (p *Pool) Close() { p.removals.Wait() }

// Clean removes what nothing uses: accounts that no command of this service has and as
// which no process runs, and homes that belong to none. It returns how many.
func (p *Pool) Clean(ctx context.Context) (int, error) {
	numbers, err := p.cfg.Accounts.Numbers()
	if err != nil {
		return 0, fmt.Errorf("transient: %w", err)
	}
	p.mu.Lock()
	numbers = slices.DeleteFunc(numbers, func(n uint32) bool { return p.live[n] != nil })
	p.mu.Unlock()
	removed := 0
	var errs []error
	for _, number := range numbers {
		used, err := p.cfg.Accounts.Used(number)
		if err == nil && !used {
			if err = p.cfg.Accounts.Remove(ctx, number); err == nil {
				removed++
			}
		}
		errs = append(errs, err)
	}
	return removed, errors.Join(errs...)
}
