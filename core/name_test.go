package core

import "testing"

func TestReservedName(t *testing.T) {
	for _, tc := range []struct {
		name string
		want bool
	}{
		{ServicePrincipal().String(), true},
		{Principal{Kind: User, User: "1000"}.String(), true},
		{Principal{Kind: Admin, User: "0"}.String(), true},
		{Principal{}.String(), true},
		{"keeperprivilegemanager", true},
		{"USER-1000", true},
		{"KeeperPolicy", false},
		{"privilege-elevation-policy-controls", false},
		{"UserInventory", false},
		{"AdminTools", false},
	} {
		if got := ReservedName(tc.name); got != tc.want {
			t.Errorf("ReservedName(%q) = %v, want %v", tc.name, got, tc.want)
		}
	}
}
