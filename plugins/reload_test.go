package plugins

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/core/signal"
	"kpm/core/view"
)

// A reload touches the plugins whose files say something else, and what was given
// up.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f := newTest(t, map[string]string{
			"Same":    manifest("Same", supervised),
			"Setting": manifest("Setting", supervised, `"colour": "blue"`, `"shade": "dark"`),
			"Other":   manifest("Other", supervised),
			"Broken":  manifest("Broken", supervised, `"colour": "blue"`),
			"Gone":    manifest("Gone", supervised),
			"Crashes": manifest("Crashes", supervised),
		})
		f.born = func(s core.ServiceSpec, p *fakeProcess) {
			if s.As.Name == "Crashes" {
				p.end(core.ExitStatus{Code: 1})
				return
			}
			f.ready(s.As)
		}
		if err := o.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := status(t, o, "Crashes"); s.Status != view.Failed {
			t.Fatalf("%+v", s)
		}
		at := func(id string) string { return filepath.Join(o.cfg.Layout.Plugins(), id+".json") }
		writeFile(t, at("Setting"), manifest("Setting", supervised, `"colour": "red"`))
		writeFile(t, at("Other"), manifest("Other", supervised, `"startupPriority": 1`))
		writeFile(t, at("Broken"), `{"colour": "green"`)
		writeFile(t, at("New"), manifest("New", supervised))
		writeFile(t, filepath.Join(o.cfg.Layout.Plugins(), "bin", "New", "New"), "")
		remove(t, at("Gone"))
		f.bear(nil)
		before := len(f.starts())

		done, err := o.Reload(context.Background())
		synctest.Wait()
		want := view.PluginsReloaded{
			Added: []string{"New"}, Removed: []string{"Gone"}, Restarted: []string{"Other"}, Settings: []string{"Setting"},
			Broken: map[string]string{"Broken": done.Broken["Broken"]},
		}
		if err != nil || !reflect.DeepEqual(done, want) || !strings.Contains(done.Broken["Broken"], "Broken.json:1") {
			t.Errorf("got %+v, %v", done, err)
		}
		if colour, _ := o.cfg.Effective.Get("Setting", "colour"); colour != "red" {
			t.Errorf("colour is %q", colour)
		}
		if shade, ok := o.cfg.Effective.Get("Setting", "shade"); ok {
			t.Errorf("shade is still %q", shade)
		}
		if colour, _ := o.cfg.Effective.Get("Broken", "colour"); colour != "blue" {
			t.Errorf("of the broken file: %q", colour)
		}
		got := f.starts()[before:]
		slices.Sort(got)
		if !slices.Equal(got, []string{"Crashes@1m0s", "New@1m0s", "Other@1m0s"}) {
			t.Errorf("started: %v", got)
		}
		if s := status(t, o, "Broken"); s.Status != view.Healthy {
			t.Errorf("the plugin of the broken file: %+v", s)
		}
		if o.Has("Gone") {
			t.Error("a plugin without a file is still there")
		}
		stopAll(t, o)
	})
}

func TestSignal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f := newTest(t, map[string]string{"A": manifest("A", supervised), "Off": manifest("Off", `"enabled": false`)})
		if err := o.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		f.process(0).deaf = true
		for _, id := range []string{"A", "Off", "nobody"} {
			if err := o.Signal(id, signal.Hangup); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}
		if got := f.process(0).signals; !slices.Equal(got, []signal.Signal{signal.Hangup}) {
			t.Errorf("sent %v", got)
		}
		f.process(0).deaf = false
		stopAll(t, o)
	})
}

// A plugin whose file changes while others still start is one process, and that of the
// file as it is now.
func TestAReloadDuringTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f := newTest(t, map[string]string{
			"First":   manifest("First", supervised, `"startupPriority": 1`),
			"Changed": manifest("Changed", supervised, `"startupPriority": 2`),
			"Gone":    manifest("Gone", supervised, `"startupPriority": 2`),
			"Last":    manifest("Last", supervised, `"startupPriority": 3`),
		})
		f.born = func(s core.ServiceSpec, _ *fakeProcess) {
			go func() {
				if s.As.Name == "First" {
					time.Sleep(500 * time.Millisecond)
				}
				f.ready(s.As)
			}()
		}
		started := make(chan error, 1)
		go func() { started <- o.Start(context.Background()) }()
		time.Sleep(100 * time.Millisecond)
		writeFile(t, filepath.Join(o.cfg.Layout.Plugins(), "Changed.json"), manifest("Changed", supervised, `"startupPriority": 2`, `"arguments": "new"`))
		remove(t, filepath.Join(o.cfg.Layout.Plugins(), "Gone.json"))
		if _, err := o.Reload(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := <-started; err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got, want := f.starts(), []string{"First@0s", "Changed@100ms", "Last@500ms"}; !slices.Equal(got, want) {
			t.Errorf("started %v, want %v", got, want)
		}
		stopAll(t, o)
	})
}

// Whoever starts a plugin while its file changes never has two of its processes run.
func TestAPluginIsStartedWhileItsFileChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f := newTest(t, map[string]string{"Changed": manifest("Changed", supervised)})
		var running atomic.Pointer[fakeProcess]
		f.born = func(s core.ServiceSpec, p *fakeProcess) {
			if before := running.Swap(p); before != nil {
				select {
				case <-before.ended:
				default:
					t.Error("the one before still runs")
				}
			}
			f.ready(s.As)
		}
		if err := o.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		over := make(chan struct{})
		var starts sync.WaitGroup
		for range 2 {
			starts.Go(func() {
				for {
					select {
					case <-over:
						return
					default:
						_ = o.StartPlugin(context.Background(), "Changed") // it runs, or is being changed
					}
				}
			})
		}
		for i := range 100 {
			if done, err := changed(t, o, i, supervised); err != nil || len(done.Restarted) != 1 {
				t.Error(done, err)
				break
			}
		}
		close(over)
		starts.Wait()
		stopAll(t, o)
	})
}

// What is asked of a plugin while its file changes is done to the one that there is
// afterwards.
func TestAPluginIsToldSomethingWhileItsFileChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, _ := newTest(t, map[string]string{"Changed": manifest("Changed")})
		told := func(i int, what string, tell func(), want view.PluginState) {
			var reload sync.WaitGroup
			reload.Go(func() {
				if _, err := changed(t, o, i); err != nil {
					t.Error(err)
				}
			})
			over := make(chan struct{})
			for range 2 { // so that the lock changes hands wherever it can
				reload.Go(func() {
					for {
						select {
						case <-over:
							return
						default:
							o.Has("Changed")
						}
					}
				})
			}
			tell()
			close(over)
			reload.Wait()
			synctest.Wait()
			if s := status(t, o, "Changed"); s.Status != want {
				t.Errorf("%s: %+v", what, s)
			}
		}
		for i := 0; i < 400 && !t.Failed(); i += 3 {
			told(i, "started", func() {
				if err := o.StartPlugin(context.Background(), "Changed"); err != nil {
					t.Error(err)
				}
			}, view.Healthy)
			told(i+1, "stopped", func() {
				if err := o.StopPlugin(context.Background(), "Changed"); err != nil {
					t.Error(err)
				}
			}, view.Stopped)
			o.change(func() {
				p, _ := o.find("Changed")
				p.down = false // as if it had ended by itself
			})
			told(i+2, "wanted", func() { o.Wanted("Changed") }, view.Healthy)
			_ = o.StopPlugin(context.Background(), "Changed")
		}
		stopAll(t, o)
	})
}

// changed gives the plugin Changed another file, with what is always in it and the fields
// more, and has it read.
func changed(t *testing.T, o *Orchestrator, i int, more ...string) (view.PluginsReloaded, error) {
	text := manifest("Changed", append(more, fmt.Sprintf(`"arguments": "%d"`, i))...)
	writeFile(t, filepath.Join(o.cfg.Layout.Plugins(), "Changed.json"), text)
	return o.Reload(context.Background())
}
