package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A collections file with a fault is not used; each fault says where and what.
func TestFaultsOfCollections(t *testing.T) {
	many := func(n int) string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf(`"c%d": {"Type": "user", "Values": []}`, i)
		}
		return "{" + strings.Join(list, ",\n") + "}"
	}
	const (
		values = "expected a string of at most 4096 bytes, without zero bytes"
		uid    = `found a UID that is empty, "*" or given twice, expected a UID of its own`
	)
	for _, tc := range []struct {
		name, data string
		want       []string
	}{
		{"all types", `{"a": {"Type": "user", "Values": ["x"]}, "b": {"Type": "GROUP", "Values": ["x"]}, "c": {"Type": "Machine", "Values": ["x"]}, "d": {"type": "application", "values": []}}`, nil},
		{"cut off", `{"x": `, []string{`fault: c.json:1, $: found no valid JSON (unexpected end of JSON input), expected an object of collections; fix the JSON`}},
		{"an array", `[]`, []string{`fault: c.json:1, $: found no object, expected an object of collections`}},
		{"a collection that is a list", `{"x": ["alice"]}`, []string{
			`fault: c.json:1, $.x: found an array, expected an object`,
			`fault: c.json:1, $.x.Type: found "", expected user, group, machine or application`,
			`fault: c.json:1, $.x.Values: found none, expected an array of strings`}},
		{"another type", `{"x": {"Type": "Users", "Values": []}}`, []string{`fault: c.json:1, $.x.Type: found "users", expected user, group, machine or application`}},
		{"no values", "{\n\"x\": {\"Type\": \"user\"}}", []string{`fault: c.json:2, $.x.Values: found none, expected an array of strings`}},
		{"values as text", `{"x": {"Type": "user", "Values": "alice"}}`, []string{`fault: c.json:1, $.x.Values: found "alice", expected an array; put it in [ ]`}},
		{"a value that is none", `{"x": {"Type": "user", "Values": ["bob", null]}}`, []string{`fault: c.json:1, $.x.Values[1]: found null, ` + values}},
		{"an empty value", `{"x": {"Type": "user", "Values": ["bob", " "]}}`, []string{`fault: c.json:1, $.x.Values[1]: found an empty string, expected an entry; remove it`}},
		{"a key one slip away", `{"x": {"Type": "user", "Value": ["bob"], "Values": []}}`, []string{`fault: c.json:1, $.x.Value: found an unknown key, expected Values; correct the spelling, or rename the key`}},
		{"a key that is unknown", `{"x": {"Type": "user", "Owner": 1, "Values": []}}`, []string{`note: c.json:1, $.x.Owner: found an unknown key, expected a documented one; it is ignored`}},
		{"a key that ends like a filter", `{"x": {"Type": "user", "SpellCheck": 1, "Values": []}}`, []string{`note: c.json:1, $.x.SpellCheck: found an unknown key, expected a documented one; it is ignored`}},
		{"a uid for everything", `{"*": {"Type": "user", "Values": []}}`, []string{`fault: c.json:1, $['*']: ` + uid}},
		{"an empty uid", `{"": {"Type": "user", "Values": []}}`, []string{`fault: c.json:1, $['']: ` + uid}},
		{"a uid twice", `{"x": {"Type": "user", "Values": []}, "x": {"Type": "user", "Values": []}}`, []string{`fault: c.json:1, $.x: ` + uid}},
		{"a uid in another case is another", `{"x": {"Type": "user", "Values": []}, "X": {"Type": "user", "Values": []}}`, nil},
		{"as many as allowed", many(maxEntries), nil},
		{"one more", many(maxEntries + 1), []string{`fault: c.json:1, $: found more collections, expected at most 20000`}},
	} {
		collections, findings := ParseCollections("c.json", []byte(tc.data))
		if diff := cmp.Diff(tc.want, lines(findings)); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
		if tc.want == nil && len(collections) == 0 {
			t.Errorf("%s: read nothing", tc.name)
		}
	}
}

// What is one character too short or long, or has another character, is a name.
func TestUIDsAreToldFromNames(t *testing.T) {
	for s, want := range map[string]bool{
		"azAZ09-_azAZ09-_azAZ09": true, strings.Repeat("z", 22): true, strings.Repeat("A", 21) + "=": false,
		strings.Repeat("a", 21): false, strings.Repeat("a", 23): false, strings.Repeat("a", 24): false, strings.Repeat("a", 20) + "==": false,
		"`" + strings.Repeat("a", 21): false, "{" + strings.Repeat("a", 21): false, "@" + strings.Repeat("a", 21): false, "[" + strings.Repeat("a", 21): false,
		"/" + strings.Repeat("a", 21): false, ":" + strings.Repeat("a", 21): false, strings.Repeat("a", 20) + "é": false, strings.Repeat("a", 21) + ".": false,
	} {
		if got := looksLikeUID(s); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
}
