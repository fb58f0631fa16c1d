package policy

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"kpm/core/controls"
	"kpm/core/fault"
	"kpm/core/strictjson"
)

// Parse reads a policy file: one policy, or an array of them (decision 5).
// file is its name in findings. If any finding is a Fault, the file could not be
// read to its end, and what was read of it must not be used. Whatever else is
// wrong costs the policy that it stands in its grant, and no other anything.
func (e *Engine) Parse(file string, data []byte) ([]Policy, []Finding) {
	r := &reader{file: file, kinds: e.kinds, table: e.controls}
	top, ok := r.root(data, "", "one policy, or an array of policies")
	if !ok {
		return nil, r.findings
	}
	if top.IsObject() {
		policies := make([]Policy, 1)
		r.policy(top, &policies[0])
		return policies, r.findings
	}
	if !top.IsArray() {
		r.fault(top, "$", describe(top), "an object or an array", "write one policy, or an array of policies")
		return nil, r.findings
	}
	items, ok := top.Items(maxPolicies)
	if !ok {
		r.fault(top, "", "more policies", fmt.Sprintf("at most %d in one file", maxPolicies), "split the file")
	}
	policies := make([]Policy, 0, len(items))
	for i, item := range items {
		r.index, r.id = i, ""
		if !item.IsObject() {
			r.doubt(item, "$", describe(item), "an object", "")
			continue
		}
		policies = append(policies, Policy{})
		r.policy(item, &policies[len(policies)-1])
	}
	return policies, r.findings
}

// reader collects findings while it reads one policy after the other.
type reader struct {
	file     string
	kinds    []Kind
	table    controls.Table
	index    int
	id       string
	doubtful bool
	kept     bool // by the current policy nothing is granted, whatever it says
	findings []Finding
	zones    map[string]*time.Location // by their names
	room     []strictjson.Member       // for the members of one object
}

// root reads a whole file. Keys given twice are found where objects are read: a
// fault in what nobody reads would cost the other policies their force.
func (r *reader) root(data []byte, path, expected string) (strictjson.Value, bool) {
	top, err := strictjson.Parse(data, MaxFile)
	var refused *strictjson.Error
	if !errors.As(err, &refused) {
		return top, true
	}
	f := Finding{Severity: Fault, Fault: *refused.Fault(r.file), Index: r.index}
	f.Field = path
	switch refused.Problem {
	case strictjson.TooLong:
		f.Found, f.Expected, f.Remedy = fmt.Sprintf("%d bytes", len(data)), fmt.Sprintf("at most %d", MaxFile), "split the file"
	case strictjson.NotUTF8:
		f.Found, f.Expected, f.Remedy = "text that is not UTF-8", "UTF-8", "save the file as UTF-8"
	default:
		f.Found, f.Expected, f.Remedy = "no valid JSON ("+refused.Err.Error()+")", expected, cmp.Or(refused.Remedy, "fix the JSON")
	}
	r.findings = append(r.findings, f)
	return top, false
}

// find adds a finding about v, or about no place if v is not Given.
func (r *reader) find(s Severity, v strictjson.Value, path, found, expected, remedy string) {
	f := Finding{
		Severity: s, Policy: r.id, Index: r.index,
		Fault: fault.Fault{File: r.file, Field: path, Found: found, Expected: expected, Remedy: remedy},
	}
	if v.Given() {
		f.Line, f.Column = v.Place()
	}
	r.findings = append(r.findings, f)
	r.doubtful = r.doubtful || s == Doubt
}

func (r *reader) fault(v strictjson.Value, path, found, expected, remedy string) {
	r.find(Fault, v, path, found, expected, remedy)
}

func (r *reader) doubt(v strictjson.Value, path, found, expected, remedy string) {
	r.find(Doubt, v, path, found, expected, remedy)
}

func (r *reader) note(v strictjson.Value, path, found, expected, remedy string) {
	r.find(Note, v, path, found, expected, remedy)
}

// nowhere is the place of what is missing.
var nowhere strictjson.Value
