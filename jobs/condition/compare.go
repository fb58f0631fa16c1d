package condition

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"kpm/core/fault"
)

// comparison holds one value of the context against one of the file.
type comparison struct {
	field string
	op    operator
	want  any
	fold  bool
	re    *regexp.Regexp
}

// operator is one row of the table of operators.
type operator struct {
	name string
	// takes says what "value" is: "any", "text", "number", "list" or "none".
	takes string
	holds func(c *comparison, got any) (bool, error)
}

// operators are the comparisons, by the names in files.
func operators() []operator {
	text := func(test func(s, part string) bool) func(*comparison, any) (bool, error) {
		return func(c *comparison, got any) (bool, error) {
			s, ok := got.(string)
			if !ok {
				return false, fmt.Errorf("%s is %s, expected text", c.field, show(got))
			}
			part := c.want.(string)
			if c.fold {
				s, part = strings.ToLower(s), strings.ToLower(part)
			}
			return test(s, part), nil
		}
	}
	number := func(test func(a, b float64) bool) func(*comparison, any) (bool, error) {
		return func(c *comparison, got any) (bool, error) {
			a, ok := got.(float64)
			if !ok {
				return false, fmt.Errorf("%s is %s, expected a number", c.field, show(got))
			}
			return test(a, c.want.(float64)), nil
		}
	}
	negated := func(holds func(*comparison, any) (bool, error)) func(*comparison, any) (bool, error) {
		return func(c *comparison, got any) (bool, error) {
			ok, err := holds(c, got)
			return !ok, err
		}
	}
	contains := func(c *comparison, got any) (bool, error) {
		if list, ok := got.([]any); ok {
			return slices.ContainsFunc(list, func(v any) bool { return c.same(v, c.want) }), nil
		}
		if _, ok := c.want.(string); !ok {
			return false, fmt.Errorf("%s is %s, expected a list", c.field, show(got))
		}
		return text(strings.Contains)(c, got)
	}
	equals := func(c *comparison, got any) (bool, error) { return c.same(got, c.want), nil }
	in := func(c *comparison, got any) (bool, error) {
		return slices.ContainsFunc(c.want.([]any), func(v any) bool { return c.same(got, v) }), nil
	}
	matches := func(c *comparison, got any) (bool, error) {
		s, ok := got.(string)
		if !ok {
			return false, fmt.Errorf("%s is %s, expected text", c.field, show(got))
		}
		return c.re.MatchString(s), nil
	}
	return []operator{
		{"equals", "any", equals}, {"notEquals", "any", negated(equals)},
		{"contains", "any", contains}, {"notContains", "any", negated(contains)},
		{"startsWith", "text", text(strings.HasPrefix)}, {"endsWith", "text", text(strings.HasSuffix)},
		{"matches", "text", matches}, {"in", "list", in}, {"notIn", "list", negated(in)},
		{"greaterThan", "number", number(func(a, b float64) bool { return a > b })},
		{"greaterOrEqual", "number", number(func(a, b float64) bool { return a >= b })},
		{"lessThan", "number", number(func(a, b float64) bool { return a < b })},
		{"lessOrEqual", "number", number(func(a, b float64) bool { return a <= b })},
		{"exists", "none", nil}, {"notExists", "none", nil},
	}
}

func operatorNames() string {
	var names []string
	for _, o := range operators() {
		names = append(names, o.name)
	}
	return strings.Join(names, ", ")
}

func (c *compiler) comparison(path string, w written) node {
	c.expect(w.Field != "", at(path, "field"), fault.Quote(w.Field), "a name of the context")
	name := w.Operator
	if name == "" {
		name = "equals"
	}
	list := c.operators
	i := slices.IndexFunc(list, func(o operator) bool { return strings.EqualFold(o.name, name) })
	if i < 0 {
		c.expect(false, at(path, "operator"), fault.Quote(name), "one of "+operatorNames())
		return never{}
	}
	n := &comparison{field: w.Field, op: list[i], want: plain(w.Value), fold: w.IgnoreCase}
	_, isText := n.want.(string)
	_, isNumber := n.want.(float64)
	_, isList := n.want.([]any)
	switch n.op.takes {
	case "any":
		c.expect(w.has("value"), at(path, "value"), "missing", "the value to compare with")
	case "text":
		c.expect(isText, at(path, "value"), show(n.want), "text")
	case "number":
		c.expect(isNumber, at(path, "value"), show(n.want), "a number")
	case "list":
		c.expect(isList, at(path, "value"), show(n.want), "a list of values")
	case "none":
		c.expect(!w.has("value"), at(path, "value"), show(n.want), "no value: "+n.op.name+" takes none")
	}
	if n.op.name == "matches" && isText {
		pattern := n.want.(string)
		if n.fold {
			pattern = "(?i)" + pattern
		}
		var err error
		if n.re, err = regexp.Compile(pattern); err != nil {
			c.expect(false, at(path, "value"), err.Error(), "an RE2 expression")
			return never{}
		}
	}
	c.checkType(path, n)
	return n
}

// checkType holds a comparison against what the job's parameters declare.
func (c *compiler) checkType(path string, n *comparison) {
	declared := c.types[strings.ToLower(n.field)]
	want := map[string]string{"text": "string", "number": "number"}[n.op.takes]
	switch declared {
	case "int", "integer":
		declared = "number"
	case "secret":
		declared = "string"
	case "", "array", "object":
		return
	}
	if n.op.takes == "any" && strings.HasSuffix(strings.ToLower(n.op.name), "equals") {
		switch n.want.(type) {
		case string:
			want = "string"
		case float64:
			want = "number"
		case bool:
			want, declared = "bool", strings.TrimSuffix(declared, "ean")
		}
	}
	c.expect(want == "" || declared == want, at(path, "value"), "of another type than parameter "+n.field, "type "+declared)
}

func (n *comparison) met(values Lookup) (bool, string, error) {
	got, ok := values(n.field)
	got = plain(got)
	switch n.op.name {
	case "exists":
		return ok, n.field + " is not in the context", nil
	case "notExists":
		return !ok, n.field + " is in the context", nil
	}
	if !ok {
		return false, "", missing(n.field)
	}
	holds, err := n.op.holds(n, got)
	return holds, fmt.Sprintf("%s is %s, expected %s %s", n.field, show(got), n.op.name, show(n.want)), err
}

func missing(name string) error { return fmt.Errorf("%s is not in the context", name) }

// same compares two plain values. Text is text: "1" is not 1, and "true" is true, since
// path variables and settings are always text.
func (n *comparison) same(a, b any) bool {
	if s, ok := a.(string); ok {
		switch b := b.(type) {
		case string:
			return s == b || n.fold && strings.EqualFold(s, b)
		case bool:
			return strings.EqualFold(s, fmt.Sprint(b))
		}
	}
	return reflect.DeepEqual(a, b)
}

// plain turns what a context may hold into text, float64, bool, nil, []any and
// map[string]any. Values that never left this process have Go's own types.
func plain(v any) any {
	switch v := v.(type) {
	case nil, string, bool, float64:
		return v
	case json.Number:
		f, _ := v.Float64()
		return f
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = plain(v[i])
		}
		return list
	case map[string]any:
		object := make(map[string]any, len(v))
		for key := range v {
			object[key] = plain(v[key])
		}
		return object
	}
	data, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var decoded any
	_ = json.Unmarshal(data, &decoded) // what was encoded can be decoded
	return decoded
}

// show is a value for people, short.
func show(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return "of another type"
	}
	return fault.Raw(string(data))
}
