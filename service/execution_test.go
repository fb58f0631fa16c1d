package service

import (
	"testing"

	"kpm/core"
	"kpm/core/view"
	"kpm/launcher/execution"
)

// What somebody was kept from is named, with the policy and what they can do.
func TestWhatIsSaidOfAProgramThatWasNotStarted(t *testing.T) {
	by := []core.PolicyRef{{ID: "p", Name: "No \x1btools"}, {ID: "q"}}
	for name, tc := range map[string]struct {
		is   execution.Refusal
		want string
	}{
		"denied":              {execution.Refusal{Policies: by}, `/opt/x was not started: policy "No \x1btools", "q" denies it. If you need it, ask ada`},
		"held up":             {execution.Refusal{Policies: by[1:], Controls: []core.Control{"MFA", "JUSTIFY"}}, `/opt/x was not started: policy "q" asks for MFA and JUSTIFY first. keepersudo --file-access /opt/x asks you for that`},
		"by no policy":        {execution.Refusal{Message: "Nobody knows."}, `/opt/x was not started: Nobody knows. If you need it, ask ada`},
		"by nothing at all":   {execution.Refusal{}, `/opt/x was not started: policy denies it. If you need it, ask ada`},
		"by a command":        {execution.Refusal{Policies: by[1:], Request: "ABCDEFGHIJ"}, `/opt/x was not started by the command of request ABCDEF: policy "q" does not let that start it. If you need it, ask ada`},
		"by a command, again": {execution.Refusal{Request: "ABCDEFGHIJ"}, `/opt/x was not started by the command of request ABCDEF: no policy lets that start it. If you need it, ask ada`},
	} {
		tc.is.Path = "/opt/x"
		if got := executionNotice(core.Linux, tc.is, "ada"); got.Text != tc.want || got.Kind != view.NoticeExecution || got.ID != "/opt/x" {
			t.Errorf("%s: %+v, expected %q", name, got, tc.want)
		}
	}
}
