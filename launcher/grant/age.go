package grant

import (
	"fmt"
	"slices"
	"time"

	"kpm/core"
	"kpm/core/span"
)

// age counts the time that a machine has run since it first kept grants. Of the
// time between two starts of the service within one boot nothing is lost; the time
// that the machine was off does not count, so that a pause is never cut short.
type age struct {
	Boot  string        `json:"boot"`
	Since time.Duration `json:"since"` // of that boot, when
	Age   time.Duration `json:"age"`   // this was the age
}

// past is a grant that has been: what budgets and pauses are counted by. Ends is in
// the future while it lasts.
type past struct {
	ID     string        `json:"id"`
	User   core.UserID   `json:"user"`
	Policy string        `json:"policy"`
	From   time.Duration `json:"from"`
	Ends   time.Duration `json:"ends"`
	// Followed is true if another one took its place: no pause follows.
	Followed bool `json:"followed,omitempty"`
}

// kept is the file.
type kept struct {
	age
	Grants []*Grant `json:"grants"`
	Past   []past   `json:"past"`
}

// now is the age. s.mu is held.
func (s *Store) now() (time.Duration, error) {
	boot, since, err := s.cfg.Clock.Now()
	if err != nil {
		return 0, err
	}
	if boot != s.age.Boot { // only a restart of the machine changes it
		return 0, fmt.Errorf("grant: the clock says boot %.64q, and it was %.64q", boot, s.age.Boot)
	}
	return s.age.Age + max(0, since-s.age.Since), nil
}

// load reads the file, and reports whether the machine was restarted since.
func (s *Store) load() (rebooted bool, err error) {
	boot, since, err := s.cfg.Clock.Now()
	if err != nil {
		return false, fmt.Errorf("grant: %w", err)
	}
	var was kept
	if err := s.cfg.File.Load(&was, "remove it, and whoever may not be given a grant yet may be"); err != nil {
		return false, fmt.Errorf("grant: %w", err)
	}
	s.grants, s.past = was.Grants, was.Past
	s.age = age{Boot: boot, Since: since, Age: was.Age}
	if was.Boot == boot {
		s.age.Age += max(0, since-was.Since)
	}
	return was.Boot != boot, nil
}

// save writes the file durably. s.mu is held.
func (s *Store) save() error {
	now, err := s.now()
	if err != nil {
		return err
	}
	s.past = slices.DeleteFunc(s.past, func(p past) bool { return now-p.Ends > span.Max })
	_, since, err := s.cfg.Clock.Now()
	if err != nil {
		return err
	}
	if err := s.cfg.File.Save(kept{age{s.age.Boot, since, now}, s.grants, s.past}); err != nil {
		return fmt.Errorf("grant: %w", err)
	}
	return nil
}

// close says of the past when a grant has ended.
func (s *Store) close(g *Grant, now time.Duration) {
	for i := range s.past {
		if s.past[i].ID == g.ID {
			s.past[i].Ends = min(s.past[i].Ends, now)
		}
	}
}
