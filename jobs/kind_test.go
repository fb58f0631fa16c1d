package jobs

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/fault"
	"kpm/jobs/task"
	"kpm/settings"
)

// compareKind is what one more kind of task is: a file with its fields, what
// compiling them refuses, and what the task does; and one row of the table.
func compareKind() task.Kind {
	return task.Kind{Type: "Compare", Compile: func(s *task.Source) task.Task {
		var f struct {
			Left  string `json:"left"`
			Right string `json:"right"`
		}
		if !s.Decode(&f) {
			return nil
		}
		s.Expect(f.Left != "", "left", fault.Quote(f.Left), "what is compared")
		return compare{settings.ParseTemplate(f.Left), settings.ParseTemplate(f.Right)}
	}}
}

type compare struct{ left, right settings.Template }

var errDiffer = errors.New("they differ")

func (t compare) Run(_ context.Context, r task.Run) (map[string]any, error) {
	left, err := t.left.Expand(r.Value)
	if err != nil {
		return nil, err
	}
	right, err := t.right.Expand(r.Value)
	if err != nil {
		return nil, err
	}
	found := map[string]any{"Compared": left + " and " + right, "ComparedBy": r.Principal().Name}
	if left != right {
		return found, errDiffer
	}
	return found, nil
}

// Routes, time, context and faults are the same for every kind; nothing but the
// table knows how many there are.
func TestASeventhTaskKindIsOneRow(t *testing.T) {
	h := newHarness(t, map[string]string{
		"j": jobJSON("j", strings.Join([]string{
			`{"id": "same", "executionType": "compare", "left": "{Asker}", "right": "{Owner}", "MergeStdoutJsonIntoContext": true, "OnFailure": "other"}`,
			`{"id": "skipped", "executionType": "Compare", "left": "x", "OnFailure": "stop"}`,
			`{"id": "other", "command": "see", "arguments": "{Compared} {ComparedBy}"}`,
		}, ", ")),
		"broken": jobJSON("broken", `{"id": "a", "executionType": "Compare", "right": "x"}`),
		"typed":  jobJSON("typed", `{"id": "a", "executionType": "Compare", "left": 5}`),
		"eighth": jobJSON("eighth", `{"id": "a", "executionType": "Contrast"}`),
	})
	var seen []string
	h.commands["see"] = func(_ context.Context, _ core.Principal, params map[string]any) (map[string]any, error) {
		seen, _ = params["arguments"].([]string)
		return nil, nil
	}
	h.more = task.Kinds{compareKind()}
	h.reload()

	if err := h.runNow("j", map[string]any{"Asker": "ann", "Owner": "bob"}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"ann and bob", "j"}; !slices.Equal(seen, want) {
		t.Errorf("after the failure route: %q, want %q", seen, want)
	}
	if err := h.runNow("j", map[string]any{"Asker": "ann", "Owner": "ann"}); !errors.Is(err, errDiffer) || !strings.Contains(err.Error(), "task skipped: they differ") {
		t.Errorf("the second comparison: %v", err)
	}
	for id, want := range map[string]string{
		"broken": "tasks[0].left is missing, expected what is compared",
		"typed":  "tasks[0].left is a number, expected text",
		"eighth": `tasks[0].ExecutionType is "Contrast", expected Service, Http, User, UserDesktop, UserElevated or Compare`,
	} {
		if detail := h.held().broken[id].Detail; !strings.Contains(detail, want) {
			t.Errorf("%s: %s\nwant ... %s", id, detail, want)
		}
	}
}
