//go:build windows

package windows

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The Scheduler takes what it is told, keeps it, replaces and forgets it, and nothing
// is left of what it was told by.
func TestAlarms(t *testing.T) {
	alarms := Alarms{Folder: folder(t)}
	kept := filepath.Join(systemDirectory(), "Tasks", taskPrefix+"T1")
	argv := []string{`C:\Program Files\a & b\none.exe`, "rights", `a"b`}
	must(t, alarms.Clear(t.Context(), "T1")) // there is none
	for _, in := range []time.Duration{time.Hour, 2 * time.Hour} {
		must(t, alarms.Set(t.Context(), "T1", in, argv))
		text, err := os.ReadFile(kept)
		must(t, err)
		said := strings.ReplaceAll(string(text), "\x00", "")
		for _, want := range []string{taskAbout, "<StartWhenAvailable>true<", "S-1-5-18", "<EndBoundary>", `a &amp; b\none.exe`, "PT0S"} {
			if wine() && (want[0] != '<' && want != taskAbout || want == "<EndBoundary>") {
				continue // Wine's Scheduler reads past whom, when and what
			}
			if !strings.Contains(said, want) {
				t.Errorf("the Scheduler has not kept %q: %q", want, said)
			}
		}
	}
	must(t, alarms.Clear(t.Context(), "T1"))
	if _, err := os.Stat(kept); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after it was cleared: %v", err)
	}
	if left, err := os.ReadDir(alarms.Folder); err != nil || len(left) > 0 {
		t.Errorf("%v and %v are left", left, err)
	}
	for _, name := range []string{`..\x`, "/F", "*"} {
		if err := alarms.Set(t.Context(), name, time.Hour, argv); err == nil || alarms.Clear(t.Context(), name) == nil {
			t.Errorf("%q is the name of an alarm", name)
		}
	}
	// What the Scheduler refuses is an error that says which program has said what.
	if err := runTool(t.Context(), []string{schtasks(), "/Create", "/TN", "x", "/XML", filepath.Join(alarms.Folder, "none"), "/F"}); err == nil || !strings.Contains(err.Error(), "schtasks.exe ended with") {
		t.Errorf("a definition that is not there: %v", err)
	}
}

// It runs what it is told, at its time, also though nobody who set it is there any more.
func TestAnAlarmGoesOff(t *testing.T) {
	if wine() {
		t.Log("not shown here: the Task Scheduler runs nothing")
		return
	}
	alarms := Alarms{Folder: folder(t)}
	made := filepath.Join(alarms.Folder, "gone off")
	must(t, alarms.Set(t.Context(), "T2", 2*time.Second, []string{system("cmd.exe"), "/d", "/c", "mkdir", made}))
	for until := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if _, err := os.Stat(made); err == nil {
			break
		}
		if time.Now().After(until) {
			t.Error("it has not gone off")
			break
		}
	}
	must(t, alarms.Clear(t.Context(), "T2"))
}
