package sdk_test

import (
	"errors"
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kpm/core/wire"
	"kpm/plugins/sdk"
	"kpm/plugins/sdk/sdktest"
)

func nextEntry(t *testing.T, bus *sdktest.Bus, messages <-chan sdk.Message) (wire.LogEntry, wire.RequestMessage) {
	t.Helper()
	m, err := bus.Next(messages).Decode()
	if err != nil {
		t.Fatal(err)
	}
	var entry wire.LogEntry
	if err := m.Read(wire.TypeLog, &entry); err != nil {
		t.Fatal(err)
	}
	return entry, m
}

func TestLogRecordsReachKeeperLogger(t *testing.T) {
	bus := sdktest.New(t)
	messages := bus.Listen(wire.TopicLogger)
	a, err := sdk.Start(t.Context(), sdk.Config{ID: "MyBridge", Network: bus.Network(), LogLevel: slog.LevelDebug - 4})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	before := time.Now()
	log := a.Logger().With("request", "R1").WithGroup("file").With("size", 3).WithGroup("")
	log.Warn("changed", "path", "/x", slog.Group("who", "uid", 7, slog.Group("", "name", "alice")), "took", 1500*time.Millisecond,
		"ratio", math.Inf(1), "err", errors.New("no"), "at", time.Unix(0, 0), "list", []string{"a"}, "bad", "\xff")
	entry, m := nextEntry(t, bus, messages)
	want := wire.LogEntry{Level: "Warning", Message: "changed", Fields: map[string]any{
		"request": "R1", "file.size": 3.0, "file.path": "/x", "file.who.uid": 7.0, "file.who.name": "alice", "file.took": "1.5s",
		"file.ratio": "+Inf", "file.err": "no", "file.at": "1970-01-01T00:00:00Z", "file.list": []any{"a"}, "file.bad": "\ufffd",
	}}
	if diff := cmp.Diff(want, entry); diff != "" {
		t.Error(diff)
	}
	if m.Source != "MyBridge" || m.Timestamp.Before(before.Truncate(time.Second)) || m.Timestamp.After(time.Now()) {
		t.Errorf("source %s, timestamp %s", m.Source, m.Timestamp)
	}
	for _, tc := range []struct {
		level slog.Level
		want  string
	}{
		{slog.LevelDebug - 4, "Trace"}, {slog.LevelDebug, "Debug"}, {slog.LevelInfo, "Information"},
		{slog.LevelWarn, "Warning"}, {slog.LevelError, "Error"}, {slog.LevelError + 4, "Critical"},
	} {
		a.Logger().Log(t.Context(), tc.level, "x")
		if entry, _ := nextEntry(t, bus, messages); entry.Level != tc.want {
			t.Errorf("%v: got %s", tc.level, entry.Level)
		}
	}
}

func TestLogLevelIsInfoUnlessSaid(t *testing.T) {
	bus := sdktest.New(t)
	messages := bus.Listen(wire.TopicLogger)
	a := start(t, bus)
	defer a.Close()
	a.Logger().Debug("quiet")
	a.Logger().Info("heard")
	if entry, _ := nextEntry(t, bus, messages); entry.Message != "heard" {
		t.Errorf("got %v", entry)
	}
}

// Logging never blocks, whatever happens to the broker, and says what it lost.
func TestLogSurvivesAMissingBroker(t *testing.T) {
	bus := sdktest.New(t)
	a := start(t, bus)
	bus.Stop()
	const many = 2000 // more than the queue holds
	flood := func() {
		for range many {
			a.Logger().Info("while away")
		}
	}
	flood()
	bus.Restart()
	messages := bus.Listen(wire.TopicLogger)
	flood() // should it have sent the count before anyone listened
	kept, lost := 0, 0.0
	for lost == 0 {
		entry, _ := nextEntry(t, bus, messages)
		if entry.Message == "while away" {
			kept++
		} else {
			lost = entry.Fields["records"].(float64)
		}
	}
	// Records written into the old connection as it died are gone without a
	// trace; there is no QoS that would say so.
	if kept == 0 || kept+int(lost) > 2*many {
		t.Errorf("kept %d, lost %v", kept, lost)
	}
	a.Close()
}

func TestCloseSendsTheLog(t *testing.T) {
	bus := sdktest.New(t)
	messages := bus.Listen(wire.TopicLogger)
	a := start(t, bus)
	a.Logger().Info("last words")
	a.Close()
	if entry, _ := nextEntry(t, bus, messages); entry.Message != "last words" {
		t.Errorf("got %v", entry)
	}
}
