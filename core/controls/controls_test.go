package controls

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kpm/core"
)

func TestNames(t *testing.T) {
	table := Standard()
	for text, want := range map[string]core.Control{"ALLOW": core.ControlAllow, "justify": core.ControlJustify, "Mfa": core.ControlMFA} {
		if got, ok := table.Parse(text); !ok || got != want {
			t.Errorf("%q is %s, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "MFA ", "ALLOWED", "APPROVA\u0142", "NOTI\u017fY"} {
		if got, ok := table.Parse(text); ok {
			t.Errorf("%q is taken for %s", text, got)
		}
	}
	if got, want := table.String(), "ALLOW, DENY, MFA, JUSTIFY, APPROVAL, NOTIFY, AUDIT, RECORD"; got != want {
		t.Errorf("%s, expected %s", got, want)
	}
}

func TestWhatStandsBeforeALaunch(t *testing.T) {
	given := []core.Control{core.ControlNotify, core.ControlMFA, "SELFIE", core.ControlAllow, core.ControlJustify, core.ControlMFA, core.ControlRecord}
	// One that nobody knows stays in, is never satisfied, and lets nothing pass.
	want := []core.Control{core.ControlJustify, core.ControlMFA, "SELFIE"}
	if diff := cmp.Diff(want, Standard().Required(given)); diff != "" {
		t.Error(diff)
	}
	// Attack: an ALLOW that carries a DENY is taken for an ALLOW.
	if diff := cmp.Diff([]core.Control{core.ControlDeny}, Standard().Required([]core.Control{core.ControlDeny, core.ControlAllow})); diff != "" {
		t.Error(diff)
	}
	if got := Standard().Required([]core.Control{core.ControlNotify, core.ControlAllow}); got != nil {
		t.Errorf("%v", got)
	}
}

// A sixth control that is required is a row: it has a bit and lists of its own, and
// changes nobody else's.
func TestAnotherControlIsARow(t *testing.T) {
	for _, table := range []Table{Standard(), append(Standard(), Row{Name: "BADGE", Effect: Required})} {
		lists := table.Lists()
		all := Set(0)
		for _, r := range table {
			bit := table.Bit(r.Name)
			if r.Effect != Required {
				if bit != 0 {
					t.Errorf("%s is not required and has a bit", r.Name)
				}
				continue
			}
			if bit == 0 || all&bit != 0 {
				t.Errorf("%s has bit %b, taken are %b", r.Name, bit, all)
			}
			all |= bit
			if diff := cmp.Diff([]core.Control{r.Name}, lists[bit]); diff != "" {
				t.Error(diff)
			}
		}
		if int(all) != len(lists)-1 {
			t.Errorf("%d lists for the bits %b", len(lists), all)
		}
	}
	if diff := cmp.Diff([]core.Control{core.ControlApproval, core.ControlJustify, core.ControlMFA}, Standard().Lists()[7]); diff != "" {
		t.Error(diff)
	}
}

// docs/policies.md has a row for each control.
func TestTheDocsHaveTheTable(t *testing.T) {
	page, err := os.ReadFile("../../docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	effects := map[Effect]string{Grants: "grants", Denies: "denies", Required: "required", Remarks: "never grants"}
	for _, r := range Standard() {
		row := fmt.Sprintf("| `%s` | %s |", r.Name, effects[r.Effect])
		if r.Effect == Required {
			verified := r.Verified
			if verified == "" {
				verified = "Nothing here verifies it yet: what asks for it is refused."
			}
			row = fmt.Sprintf("| `%s` | %s | %s | %s |", r.Name, effects[r.Effect], r.Asked, verified)
		}
		if !strings.Contains(string(page), row) {
			t.Errorf("docs/policies.md has no row %q", row)
		}
	}
}
