package policy

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"kpm/core"
	"kpm/core/controls"
	"kpm/core/fault"
	"kpm/core/strictjson"
)

// filters reads the filter arrays of either layout.
func (r *reader) filters(p *Policy, f fields, kind answerer) {
	var nested fields
	if v, given := f.filled("Filters"); given {
		nested = r.object(v, "$.Filters", filterKeys)
	}
	var users, machines, applications bool
	p.Users, users = r.filter(f, nested, "UserCheck", "Users")
	p.Machines, machines = r.filter(f, nested, "MachineCheck", "Machines")
	p.Applications, applications = r.filter(f, nested, "ApplicationCheck", "Applications")
	p.Targets, _ = r.filter(f, nested, "TargetUserCheck", "Users")
	if !r.kept {
		r.emptiness(p, kind, users, machines, applications)
	}
	if v := f.get("CertificationCheck"); v.Given() {
		p.Certificates, _ = r.narrow(v, "$.CertificationCheck")
	}
	r.dates(p, f)
	r.times(p, f)
	r.days(p, f)
}

// filter reads key at the top level, or Filters.{key}.{inner}. It reports false,
// and narrows nothing, if that cannot be read whole.
func (r *reader) filter(f, nested fields, key, inner string) (list []string, whole bool) {
	whole = !slices.Contains(f.twice, key) && !slices.Contains(nested.twice, key)
	if v := f.get(key); v.Given() {
		var ok bool
		list, ok = r.narrow(v, "$."+key)
		whole = whole && ok
	}
	if below, minimal := nested.filled(key); minimal {
		path := "$.Filters." + key
		if len(list) > 0 {
			r.doubt(below, path, "the filter in two layouts", "one of them", "keep $."+key)
		}
		if entries := r.object(below, path, []string{inner}).get(inner); entries.Given() {
			more, ok := r.narrow(entries, path+"."+inner)
			list, whole = append(list, more...), whole && ok
		}
	}
	if !whole {
		return nil, false
	}
	return list, true
}

// emptiness says what an empty filter means (decision 29), of those that could be
// read.
func (r *reader) emptiness(p *Policy, kind answerer, users, machines, applications bool) {
	find := r.note
	if r.wantsToGrant(p) {
		find = r.doubt
	}
	if users && len(p.Users) == 0 {
		find(nowhere, "$.UserCheck", "no users", `users, or "*"`, "as it stands the policy restricts everyone and grants nothing")
	}
	if applications && len(p.Applications) == 0 && !kind.everyProgram(p) {
		find(nowhere, "$.ApplicationCheck", "no applications", `applications, or "*"`, "as it stands the policy restricts every program and grants nothing")
	}
	if machines && len(p.Machines) == 0 {
		r.note(nowhere, "$.MachineCheck", "no machines", `machines, or "*"`, "as it stands the policy holds on every machine that has the file")
	}
}

// wantsToGrant reports whether p has a control that grants.
func (r *reader) wantsToGrant(p *Policy) bool {
	return slices.ContainsFunc(p.Controls, func(c core.Control) bool {
		effect := r.table.Effect(c)
		return effect == controls.Grants || effect == controls.Required
	})
}

// spans reads an array of spans. ["*"], as the vendor's admin tool writes it, is
// an unset filter. ok is false if it is no array.
func (r *reader) spans(f fields, key string) (items []strictjson.Value, ok bool) {
	list := f.get(key)
	if !list.Given() {
		return nil, true
	}
	items, ok = r.items(list, f.path+"."+key)
	if len(items) == 1 && items[0].IsString() && strings.TrimSpace(items[0].Text()) == "*" {
		return nil, true
	}
	return items, ok
}

// open reports whether one end of a span is left open.
func open(end strictjson.Value) bool {
	return !end.Given() || end.IsNull() || end.IsString() && strings.TrimSpace(end.Text()) == ""
}

// dates reads days ("2025-01-31") or milliseconds since 1970. One end may be
// open.
func (r *reader) dates(p *Policy, f fields) {
	items, whole := r.spans(f, "DateCheck")
	for i, item := range items {
		path := fault.Item(f.path+".DateCheck", i)
		d := r.object(item, path, []string{"StartDate", "EndDate"})
		if !item.IsObject() {
			whole = false
		} else if span, ok := dateRange(d.get("StartDate"), d.get("EndDate")); ok && len(d.twice) == 0 {
			p.Dates = append(p.Dates, span)
		} else {
			r.doubt(item, path, "a span that cannot be read",
				`StartDate, EndDate or both, "YYYY-MM-DD" or milliseconds since 1970, in that order`, "leave DateCheck empty to mean every day")
			whole = false
		}
	}
	if !whole {
		p.Dates = nil // what the rest would leave out may be what was meant
	}
}

func dateRange(from, to strictjson.Value) (DateRange, bool) {
	var d DateRange
	number := func(v strictjson.Value) bool { return open(v) || v.IsNumber() }
	text := func(v strictjson.Value) bool { return open(v) || v.IsString() }
	switch {
	case open(from) && open(to):
		return d, false
	case number(from) && number(to):
		first, err1 := instant(from, math.MinInt64/2)
		last, err2 := instant(to, math.MaxInt64/2-1)
		return DateRange{FromMS: first, ToMS: last, Instants: true},
			err1 == nil && err2 == nil && first <= last && last < math.MaxInt64/2
	case text(from) && text(to):
		first, err1 := day(from, time.Date(1, time.January, 1, 0, 0, 0, 0, time.UTC))
		last, err2 := day(to, time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC))
		d.FirstDay.year, d.FirstDay.month, d.FirstDay.day = first.Date()
		d.LastDay.year, d.LastDay.month, d.LastDay.day = last.Date()
		return d, err1 == nil && err2 == nil && !last.Before(first)
	}
	return d, false
}

func instant(end strictjson.Value, otherwise int64) (int64, error) {
	if open(end) {
		return otherwise, nil
	}
	return strconv.ParseInt(end.Text(), 10, 64)
}

func day(end strictjson.Value, otherwise time.Time) (time.Time, error) {
	if open(end) {
		return otherwise, nil
	}
	return time.Parse(time.DateOnly, end.Text())
}

// allDay is the end of a day, in seconds after midnight.
const allDay = 24 * 60 * 60

// times reads whole hours (0 to 23) or HH:MM[:SS]. The end is not included;
// 0 as an end is midnight. One end may be open.
func (r *reader) times(p *Policy, f fields) {
	items, whole := r.spans(f, "TimeCheck")
	for i, item := range items {
		path := fault.Item(f.path+".TimeCheck", i)
		t := r.object(item, path, []string{"StartTime", "EndTime"})
		if !item.IsObject() {
			whole = false
			continue
		}
		from, ok1 := 0, true
		to, ok2 := allDay, true
		if v := t.get("StartTime"); !open(v) {
			from, ok1 = clock(v)
		}
		if v := t.get("EndTime"); !open(v) {
			to, ok2 = clock(v)
		}
		both := open(t.get("StartTime")) && open(t.get("EndTime"))
		if !ok1 || !ok2 || both || from == to || len(t.twice) > 0 {
			r.doubt(item, path, "a span that cannot be read",
				`StartTime, EndTime or both, two different times such as "9" and "17:30"`, "leave TimeCheck empty to mean all day")
			whole = false
			continue
		}
		p.Times = append(p.Times, TimeRange{From: from, To: to})
	}
	if !whole {
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
	items, whole := r.spans(f, "DayCheck")
	for i, item := range items {
		day, err := strconv.Atoi(item.Text())
		if !item.IsNumber() || err != nil || day < 0 || day > 6 {
			r.doubt(item, fault.Item(f.path+".DayCheck", i), describe(item), "a number from 0 (Sunday) to 6 (Saturday)", "")
			whole = false
			continue
		}
		p.Days |= 1 << day
	}
	if !whole {
		p.Days = 0
	}
}
