package condition

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"kpm/core/strictjson"
)

// compiled compiles a condition and returns its faults, one per line.
func compiled(raw string, types Types) (c *Condition, faults string) {
	var value strictjson.Value // none, unless something is written
	if raw != "" {
		var err error
		if value, err = strictjson.Parse([]byte(raw), len(raw)); err != nil {
			return nil, err.Error()
		}
	}
	c = Compile(value, types, func(ok bool, field, found, expected string) {
		if !ok {
			faults += fmt.Sprintf("%s is %s, expected %s\n", field, found, expected)
		}
	})
	return c, faults
}

var context = map[string]any{
	"eventtype": "PrivilegeElevation", "count": json.Number("3"), "hasdesktop": "true", "ok": true,
	"controllist": []any{"MFA", "JUSTIFY"}, "result": map[string]any{"Risk": 7.0}, "none": nil,
	"path": "/usr/bin/psql", "native": []string{"a", "b"},
}

func lookup(name string) (any, bool) {
	v, ok := context[strings.ToLower(name)]
	return v, ok
}

func TestConditions(t *testing.T) {
	for _, tc := range []struct {
		raw string
		met bool
		why string // part of it
	}{
		{``, true, ""}, {`null`, true, ""}, {`{}`, true, ""},
		{`{"field": "EventType", "operator": "equals", "value": "PrivilegeElevation"}`, true, ""},
		{`{"Field": "eventtype", "Operator": "EQUALS", "Value": "PrivilegeElevation"}`, true, ""},
		{`{"field": "EventType", "value": "FileAccess"}`, false, `EventType is "PrivilegeElevation", expected equals "FileAccess"`},
		{`{"field": "EventType", "value": "privilegeelevation"}`, false, "EventType"},
		{`{"field": "EventType", "value": "privilegeelevation", "ignoreCase": true}`, true, ""},
		{`{"field": "EventType", "operator": "notEquals", "value": "FileAccess"}`, true, ""},
		{`{"field": "EventType", "operator": "notIn", "value": ["FileAccess", "HttpAccess"]}`, true, ""},
		{`{"field": "EventType", "operator": "in", "value": ["FileAccess"]}`, false, "expected in"},
		{`{"field": "hasdesktop", "value": true}`, true, ""},
		{`{"field": "ok", "value": true}`, true, ""}, {`{"field": "ok", "value": "true"}`, false, "ok is true"},
		{`{"field": "Count", "operator": "greaterThan", "value": 2}`, true, ""},
		{`{"field": "Count", "operator": "lessOrEqual", "value": 2}`, false, "Count is 3"},
		{`{"field": "Count", "value": 3}`, true, ""}, {`{"field": "Count", "value": "3"}`, false, "Count is 3"},
		{`{"field": "EventType", "operator": "lessThan", "value": 2}`, false, "expected a number"},
		{`{"field": "ControlList", "operator": "contains", "value": "MFA"}`, true, ""},
		{`{"field": "native", "operator": "contains", "value": "b"}`, true, ""},
		{`{"field": "Path", "operator": "contains", "value": "bin"}`, true, ""},
		{`{"field": "Path", "operator": "startsWith", "value": "/usr/"}`, true, ""},
		{`{"field": "Path", "operator": "endsWith", "value": "SQL", "ignoreCase": true}`, true, ""},
		{`{"field": "Path", "operator": "matches", "value": "^/usr/bin/p[a-z]+$"}`, true, ""},
		{`{"field": "Count", "operator": "matches", "value": "3"}`, false, "expected text"},
		{`{"field": "Nowhere", "value": 1}`, false, "Nowhere is not in the context"},
		{`{"field": "Nowhere", "operator": "notEquals", "value": 1}`, false, "Nowhere is not in the context"},
		{`{"not": {"field": "Nowhere", "value": 1}}`, false, "Nowhere is not in the context"},
		{`{"field": "Nowhere", "operator": "notExists"}`, true, ""}, {`{"field": "none", "operator": "exists"}`, true, ""},
		{`{"all": [{"field": "ok", "value": true}, {"field": "Count", "value": 4}]}`, false, "Count is 3"},
		{`{"any": [{"field": "Nowhere", "value": true}, {"field": "Count", "value": 3}]}`, true, ""},
		{`{"any": [{"field": "Nowhere", "value": true}, {"field": "Count", "value": 4}]}`, false, "none of: Nowhere is not in the context; Count is 3"},
		{`{"not": {"field": "Count", "value": 4}}`, true, ""}, {`{"not": {"field": "Count", "value": 3}}`, false, "rules out"},
		{`"EventType == 'PrivilegeElevation' && Count > 2"`, true, ""},
		{`{"expression": "eventTYPE == 'PrivilegeElevation'"}`, true, ""},
		{`"Count > 5 or EventType == 'x'"`, false, `is false: Count is 3, EventType is "PrivilegeElevation"`},
		{`"Result.Risk >= 7"`, true, ""}, {`"Result.Nothing == nil"`, true, ""},
		{`"'MFA' in ControlList"`, true, ""}, {`"len(ControlList) == 2 and lower(EventType) startsWith 'priv'"`, true, ""},
		{`"Path matches '^/usr/'"`, true, ""}, {`"Nowhere == 1"`, false, "Nowhere is not in the context"},
		{`"has('Nowhere') && Nowhere == 1"`, false, "is false"}, {`"!has(\"Nowhere\") && has('Count')"`, true, ""},
		{`"EventType > 3"`, false, "EventType > 3"},
	} {
		c, faults := compiled(tc.raw, nil)
		if faults != "" {
			t.Errorf("%s: %s", tc.raw, faults)
			continue
		}
		met, why := c.Met(lookup)
		if met != tc.met || !met && !strings.Contains(why, tc.why) {
			t.Errorf("%s: %v, %q; want %v, %q", tc.raw, met, why, tc.met, tc.why)
		}
	}
}

// A condition with a fault is never met, and the fault says where it is.
func TestFaultsOfConditions(t *testing.T) {
	types := Types{"days": "int", "mode": "string", "flag": "boolean"}
	for raw, want := range map[string]string{
		`5`:                          " is 5, expected an expression, {",
		`{"fielt": "x", "value": 1}`: "fielt is not a key of conditions, expected one of all, any",
		`{"all": []}`:                "all is empty",
		`{"all": [{"any": [{"field": "x", "operator": "is", "value": 1}]}]}`:         `all[0].any[0].operator is "is", expected one of equals,`,
		`{"all": [{"field": "x", "value": 1}], "any": [{"field": "x", "value": 1}]}`: " is with all, any, expected",
		`{"field": "x", "operator": "exists", "value": 1}`:                           "exists takes none",
		`{"field": "x", "operator": "matches", "value": "("}`:                        "missing closing",
		`{"field": "x", "operator": "lessThan", "value": "1"}`:                       `value is "1", expected a number`,
		`{"field": "x", "operator": "in", "value": "1"}`:                             "expected a list",
		`{"field": "x"}`:                  "value is missing",
		`{"value": 1}`:                    "field is missing",
		`{"field": "Days", "value": "7"}`: "of another type than parameter Days",
		`{"field": "Mode", "operator": "greaterThan", "value": 7}`: "of another type than parameter Mode",
		`{"field": "Flag", "value": "yes"}`:                        "of another type than parameter Flag",
		`"Days > 'x'"`:                                             "invalid operation",
		`"Days"`:                                                   "expected bool",
		`"Days =="`:                                                "unexpected token",
		`"all(x, # > 1)"`:                                          "comparisons of values: no loops",
		`"map(1..1000000, #)"`:                                     "comparisons of values",
		`"len(1..100000000) > 1"`:                                  "comparisons of values",
		`"let a = 1; a == 1"`:                                      "comparisons of values",
		`"repeat('x', 1000000000) == ''"`:                          "comparisons of values",
		`"x.y() == 1"`:                                             "a call",
		`"has(x)"`:                                                 "has without a name",
		`{"not": ` + strings.Repeat(`{"not": `, 20) + `"true"` + strings.Repeat("}", 21): "deeper than",
		`{"any": [` + strings.Repeat(`"true",`, 300) + `"true"]}`:                        "more than 256",
		`"` + strings.Repeat("x", maxExpression+1) + `"`:                                 "at most 4096",
	} {
		c, faults := compiled(raw, types)
		if !strings.Contains(faults, want) {
			t.Errorf("%.80s: %q, want %q", raw, faults, want)
		}
		if met, _ := c.Met(lookup); c != nil && met && !strings.Contains(raw, `"true"`) {
			t.Errorf("%s is met", raw)
		}
	}
}

// Whatever is written, nothing panics, and what has no fault can be decided.
func FuzzConditions(f *testing.F) {
	for _, seed := range []string{`{"field": "Count", "operator": "greaterThan", "value": 2}`, `"has('Nowhere') && Nowhere == 1"`, `{"all": [{"not": "ok"}]}`, `"Result.Risk ?? 1 > 2"`, `"Count in [1, 2, 3] ? ok : !ok"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if c, faults := compiled(raw, Types{"count": "int"}); faults == "" {
			c.Met(lookup)
		}
	})
}

func BenchmarkExpression(b *testing.B) {
	c, _ := compiled(`"EventType == 'PrivilegeElevation' && Count > 2"`, nil)
	for b.Loop() {
		c.Met(lookup)
	}
}
