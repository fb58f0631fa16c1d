package core_test

import (
	"reflect"
	"testing"

	"kpm/core"
)

// A group grants if the kernel and the user database agree on it, and restricts
// if either knows it.
func TestMembership(t *testing.T) {
	names := map[string][]string{"10": {"wheel"}, "20": {"ops", "operators"}, "30": {"old"}}
	member := core.Account{Groups: []string{"10", "20"}}
	for what, tc := range map[string]struct {
		kernel  []string
		account core.Account
		want    core.Membership
	}{
		"they agree": {[]string{"20", "10"}, member, core.Membership{IDs: []string{"10", "20"}, Names: []string{"wheel", "ops", "operators"}}},
		"the process has left a group": {[]string{"10"}, member, core.Membership{
			IDs: []string{"10"}, Names: []string{"wheel"}, DoubtfulIDs: []string{"20"}, DoubtfulNames: []string{"ops", "operators"}}},
		"the process is in one of before": {[]string{"10", "30", "20", "30"}, member, core.Membership{
			IDs: []string{"10", "20"}, Names: []string{"wheel", "ops", "operators"}, DoubtfulIDs: []string{"30"}, DoubtfulNames: []string{"old"}}},
		"a group without a name":      {[]string{"40"}, core.Account{Groups: []string{"40"}}, core.Membership{IDs: []string{"40"}}},
		"the process is in none":      {[]string{}, core.Account{Groups: []string{"10"}}, core.Membership{DoubtfulIDs: []string{"10"}, DoubtfulNames: []string{"wheel"}}},
		"a kernel that counts nobody": {nil, core.Account{Groups: []string{"10"}}, core.Membership{IDs: []string{"10"}, Names: []string{"wheel"}}},
		"a database that is not whole": {[]string{"10"}, core.Account{Groups: []string{"10"}, GroupsUnknown: true},
			core.Membership{IDs: []string{"10"}, Names: []string{"wheel"}, Unknown: true}},
	} {
		if got := core.NewMembership(tc.kernel, tc.account, names); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %+v, expected %+v", what, got, tc.want)
		}
	}
	if got := core.Every([]string{"30", "10"}, member); !reflect.DeepEqual(got, []string{"10", "20", "30"}) {
		t.Errorf("all groups: %v", got)
	}
}
