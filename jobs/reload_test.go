package jobs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kpm/core/wire"
)

// A reload is in force for what starts afterwards, and a file that has become
// broken leaves its job as it was.
func TestReload(t *testing.T) {
	h := newHarness(t, map[string]string{
		"same":   jobJSON("same", stepJSON("a", "echo"), onEvent("E")),
		"edited": jobJSON("edited", stepJSON("a", "echo"), onEvent("E")),
		"spoilt": jobJSON("spoilt", stepJSON("a", "echo"), onEvent("E")),
		"broken": `{"id": "broken"`,
		"gone":   jobJSON("gone", stepJSON("a", "echo"), onEvent("E")),
	})
	at := func(id string) string { return filepath.Join(h.cfg.Layout.Jobs(), id+".json") }
	for id, text := range map[string]string{
		"edited": jobJSON("edited", stepJSON("a", "echo"), onEvent("F")),
		"spoilt": `{"id": "spoilt",`,
		"broken": jobJSON("broken", stepJSON("a", "echo"), onEvent("E")),
		"new":    jobJSON("new", stepJSON("a", "echo"), onEvent("F")),
	} {
		if err := os.WriteFile(at(id), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(at("gone")); err != nil {
		t.Fatal(err)
	}
	if changed, err := h.Reload(); err != nil || !slices.Equal(changed, []string{"broken", "edited", "gone", "new", "spoilt"}) {
		t.Errorf("changed: %q, %v", changed, err)
	}
	h.Trigger(event("E", nil))
	h.Trigger(event("F", nil))
	var ran []string
	for i := range 5 {
		ran = append(ran, h.end(i).run.Name)
	}
	slices.Sort(ran)
	if !slices.Equal(ran, []string{"broken", "edited", "new", "same", "spoilt"}) {
		t.Errorf("ran %q", ran)
	}
	for _, j := range h.List() {
		if (j.ID == "spoilt") != strings.Contains(j.Detail, "the file has become broken and the job is as it was before: ") || !j.Enabled {
			t.Errorf("%+v", j)
		}
	}
	if changed, err := h.Reload(); err != nil || len(changed) != 0 {
		t.Errorf("again: %q, %v", changed, err)
	}
}

// Whoever waits for a job can ask beforehand whether it would come.
func TestUnhandled(t *testing.T) {
	launch := func(fields ...string) string {
		return jobJSON("LaunchPrivilegeElevation", stepJSON("a", "echo"), fields...)
	}
	const onLaunch = `"events": [{"eventType": "Custom", "customEvent": "LaunchPrivilegeElevation"}]`
	for name, tc := range map[string]struct {
		file, says string
		broken     bool
	}{
		"sound":         {launch(onLaunch), "", false},
		"another event": {launch(onEvent("E")), "job LaunchPrivilegeElevation does not name the event LaunchPrivilegeElevation", false},
		"off":           {strings.Replace(launch(onLaunch), `"enabled": true`, `"enabled": false`, 1), "job LaunchPrivilegeElevation does not run: ", false},
		"broken":        {`{`, "job LaunchPrivilegeElevation: ", true},
		"missing":       {"", "job LaunchPrivilegeElevation is not installed: there is no Jobs/LaunchPrivilegeElevation.json", false},
	} {
		files := map[string]string{"other": jobJSON("other", stepJSON("a", "echo"))}
		if tc.file != "" {
			files["LaunchPrivilegeElevation"] = tc.file
		}
		h := newHarness(t, files)
		why, broken := h.Unhandled(wire.EventLaunch, wire.EventLaunch)
		if !strings.HasPrefix(why, tc.says) || (why == "") != (tc.says == "") || broken != tc.broken {
			t.Errorf("%s: %q, %v", name, why, broken)
		}
	}
}
