package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhere(t *testing.T) {
	env := linux()
	env.Collections["uid-of-all"] = Collection{OfMachines, []string{"web1", "*"}}
	env.Collections["uid-of-nested"] = Collection{OfMachines, []string{"q83vEjRWeJCrze8SNFZ4kA"}}
	for _, tc := range []struct {
		name     string
		machines []string
		machine  string
		want     strength
	}{
		{"a machine in capitals", []string{"web1"}, "WEB1", full},
		{"names in any order", []string{"web9", "web1", "db1"}, "web1", full},
		{"the last of a collection", []string{"uid-of-web"}, "web2", full},
		{"beside the collection", []string{"uid-of-web"}, "web3", nothing},
		{"all agents, as other tools write it", []string{allAgents + "=="}, "web1", full},
		{"all, beside another", []string{"db1", "*"}, "web1", full},
		{"all agents, beside another", []string{"db1", allAgents}, "web1", full},
		{"a longer name", []string{"web1"}, "web1.example.org", restricts},
		{"a machine without a name", []string{"web1"}, "", restricts},
		{"a machine without a name, everywhere", []string{"*"}, "", full},
		{"a question mark", []string{"web?"}, "web1", restricts},
		{"a variable", []string{"{rootdir}web1"}, "web1", restricts},
		{"half a variable", []string{"web1}"}, "web1", restricts},
		{"a collection of users", []string{"uid-of-admins"}, "web1", restricts},
		{"all of a collection", []string{"uid-of-all"}, "web1", restricts},
		{"a collection in a collection", []string{"uid-of-nested"}, "web1", restricts},
		{"an unknown collection beside this machine", []string{"web1", "q83vEjRWeJCrze8SNFZ4kA"}, "web1", restricts},
		{"an unknown collection beside all machines", []string{"*", "q83vEjRWeJCrze8SNFZ4kA"}, "web1", restricts},
		{"an unknown collection, on another machine", []string{"db1", "q83vEjRWeJCrze8SNFZ4kA"}, "web1", restricts},
	} {
		t.Run(tc.name, func(t *testing.T) {
			q := ask("/usr/bin/id", "id", "id")
			q.Machine = tc.machine
			if got := meets(t, env, sketch{machines: tc.machines}, q); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

func TestWhatIsSaidAboutMachines(t *testing.T) {
	got := said(t, linux(), sketch{id: "m", controls: "ALLOW", machines: []string{"web*", "uid-of-admins", "*"}},
		sketch{id: "n", controls: "ALLOW", machines: []string{}})
	want := []string{
		`note: s.json: policy "n", $.MachineCheck: found no machines, expected machines, or "*"; as it stands the policy holds on every machine that has the file`,
		`grants nothing: s.json:2: policy "m", $.MachineCheck[0]: found "web*", expected a machine name, a collection, or "*" alone`,
		`grants nothing: s.json:2: policy "m", $.MachineCheck[1]: found "uid-of-admins", a collection of type "user", expected one of type "machine"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
