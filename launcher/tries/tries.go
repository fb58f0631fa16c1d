// Package tries counts what people have answered wrongly, and locks them out for a
// time when it was too often: the bound on how often one person can guess, however
// many of their programs guess at once, and whether or not the service is restarted
// meanwhile.
//
// It knows nothing of what is asked, and asks nobody.
package tries

import (
	"fmt"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/statefile"
)

// Most is how many wrong answers in a row lock a person out.
const Most = 5

// Locked means that no answer of this person is looked at.
type Locked struct {
	// Left is for how long still, more than 0.
	Left time.Duration
}

// Error implements error.
func (l *Locked) Error() string {
	return fmt.Sprintf("there were too many wrong answers, and none is looked at for another %d min", int((l.Left+time.Minute-1)/time.Minute))
}

// ErrNotKept is wrapped where a try cannot be counted: then nothing may be answered.
var ErrNotKept = core.NewError(core.Unavailable, "what was tried cannot be counted now")

// Config is what a Counter works with. All fields are required.
type Config struct {
	// File is the one that is counted in, which root alone can read.
	File statefile.File
	// LockOut is for how long a person is locked out.
	LockOut time.Duration
}

// counted is what there is of one person and one kind of question.
type counted struct {
	Wrong  int       `json:"wrong"`
	Locked time.Time `json:"locked,omitzero"` // when they were locked out
}

// Counter counts. Its methods may be called concurrently.
type Counter struct {
	cfg    Config
	broken error // why nothing can be counted

	mu    sync.Mutex
	of    map[string]counted
	until map[string]time.Time // of those who are locked out, by the monotonic clock
}

// Open reads what an earlier service has counted. Where that cannot be read, no answer
// is looked at, and Err says why.
func Open(cfg Config) *Counter {
	c := &Counter{cfg: cfg, of: map[string]counted{}, until: map[string]time.Time{}}
	if err := cfg.File.Load(&c.of, "remove the file to begin anew"); err != nil {
		c.broken = fmt.Errorf("tries: %w: %w", ErrNotKept, err)
		return c
	}
	now := time.Now()
	for key, one := range c.of {
		// What is left by the wall clock, and the whole time where that was set back.
		switch passed := max(0, now.Sub(one.Locked)); {
		case one.Locked.IsZero():
		case passed < cfg.LockOut:
			c.until[key] = now.Add(cfg.LockOut - passed)
		default:
			delete(c.of, key)
		}
	}
	return c
}

// Err says why nothing can be counted; nil if it can.
func (c *Counter) Err() error { return c.broken }

func key(kind string, user core.UserID) string { return kind + "/" + string(user) }

// Left is for how long a person is locked out; 0 if they are not.
func (c *Counter) Left(kind string, user core.UserID) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.left(key(kind, user))
}

// left is Left. c.mu is held.
func (c *Counter) left(key string) time.Duration {
	until, is := c.until[key]
	if !is {
		return 0
	}
	if left := time.Until(until); left > 0 {
		return left
	}
	delete(c.until, key)
	delete(c.of, key) // which is written with the next change
	return 0
}

// Take counts an answer as wrong before it is looked at: durably, so that neither a
// restart nor many answers at once give anybody another try. Whoever was right then is
// cleared. The error is a *Locked, or wraps ErrNotKept; then the answer must not be
// looked at. locks is true of the last answer that is looked at.
func (c *Counter) Take(kind string, user core.UserID) (locks bool, err error) {
	if c.broken != nil {
		return false, c.broken
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k := key(kind, user)
	if left := c.left(k); left > 0 {
		return false, &Locked{Left: left}
	}
	before, was := c.of[k]
	one := counted{Wrong: before.Wrong + 1}
	if locks = one.Wrong >= Most; locks {
		one.Locked = time.Now().UTC()
	}
	c.of[k] = one
	if err := c.save(); err != nil {
		if c.of[k] = before; !was {
			delete(c.of, k)
		}
		return false, err
	}
	if locks {
		c.until[k] = time.Now().Add(c.cfg.LockOut)
	}
	return locks, nil
}

// Clear forgets what a person has tried, who was right, or whom an administrator lets
// try again.
func (c *Counter) Clear(kind string, user core.UserID) error {
	if c.broken != nil {
		return c.broken
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k := key(kind, user)
	before, was := c.of[k]
	if !was {
		return nil
	}
	delete(c.of, k)
	if err := c.save(); err != nil {
		c.of[k] = before
		return err
	}
	delete(c.until, k)
	return nil
}

// save writes the file durably. c.mu is held.
func (c *Counter) save() error {
	if err := c.cfg.File.Save(c.of); err != nil {
		return fmt.Errorf("tries: %w: %w", ErrNotKept, err)
	}
	return nil
}
