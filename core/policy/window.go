package policy

import (
	"fmt"
	"strings"
	"time"

	"kpm/core"
)

// maxSpans bounds each list of a window, in entries.
const maxSpans = 32

// window is Extension.AutomaticApproval: while it is open, what the policy asks
// approval for is approved by it. Its dates, times and days mean what those of a
// policy's filters do, on the clock on the wall in a zone of its own: an hour that a
// change of clocks leaves out is never in it, and one that comes twice is in it twice.
type window struct {
	when
	zone *time.Location
	text string // for people
}

func (w *window) open(at time.Time) bool {
	m := momentOf(at.In(w.zone))
	return w.onDate(&m) && w.atTime(m.second) && (w.days == 0 || w.days&m.day != 0)
}

// closes returns when the window is not open any more that is open at a moment. It
// reports false if no end is found within two days: then nothing is approved by it.
func (w *window) closes(at time.Time) (time.Time, bool) {
	limit := at.Add(48 * time.Hour)
	for at = at.In(w.zone); at.Before(limit); {
		if at = w.step(at); !w.open(at) {
			return at, true
		}
	}
	return time.Time{}, false
}

// step returns the next moment at which the window may close: the end of a time, of
// an instant or of the day, or a change of clocks.
func (w *window) step(at time.Time) time.Time {
	whole := at.Truncate(time.Second)
	now := momentOf(at).second
	end := allDay
	for _, t := range w.times {
		if t.To > now {
			end = min(end, t.To)
		}
	}
	next := whole.Add(time.Duration(end-now) * time.Second)
	if _, change := at.ZoneBounds(); !change.IsZero() && change.Before(next) {
		next = change
	}
	for _, d := range w.dates {
		if over := time.UnixMilli(d.to + 1); d.instants && over.After(at) && over.Before(next) {
			next = over.In(w.zone)
		}
	}
	return next
}

// openAgain reports whether the window is open, while also is, at some moment of the
// year that begins at a moment. also is of the zone of that.
func (w *window) openAgain(from time.Time, also *when) bool {
	both := func(at time.Time) bool {
		m := momentOf(at.In(from.Location()))
		return w.open(at) && also.onDate(&m) && also.atTime(m.second) && (also.days == 0 || also.days&m.day != 0)
	}
	if both(from) {
		return true
	}
	// What both are open for begins where one of them opens: at the beginning of a
	// time, of an instant or of a day, or at a change of clocks.
	for _, side := range []struct {
		when *when
		zone *time.Location
	}{{&w.when, w.zone}, {also, from.Location()}} {
		for _, d := range side.when.dates {
			if at := time.UnixMilli(d.from); d.instants && at.After(from) && both(at) {
				return true
			}
		}
		for day := range 367 {
			year, month, date := from.In(side.zone).AddDate(0, 0, day).Date()
			midnight := time.Date(year, month, date, 0, 0, 0, 0, side.zone)
			if _, change := midnight.ZoneBounds(); both(midnight) || !change.IsZero() && both(change) {
				return true
			}
			for _, t := range side.when.times {
				if at := time.Date(year, month, date, 0, 0, t.From, 0, side.zone); at.After(from) && both(at) {
					return true
				}
			}
		}
	}
	return false
}

// String says when the window is open.
func (w *window) String() string { return w.text }

// describeWindow is p, of which only dates, times and days are looked at, in words.
func describeWindow(p *Policy, zone string) string {
	var parts []string
	add := func(text fmt.Stringer) { parts = append(parts, text.String()) }
	for _, t := range p.Times {
		add(t)
	}
	for day := range 7 {
		if p.Days&(1<<day) != 0 {
			add(time.Weekday(day))
		}
	}
	for _, d := range p.Dates {
		add(d)
	}
	text := strings.Join(parts, ", ")
	if len(text) > maxName {
		text = text[:maxName] + " and more"
	}
	return text + " in " + zone
}

// automatic is what an answer says of a window that is open at a moment; nil if it is
// not.
func (w *window) automatic(at time.Time) *core.AutomaticApproval {
	if w == nil || !w.open(at) {
		return nil
	}
	end, closes := w.closes(at)
	if !closes {
		return nil
	}
	return &core.AutomaticApproval{Schedule: w.text, Until: end.UnixMilli()}
}

// explain says what the window does to a policy that is met so far.
func (w *window) explain(at time.Time, by strength) string {
	auto := w.automatic(at)
	switch {
	case auto == nil:
		return "approval would be given automatically " + w.text + ", which it is not now"
	case by != full:
		return "approval is given automatically " + w.text + ", but not to who is only restricted"
	}
	return fmt.Sprintf("approval is given automatically %s, now until %s", w.text, time.UnixMilli(auto.Until).In(w.zone).Format("2006-01-02 15:04:05 MST"))
}
