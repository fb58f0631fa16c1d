package schedule

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // Windows has no time zones of its own that Go could read

	"kpm/core/fault"
)

// File is the "schedule" of a job file: exactly one of the first four.
type File struct {
	IntervalMinutes *int      `json:"intervalMinutes" jsonschema:"minimum=1,maximum=527040" jsonschema_description:"So many minutes after the start of the service, and after each run."`
	CronExpression  string    `json:"cronExpression" jsonschema_description:"Five fields: minute, hour, day of the month, month, weekday."`
	RunAt           string    `json:"runAt" jsonschema_description:"Once, in RFC 3339; without an offset in timeZone."`
	Calendar        *Calendar `json:"calendar" jsonschema_description:"Times of some days."`
	// TimeZone is an IANA name such as Europe/Berlin; the machine's zone if empty.
	// Intervals have none.
	TimeZone string `json:"timeZone" jsonschema_description:"An IANA name, such as Europe/Berlin; the machine's zone if omitted."`
	// Missed says what becomes of a time at which the service did not run or the
	// machine slept: "once" (one run as soon as possible, however many were
	// missed) or "skip".
	Missed string `json:"missed" jsonschema:"enum=once,enum=skip,default=once" jsonschema_description:"What becomes of a time at which the service did not run or the machine slept."`
}

// maxInterval is a year.
const maxInterval = 366 * 24 * 60 // minutes

// Expect records a fault of a field, unless ok. field is relative to the schedule.
type Expect func(ok bool, field, found, expected string)

// rule finds the next time after another. ok is false if there is none.
type rule interface {
	next(after time.Time) (t time.Time, ok bool)
}

// Schedule is a compiled schedule. It does not change.
type Schedule struct {
	rule
	every time.Duration // of an interval; 0 for everything else
	once  bool          // runAt
	skip  bool          // missed times are not made up for
	text  string        // identifies it: two schedules with the same text are one
}

// Compile reads the "schedule" of a job file. It returns nil if none is written, and
// what must not be used if expect was told of a fault. now is for telling whether
// the schedule ever comes.
func Compile(raw json.RawMessage, f File, now time.Time, expect Expect) *Schedule {
	switch strings.Join(strings.Fields(string(raw)), "") {
	case "", "null", "{}":
		return nil
	}
	given := 0
	for _, is := range []bool{f.IntervalMinutes != nil, f.CronExpression != "", f.RunAt != "", f.Calendar != nil} {
		if is {
			given++
		}
	}
	expect(given == 1, "", fmt.Sprintf("an object with %d of them", given), "exactly one of intervalMinutes, cronExpression, runAt and calendar")
	zone, err := time.LoadLocation(f.TimeZone)
	expect(err == nil, "timeZone", fault.Quote(f.TimeZone), `a time zone, like "Europe/Berlin" or "UTC"`)
	if f.TimeZone == "" || err != nil {
		zone = time.Local
	}
	expect(f.Missed == "" || f.Missed == "once" || f.Missed == "skip", "missed", fault.Quote(f.Missed), `"once" or "skip"`)
	text, _ := json.Marshal(f) // its own types always have one
	s := &Schedule{skip: f.Missed == "skip", text: string(text)}
	switch {
	case f.IntervalMinutes != nil:
		n := *f.IntervalMinutes
		expect(n >= 1 && n <= maxInterval, "intervalMinutes", fmt.Sprint(n), fmt.Sprintf("1 to %d", maxInterval))
		s.every = time.Duration(n) * time.Minute
		s.rule = interval(s.every)
	case f.CronExpression != "":
		if s.rule, err = parseCron(f.CronExpression, zone); err != nil {
			expect(false, "cronExpression", fmt.Sprintf("%s (%v)", fault.Quote(f.CronExpression), err), `five fields, like "30 3 * * mon-fri"`)
			return s
		}
	case f.RunAt != "":
		at, ok := parseRunAt(f.RunAt, zone)
		expect(ok, "runAt", fault.Quote(f.RunAt), `RFC 3339, like "2026-12-24T18:00:00+01:00", or without the offset in timeZone`)
		s.once = true
		s.rule = moment{at}
		return s // one that has passed is no fault: it has been, or was missed
	case f.Calendar != nil:
		s.rule = f.Calendar.compile(zone, expect)
	default:
		return s
	}
	if w, ok := s.rule.(wall); ok && len(w.times) == 0 {
		return s
	}
	_, comes := s.Next(now)
	expect(comes, "", "a time that never comes", "a date that there is")
	return s
}

// Next returns the first time after after at which s is due; false if there is none.
func (s *Schedule) Next(after time.Time) (time.Time, bool) { return s.next(after) }

// interval is due when a time has passed since the last.
type interval time.Duration

func (i interval) next(after time.Time) (time.Time, bool) { return after.Add(time.Duration(i)), true }

// moment is due once.
type moment struct{ at time.Time }

func (m moment) next(after time.Time) (time.Time, bool) { return m.at, m.at.After(after) }

func parseRunAt(text string, zone *time.Location) (time.Time, bool) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, true
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			at := instant(dateOf(t), clock(t.Hour()*60+t.Minute()), zone)
			return at.Add(time.Duration(t.Second()) * time.Second), true
		}
	}
	return time.Time{}, false
}
