// Package peers decides the same questions as core/policy with other engines, for
// make bench. It is a module of its own: the product depends on none of them.
package peers

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/cedar-policy/cedar-go"
	"github.com/open-policy-agent/opa/v1/rego"
)

// rule is one policy of core/policy's benchmark, in words that every engine has.
type rule struct {
	deny        bool
	user, group string // one of them, or neither for everyone
	hash, path  string // one of them
	below       bool   // path is a folder, and what lies below it
	name        string
}

// fleet is the fleet of core/policy's benchmark.
func fleet(n int) []rule {
	list := make([]rule, n)
	for i := range list {
		r := rule{deny: i%7 == 0}
		switch i % 10 {
		case 0, 1:
			r.hash = fmt.Sprintf("%064x", i)
		case 2, 3, 4:
			r.path, r.below = fmt.Sprintf("/opt/vendor%d/", i), true
		case 5:
			r.name = fmt.Sprintf("tool%d", i)
		default:
			r.path = fmt.Sprintf("/usr/bin/tool%d", i)
		}
		switch i % 3 {
		case 1:
			r.user = fmt.Sprintf("user%d", i)
		case 2:
			r.group = fmt.Sprint(2000 + i)
		}
		list[i] = r
	}
	list[n-1] = rule{path: "/usr/bin/systemctl"}
	return list
}

// question is one of core/policy's benchmark, and whether it is allowed.
type question struct {
	name, path, program string
	allowed             bool
}

var questions = []question{
	{"path", "/usr/bin/systemctl", "systemctl", true},
	{"none", "/usr/bin/passwd", "passwd", false},
}

var sizes = []int{10, 1000, 10000}

func BenchmarkDecide(b *testing.B) {
	for _, n := range sizes {
		rules := fleet(n)
		for engine, prepare := range map[string]func(testing.TB, []rule) func(question) bool{"cedar": cedarOf, "opa": opaOf} {
			decide := prepare(b, rules)
			for _, q := range questions {
				b.Run(fmt.Sprintf("%s-policies=%d/%s", engine, n, q.name), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						if decide(q) != q.allowed {
							b.Fatalf("%s decides otherwise", engine)
						}
					}
				})
			}
		}
	}
}

// TestDecide: who is measured does the work.
func TestDecide(t *testing.T) {
	rules := fleet(100)
	denied := question{"denied", "/opt/vendor42/tool", "tool", false} // by the rule of number 42, for everyone
	allowed := question{"allowed", "/opt/vendor12/tool", "tool", true}
	for engine, prepare := range map[string]func(testing.TB, []rule) func(question) bool{"cedar": cedarOf, "opa": opaOf} {
		decide := prepare(t, rules)
		for _, q := range append([]question{denied, allowed}, questions...) {
			if got := decide(q); got != q.allowed {
				t.Errorf("%s: %s: %v, want %v", engine, q.name, got, q.allowed)
			}
		}
	}
}

// cedarOf decides with cedar-go.
func cedarOf(tb testing.TB, rules []rule) func(question) bool {
	var text strings.Builder
	for _, r := range rules {
		effect, who := "permit", "principal"
		if r.deny {
			effect = "forbid"
		}
		switch {
		case r.user != "":
			who = fmt.Sprintf("principal == User::%q", r.user)
		case r.group != "":
			who = fmt.Sprintf("principal in Group::%q", r.group)
		}
		what := fmt.Sprintf("context.path == %q", r.path)
		switch {
		case r.hash != "":
			what = fmt.Sprintf("context.hash == %q", r.hash)
		case r.name != "":
			what = fmt.Sprintf("context.name == %q", r.name)
		case r.below:
			what = fmt.Sprintf("context.path like %q", r.path+"*")
		}
		fmt.Fprintf(&text, "%s (%s, action, resource) when { %s };\n", effect, who, what)
	}
	set, err := cedar.NewPolicySetFromBytes("fleet", []byte(text.String()))
	if err != nil {
		tb.Fatal(err)
	}
	alice := cedar.NewEntityUID("User", "alice")
	entities := cedar.EntityMap{
		alice: {UID: alice, Parents: cedar.NewEntityUIDSet(cedar.NewEntityUID("Group", "100"), cedar.NewEntityUID("Group", "1000"))},
	}
	return func(q question) bool {
		decision, _ := cedar.Authorize(set, entities, cedar.Request{
			Principal: alice, Action: cedar.NewEntityUID("Action", "elevate"), Resource: cedar.NewEntityUID("Machine", "here"),
			Context: cedar.NewRecord(cedar.RecordMap{
				"path": cedar.String(q.path), "name": cedar.String(q.program), "hash": cedar.String(strings.Repeat("f", 64)),
			}),
		})
		return decision == cedar.Allow
	}
}

// opaOf decides with the Open Policy Agent's engine, prepared.
func opaOf(tb testing.TB, rules []rule) func(question) bool {
	text := strings.Builder{}
	text.WriteString("package kpm\nimport rego.v1\ndefault decision := false\ndecision if { allow; not deny }\ndefault allow := false\ndefault deny := false\n")
	for _, r := range rules {
		head, who := "allow", ""
		if r.deny {
			head = "deny"
		}
		switch {
		case r.user != "":
			who = fmt.Sprintf("input.user == %q; ", r.user)
		case r.group != "":
			who = fmt.Sprintf("%q in input.groups; ", r.group)
		}
		what := fmt.Sprintf("input.path == %q", r.path)
		switch {
		case r.hash != "":
			what = fmt.Sprintf("input.hash == %q", r.hash)
		case r.name != "":
			what = fmt.Sprintf("input.name == %q", r.name)
		case r.below:
			what = fmt.Sprintf("glob.match(%q, [], input.path)", r.path+"*")
		}
		fmt.Fprintf(&text, "%s if { %s%s }\n", head, who, what)
	}
	ctx := context.Background()
	prepared, err := rego.New(rego.Query("data.kpm.decision"), rego.Module("fleet.rego", text.String())).PrepareForEval(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	return func(q question) bool {
		result, err := prepared.Eval(ctx, rego.EvalInput(map[string]any{
			"user": "alice", "groups": []string{"100", "1000"}, "path": q.path, "name": q.program, "hash": strings.Repeat("f", 64),
		}))
		if err != nil {
			tb.Fatal(err)
		}
		return result.Allowed()
	}
}
