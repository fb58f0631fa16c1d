package jobs

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"kpm/core"
	"kpm/core/fault"
	"kpm/jobs/condition"
)

// ErrParameters is wrapped when a job is started without what it requires, or
// with values of another type.
var ErrParameters = core.NewError(core.Invalid, "the job does not take these parameters")

// parameter is one that a job declares.
type parameter struct {
	name     string
	kind     string // as in the file, lower case; empty takes anything
	fallback any
	required bool
	secret   bool // its value is masked wherever it is shown
}

type parameterFile struct {
	Name         string          `json:"name" jsonschema:"required" jsonschema_description:"A name that can stand in a {Token}."`
	Type         string          `json:"type" jsonschema_description:"string, int, number, bool, array, object or secret; anything if omitted."`
	Default      json.RawMessage `json:"default" jsonschema_description:"The value without one, of that type."`
	DefaultValue json.RawMessage `json:"defaultValue" jsonschema_description:"The same as default."`
	Required     bool            `json:"required" jsonschema:"default=false" jsonschema_description:"true: the job does not start without it."`
	Secret       bool            `json:"secret" jsonschema:"default=false" jsonschema_description:"true: the value is masked in the history, the log and the API. The same as type secret."`
}

// kinds are the types a parameter may have, by their names in files.
func kinds() []string {
	return []string{"", "string", "int", "integer", "number", "bool", "boolean", "array", "object", "secret"}
}

func (c *compiler) parameters(files []parameterFile) []parameter {
	c.expect(len(files) <= maxListed, "parameters", fmt.Sprintf("a list of %d", len(files)), fmt.Sprintf("at most %d", maxListed))
	var list []parameter
	for i, f := range files {
		field := fmt.Sprintf("parameters[%d]", i)
		p := parameter{name: f.Name, kind: strings.ToLower(f.Type), required: f.Required, secret: f.Secret || strings.EqualFold(f.Type, "secret")}
		c.expect(validToken(p.name), field+".name", fault.Quote(p.name), "a name that can stand in a {Token}")
		c.expect(!reserved(p.name), field+".name", fault.Quote(p.name), "a name that is not one of the agent's own tokens")
		c.expect(slices.Contains(kinds(), p.kind), field+".type", fault.Quote(f.Type), strings.Join(kinds()[1:], ", "))
		raw := f.Default
		if raw == nil {
			raw = f.DefaultValue
		}
		if raw != nil && string(raw) != "null" {
			if err := json.Unmarshal(raw, &p.fallback); err != nil || !p.takes(p.fallback) {
				c.expect(false, field+".default", "of another type", "a value of type "+p.kind)
			}
		}
		list = append(list, p)
	}
	return list
}

// takes reports whether v is of p's type. An event that never left this process
// carries Go's own slices and string types, so it is the kind that counts.
func (p parameter) takes(v any) bool {
	var number json.Number
	if n, ok := v.(json.Number); ok {
		number, v = n, 0.0
	}
	value := reflect.ValueOf(v)
	switch p.kind {
	case "string", "secret":
		return value.Kind() == reflect.String
	case "int", "integer":
		if number != "" {
			_, err := number.Int64()
			return err == nil
		}
		return value.CanInt() || value.CanFloat() && value.Float() == math.Trunc(value.Float())
	case "number":
		return value.CanInt() || value.CanFloat()
	case "bool", "boolean":
		return value.Kind() == reflect.Bool
	case "array":
		return value.Kind() == reflect.Slice
	case "object":
		return value.Kind() == reflect.Map
	}
	return true
}

// check holds what a run is started with against what the job declares. The error wraps
// ErrParameters and a fault.List, which shows no values: they may be secret.
func (j *job) check(v *vars) error {
	var faults fault.List
	for _, p := range j.parameters {
		value, ok := v.get(p.name)
		switch {
		case !ok && p.required:
			faults = append(faults, &fault.Fault{File: "context", Field: p.name, Found: "missing", Expected: "a value: the job requires one"})
		case ok && !p.takes(value):
			faults = append(faults, &fault.Fault{File: "context", Field: p.name, Found: "not of type " + p.kind, Expected: "one like " + example(p.kind)})
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrParameters, faults)
}

// example is a value of a type, in JSON.
func example(kind string) string {
	switch kind {
	case "int", "integer":
		return "5"
	case "number":
		return "1.5"
	case "bool", "boolean":
		return "true"
	case "array":
		return `["a", "b"]`
	case "object":
		return `{"a": 1}`
	}
	return `"text"`
}

// types are the declared types, for conditions.
func types(parameters []parameter) condition.Types {
	t := condition.Types{}
	for _, p := range parameters {
		t[strings.ToLower(p.name)] = p.kind
	}
	return t
}
