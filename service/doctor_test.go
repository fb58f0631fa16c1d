package service

import (
	"fmt"
	"testing"

	"kpm/core/view"
)

// Refusals are counted by what they are about, and the oldest go.
func TestRefusalsAreBounded(t *testing.T) {
	var r refusals
	for i := range 3 * maxRefusals {
		for range 2 {
			r.note(view.APIRefusal{Caller: "User-1000", Method: "GET", Path: fmt.Sprintf("/api/PluginSettings/%d\n", i), Code: "tier-too-low"})
		}
	}
	list := r.list()
	if len(list) != maxRefusals || list[0].Path != fmt.Sprintf("/api/PluginSettings/%d", 2*maxRefusals) || list[0].Count != 2 {
		t.Errorf("%d, first %+v", len(list), list[0])
	}
}
