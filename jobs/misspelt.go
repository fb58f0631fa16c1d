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
	look := func(path string, v strictjson.Value, fields []string) map[string]strictjson.Value {
		held, slips := membersOf(path, v, fields)
		list = append(list, slips...)
		return held
	}
	each := func(path string, v strictjson.Value, fields []string) (all []map[string]strictjson.Value) {
		if !v.Given() || !v.IsArray() { // what is no list has no names
			return nil
		}
		items, _ := v.Items(maxListed)
		for i, item := range items {
			all = append(all, look(fmt.Sprintf("%s[%d].", path, i), item, fields))
		}
		return all
	}
	root := look("", file, f.job)
	when := look("schedule.", root["schedule"], f.schedule)
	look("schedule.calendar.", when["calendar"], f.calendar)
	look("mqttTopics.", root["mqttTopics"], f.topics)
	each("events", root["events"], f.event)
	each("parameters", root["parameters"], f.parameter)
	for i, one := range each("tasks", root["tasks"], f.task) {
		look(fmt.Sprintf("tasks[%d].retry.", i), one["retry"], f.retry)
	}
	return list
}

// tellable is the length of a name from which on one letter less or more makes another
// word unlikely.
const tellable = 4

// membersOf returns the members of an object by the fields that they are, and what of it
// is no field and looks like one.
func membersOf(path string, v strictjson.Value, fields []string) (held map[string]strictjson.Value, slips []string) {
	if !v.Given() || !v.IsObject() {
		return nil, nil // what is no object has no names
	}
	all, _ := v.Members(math.MaxInt)
	slices.SortFunc(all, func(a, b strictjson.Member) int { return strings.Compare(a.Key, b.Key) })
	held = make(map[string]strictjson.Value, len(all))
	for _, m := range all {
		if i := slices.IndexFunc(fields, func(field string) bool { return strings.EqualFold(field, m.Key) }); i >= 0 {
			held[fields[i]] = m.Value
			continue
		}
		i := slices.IndexFunc(fields, func(field string) bool { return fault.OneSlip(field, m.Key) })
		if i >= 0 && len(m.Key) >= tellable {
			slips = append(slips, fmt.Sprintf("%s%s is ignored: is %s meant?", path, wire.Printable(m.Key), fields[i]))
		}
	}
	return held, slips
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
