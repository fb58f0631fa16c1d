package policy

import (
	"math"
	"strconv"
	"strings"
	"time"

	"kpm/core/fault"
	"kpm/core/strictjson"
)

// filters reads the filter arrays of either layout.
func (r *reader) filters(p *Policy, f fields, kind answerer) {
	var nested fields
	if v, given := f.filled("Filters"); given {
		nested = r.object(v, "$.Filters", filterKeys)
	}
	p.Users = r.filter(f, nested, "UserCheck", "Users")
	p.Machines = r.filter(f, nested, "MachineCheck", "Machines")
	p.Applications = r.filter(f, nested, "ApplicationCheck", "Applications")
	r.emptiness(p, kind)
	if v := f.get("CertificationCheck"); v.Given() {
		p.Certificates = r.texts(v, "$.CertificationCheck")
	}
	r.dates(p, f)
	r.times(p, f)
	r.days(p, f)
}

// filter reads key at the top level, or Filters.{key}.{inner}.
func (r *reader) filter(f, nested fields, key, inner string) []string {
	var list []string
	if v := f.get(key); v.Given() {
		list = r.texts(v, "$."+key)
	}
	below, minimal := nested.filled(key)
	if !minimal {
		return list
	}
	path := "$.Filters." + key
	if len(list) > 0 {
		r.doubt(below, path, "the filter in two layouts", "one of them", "keep $."+key)
	}
	if entries := r.object(below, path, []string{inner}).get(inner); entries.Given() {
		list = append(list, r.texts(entries, path+"."+inner)...)
	}
	return list
}

// emptiness says what an empty filter means (decision 29).
func (r *reader) emptiness(p *Policy, kind answerer) {
	if len(p.Users) == 0 {
		r.note(nowhere, "$.UserCheck", "no users", `users, or "*"`, "as it stands the policy restricts everyone and grants nothing")
	}
	if len(p.Applications) == 0 && !kind.everyProgram(p) {
		r.note(nowhere, "$.ApplicationCheck", "no applications", `applications, or "*"`, "as it stands the policy restricts every program and grants nothing")
	}
	if len(p.Machines) == 0 {
		r.note(nowhere, "$.MachineCheck", "no machines", `machines, or "*"`, "as it stands the policy holds on every machine that has the file")
	}
}

// dates reads days ("2025-01-31") or milliseconds since 1970, always both ends.
func (r *reader) dates(p *Policy, f fields) {
	list := f.get("DateCheck")
	if !list.Given() {
		return
	}
	unread := false
	for i, item := range r.items(list, "$.DateCheck") {
		path := fault.Item("$.DateCheck", i)
		d := r.object(item, path, []string{"StartDate", "EndDate"})
		if span, ok := dateRange(d.get("StartDate"), d.get("EndDate")); ok {
			p.Dates = append(p.Dates, span)
		} else {
			r.doubt(item, path, "a span that cannot be read",
				`StartDate and EndDate, both "YYYY-MM-DD" or both milliseconds since 1970, in that order`, "")
			unread = true
		}
	}
	if unread {
		p.Dates = nil // what the rest would leave out may be what was meant
	}
}

func dateRange(from, to strictjson.Value) (DateRange, bool) {
	var d DateRange
	if !from.Given() || !to.Given() {
		return d, false
	}
	if from.IsNumber() && to.IsNumber() {
		first, err1 := strconv.ParseInt(from.Text(), 10, 64)
		last, err2 := strconv.ParseInt(to.Text(), 10, 64)
		return DateRange{FromMS: first, ToMS: last, Instants: true},
			err1 == nil && err2 == nil && first <= last && last < math.MaxInt64/2
	}
	if !from.IsString() || !to.IsString() {
		return d, false
	}
	first, err1 := time.Parse(time.DateOnly, from.Text())
	last, err2 := time.Parse(time.DateOnly, to.Text())
	if err1 != nil || err2 != nil || last.Before(first) {
		return d, false
	}
	d.FirstDay.year, d.FirstDay.month, d.FirstDay.day = first.Date()
	d.LastDay.year, d.LastDay.month, d.LastDay.day = last.Date()
	return d, true
}

// times reads whole hours (0 to 23) or HH:MM[:SS]. The end is not included;
// 0 as an end is midnight.
func (r *reader) times(p *Policy, f fields) {
	list := f.get("TimeCheck")
	if !list.Given() {
		return
	}
	unread := false
	for i, item := range r.items(list, "$.TimeCheck") {
		path := fault.Item("$.TimeCheck", i)
		t := r.object(item, path, []string{"StartTime", "EndTime"})
		from, ok1 := clock(t.get("StartTime"))
		to, ok2 := clock(t.get("EndTime"))
		if !ok1 || !ok2 || from == to {
			r.doubt(item, path, "a span that cannot be read",
				`StartTime and EndTime, two different times such as "9" and "17:30"`, "leave TimeCheck empty to mean all day")
			unread = true
			continue
		}
		p.Times = append(p.Times, TimeRange{From: from, To: to})
	}
	if unread {
		p.Times = nil
	}
}

// clock returns seconds after midnight.
func clock(v strictjson.Value) (int, bool) {
	if !v.Given() || !v.IsString() && !v.IsNumber() {
		return 0, false
	}
	parts := strings.Split(v.Text(), ":")
	if len(parts) > 3 {
		return 0, false
	}
	seconds := 0
	for i, limit := range []int{23, 59, 59} {
		value := 0
		if i < len(parts) {
			if len(parts[i]) == 0 || len(parts[i]) > 2 || strings.Trim(parts[i], "0123456789") != "" {
				return 0, false
			}
			value, _ = strconv.Atoi(parts[i]) // two digits: it cannot fail
		}
		if value > limit {
			return 0, false
		}
		seconds = seconds*60 + value
	}
	return seconds, true
}

// days reads numbers, Sunday being 0.
func (r *reader) days(p *Policy, f fields) {
	list := f.get("DayCheck")
	if !list.Given() {
		return
	}
	unread := false
	for i, item := range r.items(list, "$.DayCheck") {
		day, err := strconv.Atoi(item.Text())
		if !item.IsNumber() || err != nil || day < 0 || day > 6 {
			r.doubt(item, fault.Item("$.DayCheck", i), describe(item), "a number from 0 (Sunday) to 6 (Saturday)", "")
			unread = true
			continue
		}
		p.Days |= 1 << day
	}
	if unread {
		p.Days = 0
	}
}
