package plugins

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/core/signal"
	"kpm/core/view"
)

// A reload puts settings in force, starts what was given up, and says what takes
// a restart. What runs goes on.
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
		remove(t, at("Gone"))
		f.bear(nil)
		before := len(f.starts())

		changed, waiting, err := o.Reload()
		synctest.Wait()
		if err != nil || !slices.Equal(waiting, []string{"Gone", "New", "Other"}) {
			t.Errorf("waiting for a restart: %q, %v", waiting, err)
		}
		if !slices.Equal(changed, []string{"Other", "Setting"}) {
			t.Errorf("changed: %q", changed)
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
		if got := f.starts()[before:]; !slices.Equal(got, []string{"Crashes@1m0s"}) {
			t.Errorf("started: %v", got)
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
