package desktop

import (
	"slices"
	"strings"
	"testing"

	"kpm/core/dialog"
)

func question(kind dialog.Kind) *dialog.Question {
	return &dialog.Question{
		Kind: kind, Code: "ABCDEF", Program: "/opt/a_b/<b>tool</b>", Target: "root", CommandLine: `tool '\nProgram: /bin/true' &lt;`,
		Directory: "/", Requester: "ann", Reason: "the disk is full", Text: "Why?", Secret: kind == dialog.KindCode,
	}
}

// What is asked stands in one argument that no option can be taken from, and nothing
// that was typed is in any.
func TestWhatAToolIsTold(t *testing.T) {
	for _, tool := range Tools() {
		for _, kind := range []dialog.Kind{dialog.KindCode, dialog.KindReason, dialog.KindRequest, dialog.KindDecision} {
			q := question(kind)
			args, input := tool.Command(q)
			all := strings.Join(args, "\n") + input
			for _, text := range []string{"ABCDEF", "Keeper Privilege Manager", "tool</b>", "Why?"} {
				if !strings.Contains(all, text) {
					t.Errorf("%s %s: %q is missing from %q", tool.Path, kind, text, args)
				}
			}
			if hides := slices.Contains(args, "--hide-text") || slices.Contains(args, "--password"); hides != q.Secret {
				t.Errorf("%s %s: %q", tool.Path, kind, args)
			}
			// Attack: markup, or a backslash and an n, in what somebody else has written.
			if input == "" && !strings.Contains(all, `'\\nProgram: /bin/true'`) {
				t.Errorf("%s %s: %q", tool.Path, kind, args)
			}
			for _, arg := range args {
				if strings.Contains(arg, "<b>") && strings.HasPrefix(strings.TrimPrefix(arg, "--text="), "<") {
					t.Errorf("%s %s: begins with markup: %q", tool.Path, kind, arg)
				}
			}
			if strings.Contains(tool.Path, "kdialog") {
				continue
			}
			if markup := slices.Contains(args, "--question") || strings.Contains(tool.Path, "yad"); markup && !slices.Contains(args, "--no-markup") {
				t.Errorf("%s %s: %q", tool.Path, kind, args)
			}
			if kind == dialog.KindDecision && strings.Contains(strings.Join(args, " "), "the disk is full") {
				t.Errorf("%s: other users can read the reason: %q", tool.Path, args)
			}
		}
	}
}

func TestWhatAToolMeans(t *testing.T) {
	for _, tc := range []struct {
		tool   string
		kind   dialog.Kind
		status int
		output string
		want   dialog.Answer
	}{
		{"zenity", dialog.KindCode, 0, "123456\n", dialog.Answer{Outcome: dialog.Given, Text: "123456"}},
		{"zenity", dialog.KindReason, 0, " a b \n", dialog.Answer{Outcome: dialog.Given, Text: " a b "}},
		{"zenity", dialog.KindReason, 0, "Deny\n", dialog.Answer{Outcome: dialog.Given, Text: "Deny"}},
		{"zenity", dialog.KindCode, 1, "123456\n", declined},
		{"zenity", dialog.KindCode, -1, "", declined}, // killed
		{"zenity", dialog.KindRequest, 0, "", dialog.Answer{Outcome: dialog.Given}},
		{"zenity", dialog.KindRequest, 1, "", declined},
		{"zenity", dialog.KindDecision, 0, "everything that it shows", dialog.Answer{Outcome: dialog.Approved}},
		{"zenity", dialog.KindDecision, 1, "Deny\n", dialog.Answer{Outcome: dialog.Denied}},
		{"zenity", dialog.KindDecision, 1, "", declined}, // closed
		{"zenity", dialog.KindDecision, 5, "", declined},
		{"kdialog", dialog.KindCode, 0, "123456\n", dialog.Answer{Outcome: dialog.Given, Text: "123456"}},
		{"kdialog", dialog.KindReason, 1, "x\n", declined},
		{"kdialog", dialog.KindRequest, 0, "", dialog.Answer{Outcome: dialog.Given}},
		{"kdialog", dialog.KindRequest, 2, "", declined},
		{"kdialog", dialog.KindDecision, 0, "", dialog.Answer{Outcome: dialog.Approved}},
		{"kdialog", dialog.KindDecision, 1, "", dialog.Answer{Outcome: dialog.Denied}},
		{"kdialog", dialog.KindDecision, 2, "", declined},
		{"kdialog", dialog.KindDecision, -1, "", declined},
		{"yad", dialog.KindCode, 0, "123456\n", dialog.Answer{Outcome: dialog.Given, Text: "123456"}},
		{"yad", dialog.KindReason, 252, "", declined},
		{"yad", dialog.KindRequest, 11, "", dialog.Answer{Outcome: dialog.Given}},
		{"yad", dialog.KindRequest, 0, "", declined}, // Enter in a window whose buttons are others
		{"yad", dialog.KindDecision, 11, "", dialog.Answer{Outcome: dialog.Approved}},
		{"yad", dialog.KindDecision, 13, "", dialog.Answer{Outcome: dialog.Denied}},
		{"yad", dialog.KindDecision, 0, "", declined},
		{"yad", dialog.KindDecision, 252, "", declined},
	} {
		tools := Tools()
		tool := tools[slices.IndexFunc(tools, func(one Tool) bool { return strings.HasSuffix(one.Path, "/"+tc.tool) })]
		if got := tool.Answer(tc.kind, tc.status, tc.output); got != tc.want {
			t.Errorf("%s %s with %d, %q: %+v, expected %+v", tc.tool, tc.kind, tc.status, tc.output, got, tc.want)
		}
	}
}

func TestThereIsNoDisplay(t *testing.T) {
	for said, want := range map[string]bool{
		"": false, "Gtk-WARNING **: cannot open display: :7": true, "qt.qpa.xcb: could not connect to display": true, "Gtk-Message: no module": false,
	} {
		if NoDisplay(said) != want {
			t.Errorf("%q: %v", said, !want)
		}
	}
}
