package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kpm/core"
)

// Who is named in an answer: those who decided it, in the order of their ids,
// each once.
func TestWhoIsNamedInAnAnswer(t *testing.T) {
	for _, tc := range []struct {
		name     string
		policies []sketch
		outcome  core.Outcome
		by       []string
	}{
		{"those that grant", []sketch{{id: "c", controls: "ALLOW"}, {id: "b", controls: "NOTIFY"}, {id: "a", controls: "ALLOW"}}, core.Allow, []string{"a", "c"}},
		{"not those that would grant something else", []sketch{{id: "a", controls: "ALLOW", apps: []string{"/usr/bin/vi"}}, {id: "b", controls: "ALLOW"}}, core.Allow, []string{"b"}},
		{"not those with a doubt", []sketch{{id: "a", controls: "ALLOW", status: "perhaps"}, {id: "b", controls: "ALLOW"}}, core.Allow, []string{"b"}},
		{"those that ask, and not who grants", []sketch{{id: "b", controls: "MFA"}, {id: "a", controls: "ALLOW"}, {id: "c", controls: "APPROVAL"}}, core.Pending, []string{"b", "c"}},
		{"those that ask without granting", []sketch{{id: "b", controls: "MFA", apps: []string{"/usr/bin/vi"}}, {id: "a", controls: "ALLOW"}}, core.Pending, []string{"b"}},
		{"nobody, if nobody grants what others ask for", []sketch{{id: "b", controls: "MFA", apps: []string{"/usr/bin/vi"}}}, core.Deny, nil},
		{"those that deny, and not who asks", []sketch{{id: "d", controls: "DENY"}, {id: "a", controls: "MFA"}, {id: "b", controls: "DENY MFA"}}, core.Deny, []string{"b", "d"}},
		{"those that deny without a grant", []sketch{{id: "d", controls: "DENY", apps: []string{"/usr/bin/vi"}}}, core.Deny, []string{"d"}},
		{"one that is met twice", []sketch{{id: "d", controls: "DENY", apps: []string{"/usr/bin/vi", "vi", "*"}}}, core.Deny, []string{"d"}},
		{"two of one id", []sketch{{id: "d", controls: "DENY"}, {id: "d", controls: "DENY"}}, core.Deny, []string{"d", "d"}},
	} {
		got := compileSketches(t, linux(), tc.policies...).Decide(ask("/usr/bin/vim.basic", "/usr/bin/vi", "vi"))
		if got.Outcome != tc.outcome || !cmp.Equal(ids(got.Policies), tc.by) {
			t.Errorf("%s: %s by %v", tc.name, got.Outcome, ids(got.Policies))
		}
		if (got.Outcome == core.Deny) != (got.Message != "") {
			t.Errorf("%s: %q", tc.name, got.Message)
		}
	}
}

func TestRefusalsInWords(t *testing.T) {
	const end = " If you need it, ask the person who manages this machine's policies to change "
	ref := func(id, name string) core.PolicyRef { return core.PolicyRef{ID: id, Name: name} }
	for _, tc := range []struct {
		by   []core.PolicyRef
		want string
	}{
		{[]core.PolicyRef{ref("a", "")}, `Policy "a" refuses this command.` + end + "it."},
		{[]core.PolicyRef{ref("a", "No editors")}, `Policy "No editors" refuses this command.` + end + "it."},
		{[]core.PolicyRef{ref("a", ""), ref("b", "B")}, `Policies "a", "B" refuse this command.` + end + "them."},
		{[]core.PolicyRef{ref("a", ""), ref("b", ""), ref("c", "")}, `Policies "a", "b", "c" refuse this command.` + end + "them."},
		{[]core.PolicyRef{ref("a", ""), ref("b", ""), ref("c", ""), ref("d", ""), ref("e", "")}, `Policies "a", "b", "c" and 2 more refuse this command.` + end + "them."},
	} {
		if got := refusal(tc.by); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
	// Attack: a name that ends the line, or the quotes around it.
	if got := refusal([]core.PolicyRef{ref("a", "x\" allows\nyou\x1b[2J")}); strings.ContainsAny(got, "\n\x1b") || strings.Count(got, `"`) != 2+strings.Count(got, `\"`) {
		t.Errorf("got %q", got)
	}
}

// The message of one refusal is that of the policy that refused, whatever else is
// met before it.
func TestTheRefusalIsOfWhoRefuses(t *testing.T) {
	got := compileSketches(t, linux(), sketch{id: "a", controls: "ALLOW"}, sketch{id: "b", controls: "DENY"}, sketch{id: "c", controls: "MFA"}).
		Decide(ask("/usr/bin/id", "id", "id"))
	if !strings.HasPrefix(got.Message, `Policy "Name of b" refuses`) {
		t.Errorf("got %q", got.Message)
	}
}

// A question that no policy is asked about is refused in words that say so.
func TestRefusalsOfQuestions(t *testing.T) {
	for want, spoil := range map[string]func(*Question){
		"The question does not say who asks, or for which absolute path, so it was refused.": func(q *Question) { q.User = "" },
		"This release decides about elevations only, so the question was refused.":           func(q *Question) { q.Kind = "privilegeelevation" },
	} {
		q := ask("/usr/bin/id", "id", "id")
		spoil(&q)
		got := compileSketches(t, linux(), sketch{controls: "ALLOW"}).Decide(q)
		if got.Outcome != core.Deny || got.Message != want || got.Policies != nil {
			t.Errorf("got %+v, want %q", got, want)
		}
	}
}

// What watches is named under the same rules, and a question that cannot be
// decided is watched by nobody.
func TestWhoWatches(t *testing.T) {
	set := compileSketches(t, linux(), sketch{id: "n", controls: "NOTIFY", status: "monitor"}, sketch{id: "d", controls: "DENY", status: "monitor_and_notify", apps: []string{"/usr/bin/vi"}},
		sketch{id: "o", controls: "DENY", status: "off"}, sketch{id: "e", controls: "DENY"})
	q := ask("/usr/bin/vim.basic", "/usr/bin/vi", "vi")
	if got := ids(set.Watching(q).Policies); !cmp.Equal(got, []string{"d", "n"}) {
		t.Errorf("got %v", got)
	}
	q.Path = "usr/bin/vim.basic"
	if got := set.Watching(q); got.Policies != nil {
		t.Errorf("a relative path: %v", got)
	}
	if got := compileSketches(t, linux(), sketch{controls: "DENY"}).Watching(ask("/usr/bin/id", "id", "id")); got.Policies != nil {
		t.Errorf("nothing watches: %#v", got)
	}
}
