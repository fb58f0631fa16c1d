package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"kpm/core"
)

// Who is meant by what is written, and by whom nobody is meant.
func TestWho(t *testing.T) {
	env := linux()
	env.Collections["uid-of-everyone"] = Collection{OfUsers, []string{"*"}}
	env.Collections["uid-of-mixed"] = Collection{OfUsers, []string{"bob", "%wheel"}}
	env.Collections["uid-of-marked"] = Collection{OfGroups, []string{"%wheel"}}
	alice := ask("/usr/bin/id", "id", "id")
	named := func(name string) Question { q := alice; q.UserName = name; return q }
	for _, tc := range []struct {
		name  string
		users []string
		q     Question
		want  strength
	}{
		{"a gid that the kernel counts", []string{"%#1000"}, alice, full},
		{"a gid that begins the same", []string{"%#100"}, alice, nothing},
		{"the name of a group after #", []string{"%#wheel"}, alice, nothing},
		{"the second of two groups", []string{"%backup", "%wheel"}, alice, full},
		{"names in any order", []string{"zoe", "alice", "bob"}, alice, full},
		{"ids in any order", []string{"#7", "#1000", "#5"}, alice, full},
		{"groups in any order", []string{"%#7", "%#10", "%#5"}, alice, full},
		{"everyone beside somebody else", []string{"bob", "*"}, alice, full},
		// An entry that says half of something.
		{"a group without a name", []string{"%"}, alice, restricts},
		{"a gid without digits", []string{"%#"}, alice, restricts},
		{"a uid without digits", []string{"#"}, alice, restricts},
		{"a question mark", []string{"ali?e"}, alice, restricts},
		{"half an entry beside a whole one", []string{"alice", "%"}, alice, restricts},
		// Attack: an account whose name is written like something else.
		{"an account called #1000", []string{"#1000"}, Question{User: "5", UserName: "#1000"}, nothing},
		{"an account called by a number", []string{"#5000"}, named("5000"), nothing},
		{"an account called like a group", []string{"%#10"}, Question{User: "5", UserName: "%#10"}, nothing},
		{"an account called like a collection", []string{"uid-of-admins"}, named("uid-of-admins"), nothing},
		// Domains.
		{"the part before the domain is no name", []string{"CORP"}, named(`CORP\alice`), nothing},
		{"the domain in another case", []string{`corp\alice`}, named(`CORP\alice`), nothing},
		{"without domain, beside the one with it", []string{"alice", `CORP\alice`}, named(`CORP\alice`), full},
		// Collections.
		{"a collection holds what a filter does", []string{"uid-of-mixed"}, alice, full},
		{"a group of a collection is nobody's name", []string{"uid-of-wheel"}, Question{User: "5", UserName: "wheel"}, nothing},
		{"a gid of a collection", []string{"uid-of-wheel"}, Question{User: "5", UserName: "bob", Groups: []string{"4000"}}, full},
		{"all users in a collection", []string{"uid-of-everyone"}, alice, restricts},
		{"a group of a collection with its mark", []string{"uid-of-marked"}, alice, restricts},
		{"the collection of all machines", []string{allAgents}, alice, restricts},
		{"an unknown collection, with _ and -", []string{"A_b-ABCDEFGHIJKLMNOPQR"}, alice, restricts},
		{"an account of 23 characters", []string{"service-account-of-web1"}, named("service-account-of-web1"), full},
	} {
		t.Run(tc.name, func(t *testing.T) {
			q := alice
			q.User, q.UserName, q.Groups, q.GroupNames = tc.q.User, tc.q.UserName, tc.q.Groups, tc.q.GroupNames
			if got := meets(t, env, sketch{users: tc.users}, q); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

func TestWhoOnWindows(t *testing.T) {
	for _, tc := range []struct {
		entry, name string
		want        strength
	}{
		{`corp\ALICE`, `CORP\Alice`, full},
		{`lab\alice`, `CORP\alice`, nothing},
		{"ALICE", "alice", full},
		{"Alice", `CORP\aLICE`, restricts},
		{"#S-1-5-21-7", "alice", full},
		{"#s-1-5-21-7", "alice", nothing}, // an id is compared as the system writes it
		{"%#S-1-5-32-544", "alice", full},
	} {
		q := ask(`C:\Windows\System32\id.exe`, "id.exe", "id.exe")
		q.User, q.UserName, q.Groups = core.UserID("S-1-5-21-7"), tc.name, []string{"S-1-5-32-544"}
		if got := meets(t, windows(), sketch{users: []string{tc.entry}}, q); got != tc.want {
			t.Errorf("%s for %s: %v, want %v", tc.entry, tc.name, got, tc.want)
		}
	}
}

// What a group's name means is in the question: the same policies decide by
// another when it has changed.
func TestGroupsAreTheQuestions(t *testing.T) {
	q := ask("/usr/bin/id", "id", "id")
	q.Groups, q.GroupNames = []string{"10"}, nil
	if got := meets(t, linux(), sketch{users: []string{"%wheel"}}, q); got != nothing {
		t.Errorf("a number that is not called so any more: %v", got)
	}
	q.MissingGroups = []string{"wheel"}
	if got := meets(t, linux(), sketch{users: []string{"%wheel"}}, q); got != restricts {
		t.Errorf("a name that is nobody's any more: %v", got)
	}
	q.GroupNames, q.MissingGroups = []string{"Wheel"}, nil
	if got := meets(t, windows(), sketch{users: []string{"%WHEEL"}}, Question{
		Kind: q.Kind, User: "5", UserName: "bob", TargetAdministrator: true, GroupNames: []string{"Wheel"}, Machine: "pc1", Time: noon,
		Path: `C:\Windows\System32\id.exe`, Requested: "id.exe", Arguments: []string{"id.exe"},
	}); got != full {
		t.Errorf("in another case on Windows: %v", got)
	}
}

// Set.GroupNames has what policies name, also those that only watch, each once.
func TestNamesOfGroups(t *testing.T) {
	set := compileSketches(t, linux(), sketch{controls: "ALLOW", users: []string{"%wheel", "bob", "%#5", "uid-of-wheel"}},
		sketch{controls: "DENY", status: "monitor", users: []string{"%backup", "%wheel"}}, sketch{controls: "ALLOW", users: []string{"*"}})
	if diff := cmp.Diff([]string{"backup", "wheel"}, set.GroupNames()); diff != "" {
		t.Error(diff)
	}
}

// Whether there is such a group is said to the author, and changes no decision.
func TestAGroupThatIsMissingIsANote(t *testing.T) {
	got := said(t, linux(), sketch{id: "u", controls: "ALLOW", users: []string{"%wheel", "%nosuch"}})
	want := []string{`note: s.json:2: policy "u", $.UserCheck[1]: found "%nosuch", expected a group of this machine; as long as there is none, the policy restricts everyone and grants nobody`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsSaidAboutUsers(t *testing.T) {
	got := said(t, linux(), sketch{id: "u", controls: "ALLOW", users: []string{
		"%", "al*", "q83vEjRWeJCrze8SNFZ4kA", "uid-of-web", "uid-of-mistakes", "#",
	}}, sketch{id: "v", controls: "ALLOW", users: []string{}})
	want := []string{
		`grants nothing: s.json: policy "v", $.UserCheck: found no users, expected users, or "*"; as it stands the policy restricts everyone and grants nothing`,
		`grants nothing: s.json:2: policy "u", $.UserCheck[0]: found "%", expected the name of a group, or "%#gid"`,
		`grants nothing: s.json:2: policy "u", $.UserCheck[1]: found "al*", expected a name, "#id", "%group", a collection, or "*" alone`,
		`grants nothing: s.json:2: policy "u", $.UserCheck[2]: found "q83vEjRWeJCrze8SNFZ4kA", which looks like a collection, expected a collection of the collections file; write a user who is really called so as "#uid"`,
		`grants nothing: s.json:2: policy "u", $.UserCheck[3]: found "uid-of-web", a collection of type "machine", expected one of type "user"`,
		`note: s.json:2: policy "u", $.UserCheck[4]: found "%nosuchgroup", expected a group of this machine; as long as there is none, the policy restricts everyone and grants nobody`,
		`grants nothing: s.json:2: policy "u", $.UserCheck[5]: found "#", expected a name, "#id", "%group", a collection, or "*" alone`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
