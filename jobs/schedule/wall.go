package schedule

import (
	"slices"
	"time"
)

// date is a day of a calendar.
type date struct {
	year  int
	month time.Month
	day   int
}

func dateOf(t time.Time) date {
	y, m, d := t.Date()
	return date{y, m, d}
}

func (d date) next() date { return dateOf(time.Date(d.year, d.month, d.day+1, 12, 0, 0, 0, time.UTC)) }

func (d date) weekday() time.Weekday {
	return time.Date(d.year, d.month, d.day, 12, 0, 0, 0, time.UTC).Weekday()
}

// last is the last day of d's month.
func (d date) last() int { return time.Date(d.year, d.month+1, 0, 12, 0, 0, 0, time.UTC).Day() }

// clock is a time of day in minutes since midnight, as a wall clock shows it.
type clock int

// instant is when a wall clock in zone shows c on d. A time that the clock skips
// (it is put forward) is the first instant after the skip; one that it shows twice
// (it is put back) is the first of the two. These are the rules of ISC cron for
// fixed times.
func instant(d date, c clock, zone *time.Location) time.Time {
	shown := time.Date(d.year, d.month, d.day, 0, int(c), 0, 0, time.UTC)
	// No clock is put forward or back by more than a day, and none twice within
	// two: the offsets a day before and after are all that can be meant.
	const away = 26 * time.Hour
	before, after := offset(shown.Add(-away), zone), offset(shown.Add(away), zone)
	var found []time.Time
	for _, o := range []time.Duration{before, after} {
		if t := shown.Add(-o); offset(t, zone) == o {
			found = append(found, t)
		}
	}
	if len(found) > 0 {
		return slices.MinFunc(found, time.Time.Compare).In(zone)
	}
	// The old offset leads past the skip, by as much as the skipped time is
	// into it.
	start, _ := shown.Add(-before).In(zone).ZoneBounds()
	return start
}

func offset(t time.Time, zone *time.Location) time.Duration {
	_, seconds := t.In(zone).Zone()
	return time.Duration(seconds) * time.Second
}

// searchDays bounds the search for a day: every date there is comes within 8
// years (29 February around a year that is no leap year), on each weekday within
// 40.
const searchDays = 41 * 366

// wall is due at fixed times of some days.
type wall struct {
	zone  *time.Location
	on    func(date) bool
	times []clock // ascending
}

func (w wall) next(after time.Time) (time.Time, bool) {
	day := dateOf(after.In(w.zone))
	for range searchDays {
		if w.on(day) {
			for _, c := range w.times {
				if t := instant(day, c, w.zone); t.After(after) {
					return t, true
				}
			}
		}
		day = day.next()
	}
	return time.Time{}, false
}

// minutely is due at some minutes of every hour of some days, as time passes: in an
// hour that the clock shows twice it is due in both, and none is made up for that
// the clock skips.
type minutely struct {
	zone    *time.Location
	on      func(date) bool
	minutes uint64 // bit n: minute n
}

func (m minutely) next(after time.Time) (time.Time, bool) {
	day := dateOf(after.In(m.zone))
	for range searchDays {
		if m.on(day) {
			t := after.Truncate(time.Minute).Add(time.Minute)
			if start := instant(day, 0, m.zone); start.After(t) {
				t = start
			}
			for ; dateOf(t.In(m.zone)) == day; t = t.Add(time.Minute) {
				if m.minutes&(1<<t.In(m.zone).Minute()) != 0 {
					return t.In(m.zone), true
				}
			}
		}
		day = day.next()
	}
	return time.Time{}, false
}
