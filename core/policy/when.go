package policy

import "time"

// when is the compiled DateCheck, TimeCheck and DayCheck. Each is about the
// moment on its own: 22 to 6 on Fridays covers the small hours of Friday, not
// those of Saturday.
type when struct {
	dates []instants
	times []TimeRange
	days  uint8
}

// instants counts from, not to, both in milliseconds since 1970.
type instants struct{ from, to int64 }

// moment is a time as filters see it.
type moment struct {
	ms     int64
	second int // after midnight, on the wall clock of the machine
	day    uint8
}

func momentOf(t time.Time, zone *time.Location) moment {
	local := t.In(zone)
	hour, minute, second := local.Clock()
	return moment{ms: t.UnixMilli(), second: hour*3600 + minute*60 + second, day: 1 << local.Weekday()}
}

// always reports whether there is no filter, as in most policies: the moment is
// then not even worked out.
func (w *when) always() bool { return w.days == 0 && len(w.dates) == 0 && len(w.times) == 0 }

func (w *when) match(m *moment) bool {
	return (w.days == 0 || w.days&m.day != 0) && w.onDate(m.ms) && w.atTime(m.second)
}

func (w *when) onDate(ms int64) bool {
	for _, d := range w.dates {
		if ms >= d.from && ms < d.to {
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

func compileWhen(p *Policy, zone *time.Location) when {
	w := when{times: p.Times, days: p.Days}
	for _, d := range p.Dates {
		if d.Instants {
			w.dates = append(w.dates, instants{d.FromMS, d.ToMS + 1})
			continue
		}
		first, last := d.FirstDay, d.LastDay
		from := time.Date(first.year, first.month, first.day, 0, 0, 0, 0, zone)
		to := time.Date(last.year, last.month, last.day+1, 0, 0, 0, 0, zone)
		w.dates = append(w.dates, instants{from.UnixMilli(), to.UnixMilli()})
	}
	return w
}
