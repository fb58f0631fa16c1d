package conformance

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"kpm/core"
)

// identity is who a process is: its users, of which there is more than one if it can
// become another again, and all of its groups.
type identity struct{ Users, Groups []string }

// distinct sorts a list and leaves out what it has twice.
func distinct(list ...string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// A program is who it was to be, wholly: no user to go back to, and no group of the
// service's.
func userAndGroups(t *testing.T, b *bench) {
	own, err := who()
	must(t, err)
	people := b.People
	if people == nil {
		people = []core.Identity{b.As}
	}
	for _, as := range people {
		want := identity{Users: []string{string(as.Account.User)}, Groups: distinct(append(slices.Clone(as.Account.Groups), as.Account.Group)...)}
		if as.Account.Group == "" { // the system gives an account its groups
			want.Groups = own.Groups
		}
		spec := b.spec("who")
		spec.As, spec.Dir = as, b.handle(filepath.Dir(b.exe.Name()))
		out, status := b.run(spec)
		var got identity
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatalf("%v: %q, %+v", err, out, status)
		}
		if !slices.Equal(got.Users, want.Users) || !slices.Equal(got.Groups, want.Groups) {
			t.Errorf("it is %+v, expected %+v", got, want)
		}
	}
}
