package seal

import (
	"context"
	"log/slog"
	"time"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/fair"
	"kpm/core/port"
	"kpm/launcher/refusal"
)

// What may be read, copied and judged for one person before policy has decided
// anything: so many bytes and so much of a processor's time at once, and as
// much again every second as the rates say. Attack: a user asks for a program
// of 32 MiB again and again, whatever policy thinks of it, and everybody else
// waits while it is copied.
const (
	budgetBytes     = 256 << 20
	budgetBytesRate = 32 << 20
	budgetTime      = 4 * time.Second
	budgetTimeShare = 0.25

	// budgetPatience is how long a request waits for its budget.
	budgetPatience = sealTime / 2
)

// budget is what people may still have computed. Its methods may be called
// concurrently.
type budget struct {
	people   fair.People
	bytes    *fair.Rate[core.UserID]
	time     *fair.Rate[core.UserID] // nanoseconds
	queue    *fair.Queue[core.UserID]
	yielder  *fair.Yielder
	mentions *fair.Mentions
	log      *slog.Logger
}

func newBudget(people fair.People, log *slog.Logger) *budget {
	return &budget{
		people: people, log: log, mentions: fair.NewMentions(),
		bytes:   fair.NewRate[core.UserID](budgetBytesRate, budgetBytes),
		time:    fair.NewRate[core.UserID](budgetTimeShare*float64(time.Second), int(budgetTime)),
		queue:   fair.NewQueue[core.UserID](nil), // a pace yields itself
		yielder: fair.NewYielder(),
	}
}

// spend takes what reading a program costs off user's budget, or waits for it.
func (b *budget) spend(ctx context.Context, user core.UserID, info port.FileInfo) error {
	wait, ok := b.bytes.Reserve(b.people.Of(user), int(min(info.Size, budgetBytes)), budgetPatience)
	if err := b.pause(ctx, user, wait, ok); err != nil {
		return err
	}
	return b.wait(ctx, user)
}

// wait returns when user has time left.
func (b *budget) wait(ctx context.Context, user core.UserID) error {
	wait, ok := b.time.Reserve(b.people.Of(user), 1, budgetPatience)
	return b.pause(ctx, user, wait, ok)
}

func (b *budget) pause(ctx context.Context, user core.UserID, wait time.Duration, ok bool) error {
	if !ok {
		text := "more of your programs than one user may have read before a decision were read"
		b.mention(user, text)
		return refusal.New(door.CodeUnavailable, "%s: try again in %s, or have what you run often installed where only an administrator can change it", text, max(wait, time.Second).Round(time.Second))
	}
	if wait == 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// used takes the time since begun off user's budget.
func (b *budget) used(user core.UserID, begun time.Time) {
	b.time.Spend(b.people.Of(user), int(time.Since(begun)))
}

// mention logs that a user is refused for load, unless that was said already.
func (b *budget) mention(user core.UserID, cause string) {
	if worth, silent := b.mentions.Worth(b.people.Of(user), cause); worth {
		b.log.Warn("a program is not read for load", "user", string(user), "reason", cause, "unlogged", silent)
	}
}

// pace is one reading of a program, piece by piece, between other
// people's and with everything else that the service does.
type pace struct {
	*budget
	ctx   context.Context
	user  core.UserID
	begun time.Time
	done  func() // ends this piece; nil between pieces
}

func (b *budget) pace(ctx context.Context, user core.UserID) *pace {
	return &pace{budget: b, ctx: ctx, user: user}
}

// step is called before each piece.
func (p *pace) step() error {
	p.end()
	p.yielder.Yield()
	done, err := p.queue.Take(p.ctx, p.people.Of(p.user))
	if err == nil {
		p.done, p.begun = done, time.Now()
	}
	return err
}

// end is called after the last piece, and may be called again.
func (p *pace) end() {
	if p.done != nil {
		p.used(p.user, p.begun)
		p.done()
		p.done = nil
	}
}
