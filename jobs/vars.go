package jobs

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"kpm/jobs/task"
)

// maxLearned bounds what the tasks of one run may add to its context, in bytes
// of JSON.
const maxLearned = 4 << 20

var errLearned = errors.New("the tasks of this run have added more than 4 MiB to its context")

// vars is the context of one run. Names are found in any letter case.
//
// What the service itself says of a request cannot be changed, by whatever a task
// prints or whoever starts a job: a tool that prints {"FilePath": ...} or {"RequestId":
// ...} would otherwise decide what later tasks act on (context poisoning, decision 24).
// Everything else is free: what a task finds comes before what the run began with.
type vars struct {
	given    map[string]any // from the trigger; fixed
	learned  map[string]any // from tasks
	defaults map[string]any // of the job's parameters
	size     int            // of learned, in bytes
	names    map[string]string
}

// serviceKeys are what the service alone says (decision 24).
func serviceKeys() []string {
	return []string{"RequestId", "ControlList", "UserName", "TargetUser", "FilePath", "CommandLine", "Arguments", "SessionId", "RespondToTopic", "RequestedBy", "Agent", "AskOn"}
}

// ownKey reports whether the service alone says name.
func ownKey(name string) bool {
	return slices.ContainsFunc(serviceKeys(), func(key string) bool { return strings.EqualFold(key, name) })
}

// tokenSession is always there, empty without a session.
const tokenSession = "sessionid"

func newVars(trigger map[string]any, parameters []parameter) *vars {
	v := &vars{given: make(map[string]any, len(trigger)), defaults: map[string]any{tokenSession: ""}, names: map[string]string{tokenSession: "SessionId"}}
	for name, value := range trigger {
		v.given[strings.ToLower(name)] = value
		v.names[strings.ToLower(name)] = name
	}
	for _, p := range parameters {
		if p.fallback != nil {
			v.defaults[strings.ToLower(p.name)] = p.fallback
			v.names[strings.ToLower(p.name)] = p.name
		}
	}
	return v
}

// foreign returns context without what the service alone says, and the names that were
// left out.
func foreign(context map[string]any) (kept map[string]any, refused []string) {
	kept = make(map[string]any, len(context))
	for name, value := range context {
		if ownKey(name) {
			refused = append(refused, name)
			continue
		}
		kept[name] = value
	}
	slices.Sort(refused)
	return kept, refused
}

// layers are where values are looked for, in this order.
func (v *vars) layers() []map[string]any { return []map[string]any{v.learned, v.given, v.defaults} }

func (v *vars) get(name string) (any, bool) {
	name = strings.ToLower(name)
	for _, from := range v.layers() {
		if value, ok := from[name]; ok {
			return value, true
		}
	}
	return nil, false
}

// Bounds of the context in a program's environment, in bytes: of one variable, which
// on Linux may have 128 KiB, and of all.
const (
	maxVariable    = 64 << 10
	maxEnvironment = 512 << 10
)

// environment is the context as variables of a program. Values that an environment
// cannot hold are left out. Of two names that make one variable, what tasks have said
// comes before what the run was started with, as everywhere.
func (v *vars) environment() []string {
	var list []string
	size, taken := 0, map[string]bool{}
	for _, from := range v.layers() {
		for _, name := range slices.Sorted(maps.Keys(from)) {
			variable := task.ContextVariable(name)
			if taken[variable] {
				continue
			}
			taken[variable] = true
			value, err := text(from[name])
			if name == tokenSession && value == "" {
				continue
			}
			entry := variable + "=" + value
			if err != nil || strings.ContainsRune(value, 0) || len(entry) > maxVariable || size+len(entry) > maxEnvironment {
				continue
			}
			size += len(entry)
			list = append(list, entry)
		}
	}
	return list
}

// learn adds what a task found out and returns the names that it may not set.
func (v *vars) learn(found map[string]any) (refused []string, err error) {
	for name, value := range found {
		key := strings.ToLower(name)
		if ownKey(key) || reserved(key) {
			refused = append(refused, name)
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			return refused, fmt.Errorf("%s: %w", name, err)
		}
		if v.size += len(key) + len(text); v.size > maxLearned {
			return refused, errLearned
		}
		if v.learned == nil {
			v.learned = map[string]any{}
		}
		v.learned[key] = value
		v.names[key] = name
	}
	return refused, nil
}

// text is a value as it stands in an argument: text as it is, anything else as
// compact JSON, null as nothing.
func text(value any) (string, error) {
	switch value := value.(type) {
	case string:
		return value, nil
	case nil:
		return "", nil
	}
	data, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	if data[0] == '"' { // a named string type
		var s string
		err = json.Unmarshal(data, &s)
		return s, err
	}
	return string(data), nil
}
