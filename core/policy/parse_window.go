package policy

import (
	"fmt"
	"slices"
	"time"
	_ "time/tzdata" // Windows has no time zones of its own that Go could read

	"kpm/core"
	"kpm/core/fault"
)

// windowKey is the key of Extension that says when approval is given automatically.
const windowKey = "AutomaticApproval"

var windowKeys = []string{"TimeZone", "DateCheck", "TimeCheck", "DayCheck"}

// window reads AutomaticApproval. What is wrong in it costs the policy its grant, and
// nothing is approved by it.
func (r *reader) window(p *Policy, e fields) {
	const path = "$.Extension." + windowKey
	v, given := e.filled(windowKey)
	if !given {
		return
	}
	before := len(r.findings)
	o := r.object(v, path, windowKeys)
	name := r.text(o, "TimeZone")
	zone := r.zone(o, name)
	for _, key := range windowKeys[1:] {
		list, filled := o.filled(key)
		if !filled || !list.IsArray() {
			continue
		}
		if _, ok := list.Items(maxSpans); !ok {
			r.doubt(list, path+"."+key, "more entries", fmt.Sprintf("at most %d", maxSpans), "")
		}
	}
	var read Policy
	r.dates(&read, o)
	r.times(&read, o)
	r.days(&read, o)
	w := &window{when: compileWhen(&read), zone: zone}
	switch {
	case len(r.findings) > before:
		return
	case len(w.times) == 0:
		r.doubt(v, path+".TimeCheck", "none", `times such as [{"StartTime": "9", "EndTime": "17"}]`, "what is approved automatically has to end every day")
	case !slices.ContainsFunc(w.times, func(t TimeRange) bool { return !w.atTime(t.To % allDay) }):
		r.doubt(o.get("TimeCheck"), path+".TimeCheck", "times that leave out no time of the day", "times that end", "without an end everything is approved for ever: use ALLOW if that is meant")
	case !slices.Contains(p.Controls, core.ControlApproval):
		r.note(v, path, "automatic approval in a policy that asks for none", "APPROVAL among its controls", "it does nothing")
	default:
		w.text = describeWindow(&read, name)
		p.Automatic = w
	}
}

// zone reads TimeZone. It has to be named: the zone of whichever machine it is would
// be another one on the next. Names are looked up once for a file.
func (r *reader) zone(o fields, name string) *time.Location {
	if known := r.zones[name]; known != nil {
		return known
	}
	zone, err := time.LoadLocation(name)
	if name == "" || name == "Local" || err != nil {
		at := o.get("TimeZone")
		found := "none"
		if at.Given() {
			found = fault.Text(name)
		}
		r.doubt(at, o.path+".TimeZone", found, `a time zone by its IANA name, such as "Europe/Berlin" or "UTC"`, "")
		return nil
	}
	if r.zones == nil {
		r.zones = map[string]*time.Location{}
	}
	r.zones[name] = zone
	return zone
}
