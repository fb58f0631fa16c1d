package schedule

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"kpm/core/fault"
)

// Calendar is the "calendar" of a schedule. Without weekdays, monthDays and
// nthWeekdays every day is meant; with some of them, a day that one of them means.
type Calendar struct {
	Weekdays    []string     `json:"weekdays" jsonschema_description:"Monday, or Mon."`
	MonthDays   []int        `json:"monthDays" jsonschema_description:"1 to 31; -1 is the last day of the month."`
	NthWeekdays []NthWeekday `json:"nthWeekdays" jsonschema_description:"Like the second Tuesday of the month."`
	Months      []int        `json:"months" jsonschema_description:"1 to 12; every month if it is empty."`
	Times       []string     `json:"times" jsonschema_description:"HH:MM, of each such day."`
	Exclude     []string     `json:"exclude" jsonschema_description:"Dates, YYYY-MM-DD, on which it is never due."`
}

// NthWeekday is a weekday of a month by its number; -1 is the last.
type NthWeekday struct {
	Nth     int    `json:"nth" jsonschema_description:"1 to 5; -1 is the last."`
	Weekday string `json:"weekday" jsonschema_description:"Monday, or Mon."`
}

// compile checks c and returns it as a rule.
func (c *Calendar) compile(zone *time.Location, expect Expect) rule {
	w := wall{zone: zone}
	expect(len(c.Times) > 0 && len(c.Times) <= 1440, "calendar.times", fmt.Sprintf("a list of %d", len(c.Times)), `1 to 1440 times, like "03:30"`)
	for i, text := range c.Times {
		at, err := time.Parse("15:04", text)
		expect(err == nil, fmt.Sprintf("calendar.times[%d]", i), fault.Quote(text), `a time of day, like "03:30"`)
		w.times = append(w.times, clock(at.Hour()*60+at.Minute()))
	}
	slices.Sort(w.times)
	w.times = slices.Compact(w.times)

	weekdays := map[time.Weekday]bool{}
	for i, text := range c.Weekdays {
		day, ok := parseWeekday(text)
		expect(ok, fmt.Sprintf("calendar.weekdays[%d]", i), fault.Quote(text), "Monday to Sunday")
		weekdays[day] = true
	}
	for i, n := range c.MonthDays {
		expect(n >= 1 && n <= 31 || n <= -1 && n >= -31, fmt.Sprintf("calendar.monthDays[%d]", i), fmt.Sprint(n), "1 to 31, or -1 to -31 counted from the end")
	}
	type nth struct {
		n   int
		day time.Weekday
	}
	var nths []nth
	for i, n := range c.NthWeekdays {
		day, ok := parseWeekday(n.Weekday)
		expect(ok, fmt.Sprintf("calendar.nthWeekdays[%d].weekday", i), fault.Quote(n.Weekday), "Monday to Sunday")
		expect(n.Nth >= 1 && n.Nth <= 5 || n.Nth == -1, fmt.Sprintf("calendar.nthWeekdays[%d].nth", i), fmt.Sprint(n.Nth), "1 to 5, or -1 for the last")
		nths = append(nths, nth{n.Nth, day})
	}
	for i, n := range c.Months {
		expect(n >= 1 && n <= 12, fmt.Sprintf("calendar.months[%d]", i), fmt.Sprint(n), "1 to 12")
	}
	excluded := map[date]bool{}
	for i, text := range c.Exclude {
		day, err := time.Parse(time.DateOnly, text)
		expect(err == nil, fmt.Sprintf("calendar.exclude[%d]", i), fault.Quote(text), `a date, like "2026-12-25"`)
		excluded[dateOf(day)] = true
	}
	any := len(weekdays)+len(c.MonthDays)+len(nths) == 0
	w.on = func(d date) bool {
		if excluded[d] || len(c.Months) > 0 && !slices.Contains(c.Months, int(d.month)) {
			return false
		}
		fromEnd := d.day - d.last() - 1
		return any || weekdays[d.weekday()] || slices.Contains(c.MonthDays, d.day) || slices.Contains(c.MonthDays, fromEnd) ||
			slices.ContainsFunc(nths, func(n nth) bool {
				return n.day == d.weekday() && (n.n == (d.day+6)/7 || n.n == -1 && fromEnd >= -7)
			})
	}
	return w
}

// parseWeekday reads a weekday's English name, or its first three letters.
func parseWeekday(text string) (time.Weekday, bool) {
	for day := time.Sunday; day <= time.Saturday; day++ {
		if strings.EqualFold(text, day.String()) || strings.EqualFold(text, day.String()[:3]) {
			return day, true
		}
	}
	return 0, false
}
