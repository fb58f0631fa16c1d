package task

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"kpm/core"
	"kpm/core/port"
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
		{"Service", `{"command": "echo", "executablePath": ""}`, func(got Task) bool { _, ok := got.(*builtin); return ok }},
		{"Service", `{"command": "\u0065cho", "executablePath": null}`, func(got Task) bool { _, ok := got.(*builtin); return ok }},
		{"Service", `{"command": "mytool"}`, func(got Task) bool { _, ok := got.(*program); return ok }},
		{"http", `{"url": "https://host/", "command": "echo"}`, func(got Task) bool { _, ok := got.(*exchange); return ok }},
		{"user", `{"command": "KeeperMfa"}`, func(got Task) bool { p, ok := got.(*program); return ok && p.as == core.AsUser }},
		{"UserDesktop", `{"command": "KeeperMfa"}`, func(got Task) bool { p, ok := got.(*program); return ok && p.as == core.AsUserDesktop }},
		{"UserElevated", `{"command": "KeeperMfa"}`, func(got Task) bool { p, ok := got.(*program); return ok && p.as == core.AsUserElevated }},
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
		{"Service", `{"command": "echo", "executablePath": 5}`, "tasks[3].executablePath is a number"},
		{"Service", `{"command": "echo", "parameters": [1]}`, "tasks[3].parameters is not an object, expected an object"},
		{"Service", `{"command": "mytool", "url": 5, "parameters": [1], "successCodes": "all"}`, ""},
		{"Http", `{"url": "https://host/", "successCodes": "all"}`, "tasks[3].successCodes is text, expected a list"},
		{"Http", `{"url": "https://host/", "headers": {"A": 1}}`, "tasks[3].headers.A is a number"},
		{"Http", `{"url": "https://host/", "command": 5, "arguments": "it's"}`, ""},
		{"Service", `null`, "tasks[3]"},
	} {
		source := sourceOf(t, "tasks[3]", tc.text)
		bundled().Compile(tc.executionType, source)
		err := source.Faults().Err()
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s %s: got %v, want %s", tc.executionType, tc.text, err, tc.want)
		}
	}
}

// people plays sessions.
type people struct {
	asked []core.UserSpec
	err   error
}

func (p *people) StartService(context.Context, core.ServiceSpec) (port.Process, error) {
	return nil, errors.New("as the service")
}

func (p *people) StartUser(_ context.Context, spec core.UserSpec) (port.Process, error) {
	p.asked = append(p.asked, spec)
	return nil, p.err
}

// A task in a user's session goes to who starts such programs, without authority, and
// fails with the reason that it gets.
func TestATaskInAUsersSession(t *testing.T) {
	starter := &people{err: fmt.Errorf("no sessions here: %w", errors.ErrUnsupported)}
	layout := settings.At(t.TempDir(), "")
	path := layout.JobBin("KeeperMfa", "")
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o755)); err != nil {
		t.Fatal(err)
	}
	kinds := Bundled(Config{Layout: layout, Platform: core.Linux, Starter: starter})
	for i, as := range []core.RunAs{core.AsUser, core.AsUserDesktop, core.AsUserElevated} {
		run := &playedRun{principal: core.Principal{Kind: core.JobRun, Name: "j", Request: "R1"}, values: map[string]string{"UserName": "ada", "SessionId": "c2"}}
		_, err := compile(t, kinds, as.String(), `{"command": "KeeperMfa"}`).Run(t.Context(), run)
		if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "ExecutionType "+as.String()) {
			t.Errorf("%s: %v", as, err)
		}
		if got := starter.asked[i]; got.RunAs != as || got.User != "ada" || got.Session != "c2" || !got.As.InUserSession || got.As.Name != "j" || got.Path != path {
			t.Errorf("%s: %+v", as, got)
		}
		// A request that came from no session has nobody to show anything to.
		run.values["SessionId"] = ""
		if _, err := compile(t, kinds, as.String(), `{"command": "KeeperMfa"}`).Run(t.Context(), run); err == nil || !strings.Contains(err.Error(), "came from no session") {
			t.Errorf("%s: %v", as, err)
		}
	}
	if len(starter.asked) != 3 {
		t.Errorf("asked %d times", len(starter.asked))
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

// docs/jobs.md names every execution type in its row.
func TestTheDocsHaveTheExecutionTypes(t *testing.T) {
	page, err := os.ReadFile("../../docs/jobs.md")
	if err != nil {
		t.Fatal(err)
	}
	_, row, _ := strings.Cut(string(page), "| `ExecutionType` | ")
	row, _, _ = strings.Cut(row, " |\n")
	for _, kind := range bundled() {
		if !strings.Contains(row, "`"+kind.Type+"`") {
			t.Errorf("docs/jobs.md does not say what %s is: %s", kind.Type, row)
		}
	}
}
