package condition

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"kpm/core/fault"
	"kpm/core/strictjson"
)

const (
	maxDepth = 16  // of all, any and not
	maxParts = 256 // comparisons of one condition
)

// Lookup returns the value of a name of the context, in any letter case.
type Lookup func(name string) (value any, ok bool)

// Condition is a compiled condition. It does not change.
type Condition struct{ root node }

// node is one part of a condition. why says, for people, what was found; an error is a
// condition that cannot be decided, which is not met.
type node interface {
	met(Lookup) (ok bool, why string, err error)
}

// Met reports whether the condition is met. why says what decided if it is not.
func (c *Condition) Met(values Lookup) (ok bool, why string) {
	if c == nil {
		return true, ""
	}
	ok, why, err := c.root.met(values)
	if err != nil {
		return false, err.Error()
	}
	return ok, why
}

// Expect records a fault of a field, unless ok. field is relative to the condition, and
// empty for the condition itself.
type Expect func(ok bool, field, found, expected string)

// Types are the declared types of names, lower case: "string", "int", "number", "bool",
// "array" or "object". A name without one may be anything.
type Types map[string]string

// Compile reads a condition: text is an expression, an object is declarative. It returns
// nil if none is written, and what must not be used if expect was told of a fault.
func Compile(value strictjson.Value, types Types, expect Expect) *Condition {
	if !value.Given() || value.IsNull() || string(value.Raw()) == "{}" {
		return nil
	}
	c := compiler{types: types, expect: expect, operators: operators()}
	return &Condition{c.part("", value, 0)}
}

type compiler struct {
	types     Types
	expect    Expect
	operators []operator
	parts     int
}

// written are the keys of one part.
type written struct {
	All, Any   []strictjson.Value
	Not        strictjson.Value
	Expression string
	Field      string
	Operator   string
	Value      any
	IgnoreCase bool
	keys       []string
	groups     int
}

func keys() []string {
	return []string{"all", "any", "not", "expression", "field", "operator", "value", "ignoreCase"}
}

const partExpected = `an expression, {"field", "operator", "value"}, or one of {"all": [...]}, {"any": [...]}, {"not": ...}, {"expression": "..."}`

// part compiles the part at path.
func (c *compiler) part(path string, value strictjson.Value, depth int) node {
	if c.parts++; depth > maxDepth || c.parts > maxParts {
		c.expect(false, path, fmt.Sprintf("deeper than %d or more than %d comparisons", maxDepth, maxParts), "less")
		return never{}
	}
	switch {
	case value.IsString():
		return c.expression(path, value.Text())
	case value.IsNull():
		return c.expression(path, "")
	}
	w, ok := c.read(path, value)
	if !ok {
		return never{}
	}
	switch {
	case w.groups != 1:
		c.expect(false, path, "with "+strings.Join(w.keys, ", "), partExpected)
	case w.has("all"):
		return every{c.list(at(path, "all"), w.All, depth)}
	case w.has("any"):
		return some{c.list(at(path, "any"), w.Any, depth)}
	case w.has("not"):
		return not{c.part(at(path, "not"), w.Not, depth+1)}
	case w.has("expression"):
		return c.expression(at(path, "expression"), w.Expression)
	default:
		return c.comparison(path, w)
	}
	return never{}
}

func (c *compiler) list(path string, parts []strictjson.Value, depth int) []node {
	c.expect(len(parts) > 0, path, "empty", "at least one condition")
	if len(parts) == 0 {
		return []node{never{}}
	}
	var nodes []node
	for i, part := range parts {
		nodes = append(nodes, c.part(fmt.Sprintf("%s[%d]", path, i), part, depth+1))
	}
	return nodes
}

// read takes a part's object apart. A key that is none of its own is a fault: a
// condition that is read by half would let run what its author ruled out.
func (c *compiler) read(path string, part strictjson.Value) (w written, ok bool) {
	if !part.IsObject() {
		c.expect(false, path, fault.Raw(string(part.Raw())), partExpected)
		return w, false
	}
	ok = true
	members, _ := part.Members(math.MaxInt)
	for _, m := range members {
		into, name := w.field(m.Key)
		if into == nil {
			c.expect(false, at(path, m.Key), "not a key of conditions", "one of "+strings.Join(keys(), ", "))
			ok = false
			continue
		}
		w.keys = append(w.keys, name)
		if !decode(m.Value, into) {
			c.expect(false, at(path, m.Key), fault.Raw(string(m.Value.Raw())), "another type")
			ok = false
		}
	}
	slices.Sort(w.keys)
	for _, group := range []string{"all", "any", "not", "expression"} {
		if w.has(group) {
			w.groups++
		}
	}
	if w.has("field") || w.has("operator") || w.has("value") || w.has("ignoreCase") {
		w.groups++
	}
	return w, ok
}

// decode reads one value of a part. Numbers that are compared with stay as they are
// written.
func decode(value strictjson.Value, into any) bool {
	switch into := into.(type) {
	case *strictjson.Value:
		*into = value
		return true
	case *[]strictjson.Value:
		if value.IsArray() {
			*into, _ = value.Items(math.MaxInt)
		}
		return value.IsArray() || value.IsNull()
	case *any:
		if !value.IsString() {
			decoder := json.NewDecoder(bytes.NewReader(value.Raw()))
			decoder.UseNumber()
			return decoder.Decode(into) == nil
		}
	}
	return value.Decode(into) == nil
}

func (w *written) has(key string) bool { return slices.Contains(w.keys, key) }

func (w *written) field(key string) (into any, name string) {
	switch strings.ToLower(key) {
	case "all":
		into = &w.All
	case "any":
		into = &w.Any
	case "not":
		into = &w.Not
	case "expression":
		into = &w.Expression
	case "field":
		into = &w.Field
	case "operator":
		into = &w.Operator
	case "value":
		into = &w.Value
	case "ignorecase":
		into = &w.IgnoreCase
	}
	for _, known := range keys() {
		if strings.EqualFold(known, key) {
			name = known
		}
	}
	return into, name
}

func at(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// never stands in for a part that has a fault.
type never struct{}

func (never) met(Lookup) (bool, string, error) { return false, "", nil }

type every struct{ parts []node }

func (e every) met(values Lookup) (bool, string, error) {
	for _, part := range e.parts {
		if ok, why, err := part.met(values); !ok || err != nil {
			return false, why, err
		}
	}
	return true, "", nil
}

type some struct{ parts []node }

// met: a part that cannot be decided does not keep another from being met.
func (s some) met(values Lookup) (bool, string, error) {
	var reasons []string
	for _, part := range s.parts {
		ok, why, err := part.met(values)
		if err != nil {
			why = err.Error()
		} else if ok {
			return true, "", nil
		}
		reasons = append(reasons, why)
	}
	return false, "none of: " + strings.Join(reasons, "; "), nil
}

type not struct{ part node }

// met: what cannot be decided is not met either way.
func (n not) met(values Lookup) (bool, string, error) {
	ok, _, err := n.part.met(values)
	if err != nil {
		return false, "", err
	}
	return !ok, "what \"not\" rules out is the case", nil
}
