package policy

import "time"

// when is the compiled DateCheck, TimeCheck and DayCheck. Each is about the
// moment on its own: 22 to 6 on Fridays covers the small hours of Friday, not
// those of Saturday.
type when struct {
	dates []dates
	times []TimeRange
	days  uint8
}

// dates counts both ends, which are days as civilDay numbers them or milliseconds
// since 1970. Days are compared as days: where clocks are changed at midnight
// there is no moment 0:00 that they could begin or end with.
type dates struct {
	from, to int64
	instants bool
}

// moment is a time as filters see it, on the wall clock of its location.
type moment struct {
	ms     int64
	date   int64 // as civilDay numbers it
	second int   // after midnight
	day    uint8
}

func momentOf(t time.Time) moment {
	hour, minute, second := t.Clock()
	var today civilDay
	today.year, today.month, today.day = t.Date()
	return moment{ms: t.UnixMilli(), date: today.number(), second: hour*3600 + minute*60 + second, day: 1 << t.Weekday()}
}

func (w *when) onDate(m *moment) bool {
	for _, d := range w.dates {
		at := m.date
		if d.instants {
			at = m.ms
		}
		if at >= d.from && at <= d.to {
			return true
		}
	}
	return len(w.dates) == 0
}

func (w *when) atTime(second int) bool {
	for _, t := range w.times {
		inside := second >= t.From && second < t.To
		if t.To < t.From { // over midnight
			inside = second >= t.From || second < t.To
		}
		if inside {
			return true
		}
	}
	return len(w.times) == 0
}

func compileWhen(p *Policy) when {
	w := when{times: p.Times, days: p.Days}
	for _, d := range p.Dates {
		if d.Instants {
			w.dates = append(w.dates, dates{d.FromMS, d.ToMS, true})
			continue
		}
		w.dates = append(w.dates, dates{d.FirstDay.number(), d.LastDay.number(), false})
	}
	return w
}

// number is greater the later the day is.
func (d civilDay) number() int64 {
	return int64(d.year*12+int(d.month))*32 + int64(d.day)
}
