package jobs

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"kpm/core/fault"
	"kpm/core/strictjson"
	"kpm/core/wire"
	"kpm/jobs/schedule"
	"kpm/jobs/task"
)

// fieldNames are the names of the fields of a job file, by where they stand.
type fieldNames struct{ job, schedule, calendar, topics, event, parameter, task, retry []string }

func namesOf(kinds task.Kinds) fieldNames {
	ofTasks := []any{taskFile{}}
	for _, kind := range kinds {
		if kind.Fields != nil {
			ofTasks = append(ofTasks, kind.Fields)
		}
	}
	return fieldNames{
		job: fieldsOf(jobFile{}), schedule: fieldsOf(schedule.File{}), calendar: fieldsOf(schedule.Calendar{}), topics: fieldsOf(jobTopicsFile{}),
		event: fieldsOf(eventFile{}), parameter: fieldsOf(parameterFile{}), task: fieldsOf(ofTasks...), retry: fieldsOf(retryFile{}),
	}
}

// misspelt says which names of a sound file are ignored that are one slip away from a
// field. Other unknown names are somebody else's, and nothing is said of them
// (decision 1).
func (f fieldNames) misspelt(file strictjson.Value) (list []string) {
	look := func(path string, v strictjson.Value, fields []string, wanted ...string) []strictjson.Value {
		found, slips := membersOf(v, fields, wanted)
		slices.SortFunc(slips, func(a, b slip) int { return strings.Compare(a.name, b.name) })
		for _, s := range slips {
			list = append(list, fmt.Sprintf("%s%s is ignored: is %s meant?", path, wire.Printable(s.name), s.meant))
		}
		return found
	}
	each := func(path string, v strictjson.Value, fields []string, inner string, innerFields []string) {
		if !v.Given() || !v.IsArray() { // what is no list has no names
			return
		}
		items, _ := v.Items(maxListed)
		var inside []strictjson.Value
		at := func(i int) string { return fmt.Sprintf("%s[%d].", path, i) }
		for i, item := range items {
			inside = append(inside, look(at(i), item, fields, inner)...)
		}
		for i, one := range inside {
			if one.Given() {
				look(at(i)+inner+".", one, innerFields)
			}
		}
	}
	root := look("", file, f.job, "schedule", "mqttTopics", "events", "parameters", "tasks")
	when := look("schedule.", root[0], f.schedule, "calendar")
	look("schedule.calendar.", when[0], f.calendar)
	look("mqttTopics.", root[1], f.topics)
	each("events", root[2], f.event, "", nil)
	each("parameters", root[3], f.parameter, "", nil)
	each("tasks", root[4], f.task, "retry", f.retry)
	return list
}

// tellable is the length of a name from which on one letter less or more makes another
// word unlikely.
const tellable = 4

// slip is a name that is ignored, and the field that it looks like.
type slip struct{ name, meant string }

// membersOf returns what an object has under the names wanted, and what of it is no
// field and looks like one.
func membersOf(v strictjson.Value, fields, wanted []string) (found []strictjson.Value, slips []slip) {
	found = make([]strictjson.Value, len(wanted))
	if !v.Given() || !v.IsObject() {
		return found, nil // what is no object has no names
	}
	all, _ := v.Members(math.MaxInt)
	for _, m := range all {
		field := meant(m.Key, fields)
		if i := slices.Index(wanted, field); i >= 0 && field != "" {
			found[i] = m.Value
		}
		if field != "" || len(m.Key) < tellable {
			continue
		}
		if i := slices.IndexFunc(fields, func(field string) bool { return fault.OneSlip(field, m.Key) }); i >= 0 {
			slips = append(slips, slip{m.Key, fields[i]})
		}
	}
	return found, slips
}

// meant is the field that a name is, in any letter case; empty if it is none.
func meant(name string, fields []string) string {
	if slices.Contains(fields, name) { // as nearly all are written
		return name
	}
	i := slices.IndexFunc(fields, func(field string) bool { return strings.EqualFold(field, name) })
	if i < 0 {
		return ""
	}
	return fields[i]
}

// fieldsOf are the names of the fields of these types, as files write them.
func fieldsOf(types ...any) (names []string) {
	for _, one := range types {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(one)) {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name != "" && name != "-" {
				names = append(names, name)
			}
		}
	}
	return names
}
