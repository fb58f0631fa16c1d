package tool

import (
	"strings"
	"testing"

	"kpm/core/dialog"
)

func TestADialogIsToldInOneString(t *testing.T) {
	for kind, want := range map[dialog.Kind]string{
		dialog.KindCode:     `with hidden answer buttons {"Cancel", "OK"} default button "OK"`,
		dialog.KindReason:   `default answer "" buttons {"Cancel", "OK"}`,
		dialog.KindRequest:  `buttons {"Ask", "Cancel"} default button "Cancel" cancel button "Cancel"`,
		dialog.KindDecision: `buttons {"Deny", "Approve", "Later"} default button "Later" cancel button "Later"`,
	} {
		// Attack: what somebody has written ends the string and goes on as a program.
		q := dialog.Question{Kind: kind, Code: "ABCDEF", Program: `/bin/a"b\`, CommandLine: `x" & (do shell script "id") & "`, Text: "Why?", Secret: kind == dialog.KindCode}
		argv, script := ShowDialog(&q)
		if strings.Join(argv, " ") != "/usr/bin/osascript -" || !strings.Contains(script, want) {
			t.Errorf("%s: %q, %q", kind, argv, script)
		}
		if !strings.Contains(script, `x\" & (do shell script \"id\") & \"`) || !strings.Contains(script, `/bin/a\"b\\`) || strings.Count(script, "\n") != 1 {
			t.Errorf("%s: %q", kind, script)
		}
	}
}

func TestWhatADialogReturns(t *testing.T) {
	for _, tc := range []struct {
		kind     dialog.Kind
		returned string
		want     dialog.Answer
	}{
		{dialog.KindCode, "123456", dialog.Answer{Outcome: dialog.Given, Text: "123456"}},
		{dialog.KindReason, "Deny", dialog.Answer{Outcome: dialog.Given, Text: "Deny"}},
		{dialog.KindRequest, "Ask", dialog.Answer{Outcome: dialog.Given}},
		{dialog.KindRequest, "", dialog.Answer{Outcome: dialog.Declined}},
		{dialog.KindDecision, "Approve", dialog.Answer{Outcome: dialog.Approved}},
		{dialog.KindDecision, "Deny", dialog.Answer{Outcome: dialog.Denied}},
		{dialog.KindDecision, "Later", dialog.Answer{Outcome: dialog.Declined}},
	} {
		if got := DialogAnswer(tc.kind, tc.returned); got != tc.want {
			t.Errorf("%s %q: %+v", tc.kind, tc.returned, got)
		}
	}
}
