package plugins

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/core/signal"
	"kpm/core/view"
	"kpm/settings"
)

func TestStartFollowsPriorityAndWaitsForHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f := newTest(t, map[string]string{
			"KeeperPolicy": manifest("KeeperPolicy", supervised, `"startupPriority": 20`),
			"KeeperLogger": manifest("KeeperLogger", supervised, `"startupPriority": 10`),
			"A":            manifest("A", supervised, `"startupPriority": 60`),
			"B":            manifest("B", supervised, `"startupPriority": 60`),
			"Last":         manifest("Last", supervised),
			"OnDemand":     manifest("OnDemand", `"startupPriority": 1`),
			"Off":          manifest("Off", supervised, `"enabled": false`),
		})
		f.born = func(s core.ServiceSpec, p *fakeProcess) {
			// The logger takes 30 ms to become ready, the others 10 ms, and
			// A never speaks to the broker at all.
			switch s.As.Name {
			case "A":
			case "KeeperLogger":
				time.AfterFunc(30*time.Millisecond, func() { f.ready(s.As) })
			default:
				time.AfterFunc(10*time.Millisecond, func() { f.ready(s.As) })
			}
		}
		if err := o.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		got := f.starts()
		slices.Sort(got[2:4]) // A and B start together
		want := []string{"KeeperLogger@0s", "KeeperPolicy@30ms", "A@40ms", "B@40ms", "Last@3.04s"}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if s := status(t, o, "A"); s.Status != view.Unhealthy || !strings.Contains(s.Detail, "has not subscribed to its topic A within 3s") {
			t.Errorf("A: %+v", s)
		}
		if s := status(t, o, "OnDemand"); s.Status != view.Stopped || !s.LastStartTime.IsZero() {
			t.Errorf("OnDemand: %+v", s)
		}
		if s := status(t, o, "Off"); s.Status != view.Stopped || s.Detail != "its file says enabled: false" {
			t.Errorf("Off: %+v", s)
		}
		stopAll(t, o)
	})
}

// TestTheDeciderWaitsForNobodyLong: plugins that are never ready keep everybody
// from nothing but their own successors.
func TestTheDeciderWaitsForNobodyLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f := newTest(t, map[string]string{
			"Decides": manifest("Decides", supervised, `"startupPriority": 20`),
			"First":   manifest("First", supervised, `"startupPriority": 1`),
			"Next":    manifest("Next", supervised, `"startupPriority": 2`),
		})
		o.cfg.Decider = "Decides"
		f.born = func(s core.ServiceSpec, p *fakeProcess) {
			if s.As.Name == "Decides" {
				time.AfterFunc(10*time.Millisecond, func() { f.ready(s.As) })
			}
		}
		if err := o.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got, want := f.starts(), []string{"First@0s", "Decides@1s"}; len(got) != 3 || !slices.Equal(got[:2], want) {
			t.Errorf("got %v, want %v first", got, want)
		}
		stopAll(t, o)
	})
}

func TestWhatAPluginIsStartedWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f := newTest(t, map[string]string{
			"A": manifest("A", supervised, `"arguments": "--api={KeeperApiBaseUrl} '{pluginroot}/a b'"`),
		})
		if err := o.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		spec, l := f.specs[0], o.cfg.Layout
		program := filepath.Join(l.Plugins(), "bin/A/A")
		if want := []string{program, "--api=https://127.0.0.1:6889", l.Plugins() + "/a b"}; spec.Path != program || !slices.Equal(spec.Argv, want) {
			t.Errorf("got %s %q, want %q", spec.Path, spec.Argv, want)
		}
		if want := l.Environment([]string{"PATH=" + core.Linux.PathVariable()}, "https://127.0.0.1:6889"); !slices.Equal(spec.Env, want) {
			t.Errorf("got environment %q, want %q", spec.Env, want)
		}
		if want := (core.Principal{Kind: core.Plugin, Name: "A"}); spec.As != want || spec.Dir != l.Root() || spec.Stdin != nil {
			t.Errorf("got %+v", spec)
		}
		stopAll(t, o)
	})
}

func TestTheProgramUnderTheRootComesBeforeTheOneUnderPlugins(t *testing.T) {
	layout := settings.At(t.TempDir(), "")
	under := func(parts ...string) string { return filepath.Join(append([]string{layout.Root()}, parts...)...) }
	writeFile(t, under("Plugins", "bin", "A"), "")
	for _, tc := range []struct {
		written, want string
	}{
		{"bin/A", under("Plugins", "bin", "A")},
		{"{pluginroot}/bin/A", under("Plugins", "bin", "A")},
		{under("Plugins", "bin", "A"), under("Plugins", "bin", "A")},
		{"Plugins/bin/A", under("Plugins", "bin", "A")},
	} {
		if got, err := resolve(layout, "", settings.ParseTemplate(tc.written)); err != nil || got != tc.want {
			t.Errorf("%s: got %s, %v; want %s", tc.written, got, err, tc.want)
		}
	}
	writeFile(t, under("bin", "A"), "")
	if got, err := resolve(layout, "", settings.ParseTemplate("bin/A")); err != nil || got != under("bin", "A") {
		t.Errorf("got %s, %v; want the one under the root", got, err)
	}
	writeFile(t, under("bin", "B.exe"), "")
	for _, written := range []string{"bin/B", "bin/B.exe"} {
		if got, err := resolve(layout, ".exe", settings.ParseTemplate(written)); err != nil || got != under("bin", "B.exe") {
			t.Errorf("%s on Windows: got %s, %v", written, got, err)
		}
	}
	if _, err := resolve(layout, "", settings.ParseTemplate("bin")); err == nil {
		t.Error("a directory is a program")
	}
}

// A plugin of another system lacks nothing here: its program is not looked for.
func TestAPluginOfAnotherSystemLacksNoProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, _ := newTest(t, map[string]string{
			"Here":  `{"id": "Here", "pluginType": "Executable", "executablePath": "bin/none", "supportedPlatforms": ["Linux"], "metadata": {"mqttTopics": {"publish": [], "subscribe": []}}}`,
			"There": `{"id": "There", "pluginType": "Executable", "executablePath": "bin/none.exe", "supportedPlatforms": ["Windows"], "metadata": {"mqttTopics": {"publish": [], "subscribe": []}}}`,
		})
		if err := o.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		for id, lacks := range map[string]bool{"Here": true, "There": false} {
			if i, ok := o.Inspect(id); !ok || i.Fault != "" || (i.ProgramFault != "") != lacks {
				t.Errorf("%s: %+v", id, i)
			}
		}
		stopAll(t, o)
	})
}

func TestBrokenFilesDisableOnlyThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f := newTest(t, map[string]string{
			"Broken":                 `{"id": "Broken",}`,
			"Wrong":                  manifest("Right", supervised),
			"Good":                   manifest("Good", supervised),
			"KeeperPrivilegeManager": manifest("KeeperPrivilegeManager", supervised, `"metadata.x": {}, "broker.host": "203.0.113.1"`),
			"RedirectEvaluator":      `{"id": "RedirectEvaluator", "metadata": {"redirect": {"enabled": true}}}`,
		})
		if err := o.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for id, want := range map[string]string{
			"Broken":                 `Broken.json:1: the file is not JSON (invalid character '}' looking for beginning of object key string), expected a JSON object; remove the comma before the "}"`,
			"Wrong":                  `id is "Right", expected the file's name`,
			"KeeperPrivilegeManager": "expected a name that is not the service's",
			"RedirectEvaluator":      "pluginType is missing",
		} {
			s := status(t, o, id)
			if s.Status != view.Failed || !strings.Contains(s.Detail, want) {
				t.Errorf("%s: got %+v, want ... %s", id, s, want)
			}
			if err := o.StartPlugin(context.Background(), id); !errors.Is(err, ErrDisabled) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: started by hand: %v", id, err)
			}
		}
		if s := status(t, o, "Good"); s.Status != view.Healthy {
			t.Errorf("Good: %+v", s)
		}
		if got := f.starts(); len(got) != 1 {
			t.Errorf("started %v", got)
		}
		// A file that is no manifest still gives its settings; one that takes
		// the service's name gives none.
		if got, _ := o.cfg.Effective.Get("RedirectEvaluator", "metadata.redirect.enabled"); got != "true" {
			t.Errorf("redirect is %q", got)
		}
		if got, _ := o.cfg.Effective.Get(settings.AgentWide, "broker.host"); got != "127.0.0.1" {
			t.Errorf("broker.host is %q", got)
		}
		stopAll(t, o)
	})
}

func TestOnePluginPerIDAndPerPrimaryTopic(t *testing.T) {
	o, _ := newTest(t, map[string]string{
		"KeeperAPI": manifest("KeeperAPI"),
		"KeeperApi": manifest("KeeperApi"),
		"Zed":       strings.Replace(manifest("Zed"), `"Topic": "Zed"`, `"Topic": "KeeperAPI"`, 1),
		"Aaa":       strings.Replace(manifest("Aaa"), `"Topic": "Aaa"`, `"Topic": "KeeperAPI"`, 1),
		"First":     strings.Replace(manifest("First"), `"Topic": "First"`, `"Topic": "Shared"`, 1),
		"Second":    strings.Replace(manifest("Second"), `"Topic": "Second"`, `"Topic": "Shared"`, 1),
	})
	var ids []string
	for _, s := range o.List() {
		ids = append(ids, s.ID+" "+string(s.Status))
	}
	if want := []string{"Aaa Failed", "First Stopped", "KeeperAPI Stopped", "Second Failed", "Zed Failed"}; !slices.Equal(ids, want) {
		t.Errorf("got %v, want %v", ids, want)
	}
	if s := status(t, o, "Zed"); !strings.Contains(s.Detail, `Subscription.Topic is "KeeperAPI", which is the primary topic of KeeperAPI`) {
		t.Errorf("Zed: %+v", s)
	}
	if !o.Has("keeperapi") || o.Has("Nobody") {
		t.Error("ids are not found in any letter case")
	}
}

func TestTopics(t *testing.T) {
	o, _ := newTest(t, map[string]string{"A": manifest("A"), "Off": manifest("Off", `"enabled": false`), "Broken": `{`})
	publish, subscribe := o.Topics("a")
	if !slices.Equal(publish, []string{"KeeperLogger"}) || !slices.Equal(subscribe, []string{"A", "A/Commands/+"}) {
		t.Errorf("got %v, %v", publish, subscribe)
	}
	for _, id := range []string{"Off", "Broken", "Nobody"} {
		if publish, subscribe := o.Topics(id); publish != nil || subscribe != nil {
			t.Errorf("%s may use %v, %v", id, publish, subscribe)
		}
	}
}

func TestHealthyNamesWhatIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f := newTest(t, map[string]string{
			"Good": manifest("Good", supervised), "Slow": manifest("Slow", supervised), "Refused": manifest("Refused", supervised),
		})
		f.fail = map[string]error{"Refused": core.ErrNotProtected}
		f.born = func(s core.ServiceSpec, p *fakeProcess) {
			if s.As.Name == "Good" {
				f.ready(s.As)
			}
		}
		if err := o.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		err := o.Healthy(ctx)
		if err == nil || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "Refused is Failed: not protected") || !strings.Contains(err.Error(), "Slow is Starting") || strings.Contains(err.Error(), "Good") {
			t.Errorf("while one is slow: %v", err)
		}
		f.ready(core.Principal{Kind: core.Plugin, Name: "Slow"})
		// Only one that has Failed is left: nothing to wait for.
		if err := o.Healthy(context.Background()); err == nil || strings.Contains(err.Error(), "Slow") {
			t.Errorf("when the slow one is ready: %v", err)
		}
		stopAll(t, o)
	})
}

func TestOthersCannotMakeAPluginHealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f := newTest(t, map[string]string{"A": manifest("A", supervised)})
		f.born = func(core.ServiceSpec, *fakeProcess) {}
		if err := o.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, p := range []core.Principal{
			{Kind: core.JobRun, Name: "A"}, {Kind: core.User, Name: "A"}, {Kind: core.Plugin, Name: "B"}, {},
		} {
			o.Connected(p)
			o.Subscribed(p, "A")
			o.Disconnected(p)
		}
		o.Subscribed(core.Principal{Kind: core.Plugin, Name: "A"}, "A/Commands/+")
		if s := status(t, o, "A"); s.Status != view.Starting {
			t.Errorf("got %+v", s)
		}
		stopAll(t, o)
	})
}

func TestManualControl(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f := newTest(t, map[string]string{"A": manifest("A"), "Off": manifest("Off", `"enabled": false`)})
		ctx := context.Background()
		for _, tc := range []struct {
			name string
			do   func() error
			want error
			then view.PluginState
		}{
			{"stop what does not run", func() error { return o.StopPlugin(ctx, "A") }, nil, view.Stopped},
			{"start", func() error { return o.StartPlugin(ctx, "a") }, nil, view.Healthy},
			{"start again", func() error { return o.StartPlugin(ctx, "A") }, ErrRunning, view.Healthy},
			{"restart", func() error { return o.RestartPlugin(ctx, "A") }, nil, view.Healthy},
			{"stop", func() error { return o.StopPlugin(ctx, "A") }, nil, view.Stopped},
			{"restart what does not run", func() error { return o.RestartPlugin(ctx, "A") }, nil, view.Healthy},
			{"start nobody", func() error { return o.StartPlugin(ctx, "Nobody") }, ErrUnknown, view.Healthy},
			{"stop nobody", func() error { return o.StopPlugin(ctx, "Nobody") }, ErrUnknown, view.Healthy},
			{"start a disabled one", func() error { return o.StartPlugin(ctx, "Off") }, ErrDisabled, view.Healthy},
			{"stop all", func() error { return o.Stop(ctx) }, nil, view.Stopped},
			{"start after that", func() error { return o.StartPlugin(ctx, "A") }, ErrClosed, view.Stopped},
		} {
			if err := tc.do(); !errors.Is(err, tc.want) || tc.want == nil && err != nil {
				t.Errorf("%s: got %v, want %v", tc.name, err, tc.want)
			}
			if s := status(t, o, "A"); s.Status != tc.then {
				t.Errorf("%s: then %+v, want %s", tc.name, s, tc.then)
			}
			if h, err := o.Health("A"); tc.name == "stop" && (err != nil || h.LastExit != "it was stopped") {
				t.Errorf("%s: it ended because %q, %v", tc.name, h.LastExit, err)
			}
		}
		if got := len(f.starts()); got != 3 {
			t.Errorf("%d processes were started, want 3", got)
		}
	})
}

func TestStopGoesBackwardsAndAsksFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f := newTest(t, map[string]string{
			"Logger": manifest("Logger", supervised, `"startupPriority": 10`),
			"Deaf":   manifest("Deaf", supervised, `"startupPriority": 20`),
		})
		var order []string
		o.cfg.Exited = func(p core.Principal) { order = append(order, p.Name) }
		f.born = func(s core.ServiceSpec, p *fakeProcess) {
			p.deaf = s.As.Name == "Deaf"
			f.ready(s.As)
		}
		if err := o.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		begun := time.Now()
		stopAll(t, o)
		if took := time.Since(begun); took != stopGrace {
			t.Errorf("took %v, want the grace of the deaf one, %v", took, stopGrace)
		}
		if want := []string{"Deaf", "Logger"}; !slices.Equal(order, want) {
			t.Errorf("ended in the order %v, want %v", order, want)
		}
		for i, wantKilled := range []bool{false, true} {
			p := f.process(i)
			if !slices.Equal(p.signals, []signal.Signal{signal.Terminate}) || (p.status.Signal == 9) != wantKilled {
				t.Errorf("process %d: signals %v, ended by %d", i, p.signals, p.status.Signal)
			}
		}
		for _, id := range []string{"Logger", "Deaf"} {
			if s := status(t, o, id); s.Status != view.Stopped || s.ProcessID != 0 || s.Detail != "" {
				t.Errorf("%+v", s)
			}
		}
	})
}

func TestStopInAHurryKills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f := newTest(t, map[string]string{
			"First":  manifest("First", supervised, `"startupPriority": 10`),
			"Second": manifest("Second", supervised, `"startupPriority": 20`),
		})
		f.born = func(s core.ServiceSpec, p *fakeProcess) {
			p.deaf = true
			f.ready(s.As)
		}
		if err := o.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		begun := time.Now()
		err := o.Stop(ctx)
		if took := time.Since(begun); took != time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("returned after %v with %v", took, err)
		}
		for i := range 2 {
			if got := f.process(i).status.Signal; got != 9 {
				t.Errorf("process %d ended by signal %d", i, got)
			}
		}
	})
}
