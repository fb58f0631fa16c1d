package plugins

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/core/view"
)

// monitored runs the monitor until the end of the test.
func monitored(o *Orchestrator) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.Monitor(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// A plugin with livenessPing is asked when it has said nothing for an interval,
// and is started anew when it says nothing until the next.
func TestAPluginThatSaysNothingIsStartedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f := newTest(t, map[string]string{
			"Lives":  manifest("Lives", supervised, `"livenessPing": true`),
			"Hangs":  manifest("Hangs", supervised, `"livenessPing": true`),
			"Silent": manifest("Silent", supervised),
		})
		var asked []string
		o.cfg.Ping = func(id, topic string) error {
			asked = append(asked, id+" on "+topic)
			if id == "Lives" {
				o.Published(core.Principal{Kind: core.Plugin, Name: "Lives"}, "Lives/Status")
			}
			return nil
		}
		if err := o.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		defer monitored(o)()
		time.Sleep(11 * time.Second) // asked
		synctest.Wait()
		if got := strings.Join(asked, ", "); got != "Hangs on Hangs, Lives on Lives" {
			t.Errorf("asked %s", got)
		}
		time.Sleep(10 * time.Second) // without an answer
		synctest.Wait()
		if got := f.starts(); len(got) != 4 || got[3] != "Hangs@20s" {
			t.Errorf("started %v", got)
		}
		h, err := o.Health("hangs")
		if err != nil || h.Restarts != 1 || h.Status != view.Healthy || !strings.Contains(h.LastExit, "published nothing") {
			t.Errorf("%+v, %v", h, err)
		}
		if m := o.Monitoring(); m.Checks != 2 || m.IntervalSeconds != 10 || len(m.Plugins) != 3 || time.Since(m.LastCheck) != time.Second {
			t.Errorf("%+v", m)
		}
		stopAll(t, o)
	})
}

// Where no plugin asks to be asked, nothing wakes up; whoever wants to know how they are
// has them looked at.
func TestNobodyWakesUpToAskNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, _ := newTest(t, map[string]string{"Silent": manifest("Silent", supervised)})
		if err := o.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		defer monitored(o)()
		time.Sleep(time.Hour)
		if o.checks != 0 {
			t.Errorf("looked %d times", o.checks)
		}
		for n := 1; n < 3; n++ {
			if m := o.Monitoring(); m.Checks != n || time.Since(m.LastCheck) != 0 {
				t.Errorf("%+v", m)
			}
			time.Sleep(time.Minute)
		}
		// One that comes later is asked all the same.
		asked := 0
		o.cfg.Ping = func(string, string) error { asked++; return nil }
		o.change(func() { o.plugins["silent"].manifest.Ping = true })
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if asked != 1 {
			t.Errorf("asked %d times within 11 s", asked)
		}
		stopAll(t, o)
	})
}

func TestAMessageStartsAPluginThatWaitsForOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f := newTest(t, map[string]string{
			"Waits": manifest("Waits", `"startOnMessage": true`), "OnDemand": manifest("OnDemand"),
		})
		if err := o.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			o.Wanted("Waits")
		}
		synctest.Wait()
		if got := f.starts(); len(got) != 1 || status(t, o, "Waits").Status != view.Healthy {
			t.Errorf("started %v", got)
		}
		// Whom somebody has stopped no message starts.
		if err := o.StopPlugin(context.Background(), "Waits"); err != nil {
			t.Fatal(err)
		}
		o.Wanted("Waits")
		synctest.Wait()
		if s := status(t, o, "Waits"); s.Status != view.Stopped || len(f.starts()) != 1 {
			t.Errorf("%+v", s)
		}
		if v := o.Voices(); len(v) != 2 || v[0].Wake == v[1].Wake || v[0].Keep != v[0].Wake {
			t.Errorf("the bus is told %+v", v)
		}
		stopAll(t, o)
	})
}
