package keeperpolicy

import (
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/policy"
	"kpm/core/wire"
	"kpm/plugins/sdk/sdktest"
)

// What is done while the plugin is being connected: whoever asks first is decided about
// by the policies, and the setting, that there were. Memory counts after that.
func TestWhatIsDoneAhead(t *testing.T) {
	bus := sdktest.New(t)
	bus.Set(wire.PolicyPlugin, map[string]string{enforceSetting: "true"})
	answers := bus.Listen("Replies/#")
	spares := make(chan struct{}, 8)
	cfg := Config{
		Root: agentRoot(t, map[string]string{"a.json": policyJSON("a", "ALLOW", "/usr/bin/id")}), Open: openAny,
		Sparing: func() { spares <- struct{}{} },
	}
	cfg.Ahead = Begin(cfg)
	runWith(t, bus, cfg)
	select {
	case <-spares:
		t.Error("memory counts before anybody has asked")
	default:
	}
	q := ask(t, "/usr/bin/env") // which no policy allows, so that the setting decides
	q.Payload = []byte(strings.Replace(string(q.Payload), `"IsAdministrator":false`, `"IsAdministrator":true`, 1))
	if got := decided(t, bus, answers, q); got.Decision != core.Deny {
		t.Errorf("an administrator: %+v", got)
	}
	if got := decided(t, bus, answers, ask(t, "/usr/bin/id")); got.Decision != core.Allow {
		t.Errorf("a user: %+v", got)
	}
	<-spares
}

// Many policies are read as sparingly as ever, and by more than one processor.
func TestManyPoliciesAreReadSparingly(t *testing.T) {
	one := policyJSON("a", "ALLOW", "/usr/bin/id")
	many := strings.TrimSuffix(strings.Repeat(one+",", manyBytes/len(one)+1), ",")
	for name, text := range map[string]string{"few": one, "many": "[" + many + "]"} {
		spared, wide := 0, []bool(nil)
		cfg := Config{
			Root: agentRoot(t, map[string]string{"a.json": text, "b.json": text}), Open: openAny,
			Sparing: func() { spared++ }, Wide: func(many bool) { wide = append(wide, many) },
		}
		e := &engine{cfg: cfg, log: slog.New(slog.DiscardHandler), now: time.Now, around: newSurroundings()}
		e.load(false)
		if want := name == "many"; want != (spared == 1) || want != slices.Equal(wide, []bool{true, false}) || !want && wide != nil {
			t.Errorf("%s: sparing %d times, wide %v", name, spared, wide)
		}
	}
}

// vast is a folder of files that hold no policies, and more bytes than may be read.
type vast struct{ read *atomic.Int32 }

func (vast) Names() (names []string, err error) {
	for i := range 2 * maxBytes / policy.MaxFile {
		names = append(names, fmt.Sprint(i, ".json"))
	}
	return names, nil
}

func (v vast) Read(string, int64) ([]byte, error) {
	v.read.Add(1)
	return append([]byte("[]"), bytes.Repeat([]byte(" "), policy.MaxFile-2)...), nil
}

func (vast) Close() error { return nil }

// Whoever reads ahead stops when it is too much, which is said once.
func TestMorePoliciesThanMayBeRead(t *testing.T) {
	var read atomic.Int32
	r := newReading(Config{})
	r.read(Config{Open: func(path string) (Folder, error) {
		if filepath.Base(path) == syncedFolder {
			return nil, fs.ErrNotExist
		}
		return vast{&read}, nil
	}})
	if len(r.findings) != 1 || !strings.HasPrefix(r.findings[0].Expected, "at most ") || !r.unusable {
		t.Errorf("unusable %t, %v", r.unusable, r.findings)
	}
	if n, most := read.Load(), int32(maxBytes/policy.MaxFile+3); n > most {
		t.Errorf("%d files are read, expected at most %d", n, most)
	}
}
