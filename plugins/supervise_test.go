package plugins

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/core/view"
	"kpm/settings"
)

func TestAPluginThatCannotRunIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f := newTest(t, map[string]string{"A": manifest("A", supervised)})
		exits := 0
		o.cfg.Exited = func(core.Principal) { exits++ }
		f.born = func(s core.ServiceSpec, p *fakeProcess) {
			fmt.Fprintf(s.Stderr, "cannot open \x1b[31mdatabase\n%s\n", strings.Repeat("x", 100))
			p.end(core.ExitStatus{Code: 3})
		}
		if err := o.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		want := []string{"A@0s", "A@0s", "A@100ms", "A@300ms", "A@700ms", "A@1.5s"}
		if got := f.starts(); !slices.Equal(got, want) {
			t.Errorf("started %v, want %v", got, want)
		}
		s := status(t, o, "A")
		for _, part := range []string{"given up after 5 restarts within 10s", "it exited with status 3", "cannot open \ufffd[31mdatabase", "KeeperAdminCLI plugins start A"} {
			if s.Status != view.Failed || !strings.Contains(s.Detail, part) {
				t.Errorf("got %+v, want Failed with %q", s, part)
			}
		}
		if restartsOf(o, "A") != 5 || s.ProcessID != 0 || exits != 6 {
			t.Errorf("got %+v, %d exits heard of", s, exits)
		}

		// A person fixed it: starting it clears the breaker.
		f.born = nil
		if err := o.StartPlugin(context.Background(), "A"); err != nil {
			t.Fatal(err)
		}
		if s := status(t, o, "A"); s.Status != view.Healthy || restartsOf(o, "A") != 0 || s.Detail != "" {
			t.Errorf("after a start by hand: %+v", s)
		}
		stopAll(t, o)
	})
}

func TestTheFirstRestartIsImmediate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f := newTest(t, map[string]string{"A": manifest("A", supervised)})
		var heard []string
		o.cfg.Exited = func(p core.Principal) {
			heard = append(heard, fmt.Sprint(p.Name, " after ", len(f.starts()), " starts"))
		}
		if err := o.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		f.process(0).end(core.ExitStatus{Signal: 9})
		synctest.Wait()
		if got, want := f.starts(), []string{"A@0s", "A@1h0m0s"}; !slices.Equal(got, want) {
			t.Errorf("started %v, want %v", got, want)
		}
		if s := status(t, o, "A"); s.Status != view.Healthy || restartsOf(o, "A") != 1 || s.ProcessID != 101 || !s.LastStartTime.Equal(time.Now()) {
			t.Errorf("got %+v", s)
		}
		// Whoever needs the plugin hears before it is started again.
		if want := []string{"A after 1 starts"}; !slices.Equal(heard, want) {
			t.Errorf("heard %v, want %v", heard, want)
		}
		// What the dead process left running is ended with it.
		if f.process(0).kills != 1 {
			t.Error("the launch group was not ended")
		}
		stopAll(t, o)
	})
}

func TestOnlyMonitoredPluginsAreRestarted(t *testing.T) {
	for _, tc := range []struct {
		name, fields string
		starts       int
		state        view.PluginState
		lastError    string
	}{
		{"monitored and restarted", `"requiresMonitoring": true, "autoRestart": true`, 2, view.Healthy, ""},
		{"monitored", `"requiresMonitoring": true`, 1, view.Failed, "it was ended by signal 11"},
		{"restart alone means nothing", `"autoRestart": true`, 1, view.Stopped, "it was ended by signal 11"},
		{"neither", `"name": "x"`, 1, view.Stopped, "it was ended by signal 11"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, f := newTest(t, map[string]string{"A": manifest("A", `"autoStart": true`, tc.fields)})
				if err := o.Start(context.Background()); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				f.process(0).end(core.ExitStatus{Signal: 11})
				synctest.Wait()
				if s := status(t, o, "A"); s.Status != tc.state || s.Detail != tc.lastError || len(f.starts()) != tc.starts {
					t.Errorf("got %+v after %v", s, f.starts())
				}
				stopAll(t, o)
			})
		})
	}
}

func TestWhatCannotBeStarted(t *testing.T) {
	for _, tc := range []struct {
		name    string
		breakIt func(o *Orchestrator, f *fakeStarter)
		want    string
		starts  int
	}{
		{"no program", func(o *Orchestrator, _ *fakeStarter) {
			p, _ := o.find("A")
			p.manifest.Executable = settings.ParseTemplate("/absent/program")
		}, "no program at /absent/program; install it there", 0},
		{"a program that users can change", func(_ *Orchestrator, f *fakeStarter) {
			f.fail = map[string]error{"A": fmt.Errorf("Plugins/bin is writable by group 4242: %w", core.ErrNotProtected)}
		}, "writable by group 4242", 1},
		{"a machine out of processes", func(_ *Orchestrator, f *fakeStarter) {
			f.fail = map[string]error{"A": errBoom}
		}, "given up after 5 restarts within 10s; it last ended because: boom", 6},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, f := newTest(t, map[string]string{
					"A":    manifest("A", supervised, `"startupPriority": 1`),
					"Good": manifest("Good", supervised),
				})
				tc.breakIt(o, f)
				if err := o.Start(context.Background()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if s := status(t, o, "A"); s.Status != view.Failed || !strings.Contains(s.Detail, tc.want) {
					t.Errorf("got %+v, want ... %s", s, tc.want)
				}
				if s := status(t, o, "Good"); s.Status != view.Healthy {
					t.Errorf("the others do not run: %+v", s)
				}
				if starts := slices.DeleteFunc(f.starts(), func(s string) bool { return strings.HasPrefix(s, "Good") }); len(starts) != tc.starts {
					t.Errorf("started %v, want %d attempts", starts, tc.starts)
				}
				stopAll(t, o)
			})
		})
	}
}

func TestAPluginThatLosesTheBrokerIsEnded(t *testing.T) {
	a := core.Principal{Kind: core.Plugin, Name: "A"}
	for _, tc := range []struct {
		name   string
		fields string
		play   func(o *Orchestrator)
		starts int
		state  view.PluginState
	}{
		{"for good", supervised, func(o *Orchestrator) { o.Disconnected(a) }, 2, view.Healthy},
		{"for a moment", supervised, func(o *Orchestrator) {
			o.Disconnected(a)
			time.Sleep(reconnectWithin - time.Millisecond)
			o.Connected(a)
			o.Subscribed(a, "A")
		}, 1, view.Healthy},
		{"with another connection left", supervised, func(o *Orchestrator) {
			o.Connected(a)
			o.Disconnected(a)
		}, 1, view.Healthy},
		{"and may not be restarted", `"autoStart": true, "requiresMonitoring": true`, func(o *Orchestrator) { o.Disconnected(a) }, 1, view.Unhealthy},
		{"and comes back without its subscription", supervised, func(o *Orchestrator) {
			o.Disconnected(a)
			o.Connected(a)
		}, 2, view.Healthy},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, f := newTest(t, map[string]string{"A": manifest("A", tc.fields)})
				if err := o.Start(context.Background()); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				tc.play(o)
				time.Sleep(time.Minute)
				synctest.Wait()
				if s := status(t, o, "A"); s.Status != tc.state || len(f.starts()) != tc.starts {
					t.Errorf("got %+v after %v", s, f.starts())
				}
				stopAll(t, o)
			})
		})
	}
}

// The broker may hear of the old process's end after the new one's connection.
func TestALateGoodbyeOfTheOldProcessHarmsNoOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f := newTest(t, map[string]string{"A": manifest("A", supervised)})
		if err := o.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		f.process(0).end(core.ExitStatus{})
		synctest.Wait()
		o.Disconnected(core.Principal{Kind: core.Plugin, Name: "A"})
		time.Sleep(time.Minute)
		if s := status(t, o, "A"); s.Status != view.Healthy || len(f.starts()) != 2 {
			t.Errorf("got %+v after %v", s, f.starts())
		}
		stopAll(t, o)
	})
}

func TestStopDuringABackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f := newTest(t, map[string]string{"A": manifest("A", supervised)})
		f.born = func(_ core.ServiceSpec, p *fakeProcess) { p.end(core.ExitStatus{Code: 1}) }
		if err := o.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond) // between the second end and the third start
		if s := status(t, o, "A"); s.Status != view.Unhealthy || s.Detail != "it exited with status 1" {
			t.Errorf("while it waits: %+v", s)
		}
		stopAll(t, o)
		time.Sleep(time.Minute)
		if got := f.starts(); len(got) != 2 {
			t.Errorf("started %v", got)
		}
	})
}
