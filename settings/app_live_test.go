package settings

import (
	"log/slog"
	"slices"
	"testing"
	"time"
)

func parsed(t *testing.T, text string) App {
	t.Helper()
	doc, err := ParseDocument("appsettings.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	a, err := ParseApp(doc)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// What can change live does, and what cannot waits, however often it is read.
func TestReloadedSettings(t *testing.T) {
	a := parsed(t, `{"Settings": {"KestrelHttpPort": 7000}, "PluginMonitoring": {"BreakerLimit": 3}, "Requests": {"MaxOpen": 10}}`)
	b := parsed(t, `{"Settings": {"KestrelHttpPort": 7001, "system.logging.level": "Debug"}, "PluginMonitoring": {"MaxBackoffSeconds": 7, "PolicyProbeSeconds": 70},
		"Requests": {"EvaluateSeconds": 9, "PromptSeconds": 8, "LaunchSeconds": 7, "MaxOpen": 10}}`)
	now, changed, waiting := a.Reload(b)
	wantChanged := []string{
		"Settings:system.logging.level", "PluginMonitoring:BreakerLimit", "PluginMonitoring:MaxBackoffSeconds",
		"Requests:EvaluateSeconds", "Requests:PromptSeconds", "Requests:LaunchSeconds",
	}
	wantWaiting := []string{"Settings:KestrelHttpPort", "PluginMonitoring:PolicyProbeSeconds"}
	if !slices.Equal(changed, wantChanged) || !slices.Equal(waiting, wantWaiting) {
		t.Errorf("changed %q\nwaiting %q", changed, waiting)
	}
	if now.LogLevel != slog.LevelDebug || now.HTTPPort != 7000 || now.Monitoring != (Monitoring{10 * time.Second, 5, 10 * time.Second, 7 * time.Second, 5 * time.Minute}) ||
		now.Requests != (Requests{9 * time.Second, 8 * time.Second, 7 * time.Second, 10, 32, false, 4096, 1024}) {
		t.Errorf("in force: %+v", now)
	}
	again, changed, waiting := now.Reload(b)
	if len(changed) != 0 || !slices.Equal(waiting, wantWaiting) || again.LogLevel != slog.LevelDebug {
		t.Errorf("read again: changed %q, waiting %q", changed, waiting)
	}
	if _, changed, waiting := now.Reload(a); !slices.Equal(changed, wantChanged) || len(waiting) != 0 {
		t.Errorf("read as it was: changed %q, waiting %q", changed, waiting)
	}
	if _, changed, waiting := Default().Reload(Default()); len(changed)+len(waiting) != 0 {
		t.Errorf("without files: changed %q, waiting %q", changed, waiting)
	}
}
