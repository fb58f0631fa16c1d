package task

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"kpm/settings"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func bundled() Kinds {
	return Bundled(Config{Layout: settings.At("/agent", ""), Commands: Commands{"echo": Echo}})
}

func TestWhichKindTakesATask(t *testing.T) {
	for _, tc := range []struct {
		executionType, text string
		want                func(Task) bool
	}{
		{"", `{"command": "echo"}`, func(got Task) bool { _, ok := got.(*builtin); return ok }},
		{"SERVICE", `{"Command": "echo"}`, func(got Task) bool { _, ok := got.(*builtin); return ok }},
		{"Service", `{"command": "echo", "executablePath": "/opt/echo"}`, func(got Task) bool { _, ok := got.(*program); return ok }},
		{"Service", `{"command": "mytool"}`, func(got Task) bool { _, ok := got.(*program); return ok }},
		{"http", `{"url": "https://host/", "command": "echo"}`, func(got Task) bool { _, ok := got.(*exchange); return ok }},
		{"user", `{}`, func(got Task) bool { return got == session("User") }},
		{"UserDesktop", `{}`, func(got Task) bool { return got == session("UserDesktop") }},
		{"UserElevated", `{}`, func(got Task) bool { return got == session("UserElevated") }},
	} {
		if got := compile(t, bundled(), tc.executionType, tc.text); !tc.want(got) {
			t.Errorf("%s %s became %T", tc.executionType, tc.text, got)
		}
	}
}

// Each kind reads its own fields, and only those.
func TestAFieldOfTheWrongTypeIsAFaultOfItsOwnKind(t *testing.T) {
	for _, tc := range []struct{ executionType, text, want string }{
		{"Kernel", `{}`, `j.json: tasks[3].ExecutionType is "Kernel", expected Service, Http, User, UserDesktop or UserElevated`},
		{"Service", `{"command": "mytool", "arguments": ["a"]}`, "j.json: tasks[3].arguments is a list, expected text"},
		{"Service", `{"command": 5}`, "tasks[3].command is a number"},
		{"Service", `{"command": "echo", "parameters": [1]}`, "tasks[3].parameters is not an object, expected an object"},
		{"Service", `{"command": "mytool", "url": 5, "parameters": [1], "successCodes": "all"}`, ""},
		{"Http", `{"url": "https://host/", "successCodes": "all"}`, "tasks[3].successCodes is text, expected a list"},
		{"Http", `{"url": "https://host/", "headers": {"A": 1}}`, "tasks[3].headers.A is a number"},
		{"Http", `{"url": "https://host/", "command": 5, "arguments": "it's"}`, ""},
		{"Service", `null`, "tasks[3]"},
	} {
		source := NewSource("j.json", "tasks[3]", json.RawMessage(tc.text))
		bundled().Compile(tc.executionType, source)
		err := source.Faults().Err()
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s %s: got %v, want %s", tc.executionType, tc.text, err, tc.want)
		}
	}
}

// A program would run without what its author thinks it needs: whoever runs in
// a user's session fails, and says why.
func TestATaskInAUsersSessionFailsWhenItsTurnComes(t *testing.T) {
	for _, executionType := range []string{"User", "UserDesktop", "UserElevated"} {
		_, err := compile(t, bundled(), executionType, `{"command": "KeeperMfa"}`).Run(context.Background(), &playedRun{})
		if err == nil || err.Error() != "ExecutionType "+executionType+" is not supported yet" {
			t.Errorf("%s: %v", executionType, err)
		}
	}
}

func TestHowAValueIsWritten(t *testing.T) {
	run := &playedRun{values: map[string]string{"V": "a b\"&\n", "Nul": "a\x00b"}}
	for _, tc := range []struct {
		name  string
		place value
		token string
		want  string
		err   string
	}{
		{"as an argument", Argument(run), "V", "a b\"&\n", ""},
		{"as an argument that cannot be", Argument(run), "Nul", "", "{Nul} holds a NUL character"},
		{"inside a JSON string", JSON(run), "V", `a b\"\u0026\n`, ""},
		{"in a query", Query(run), "V", "a+b%22%26%0A", ""},
		{"not at all", JSON(run), "Nobody", "", "unknown token {Nobody}"},
	} {
		got, err := tc.place(tc.token)
		if tc.err == "" && (err != nil || got != tc.want) || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
			t.Errorf("%s: got %q, %v", tc.name, got, err)
		}
	}
}

// docs/jobs.md names every execution type in its row, and which of
// them fail.
func TestTheDocsHaveTheExecutionTypes(t *testing.T) {
	page, err := os.ReadFile("../../docs/jobs.md")
	if err != nil {
		t.Fatal(err)
	}
	_, row, _ := strings.Cut(string(page), "| `ExecutionType` | ")
	row, _, _ = strings.Cut(row, " |\n")
	var works, fails []string
	for _, kind := range bundled() {
		list := &works
		if _, ok := compile(t, Kinds{{Type: kind.Type, Compile: kind.Compile}}, kind.Type, `{"command": "echo", "url": "https://host/"}`).(session); ok {
			list = &fails
		}
		if name := "`" + kind.Type + "`"; !slices.Contains(*list, name) {
			*list = append(*list, name)
		}
	}
	last := len(fails) - 1
	want := strings.Join(works, ", ") + "; " + strings.Join(fails[:last], ", ") + " and " + fails[last] + " fail, not supported yet"
	if row != want {
		t.Errorf("docs/jobs.md says %q, want %q", row, want)
	}
}
