package plugins

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/core/view"
)

// file is a plugin's file that declares nothing but what fields say.
func file(id, fields string) string {
	return fmt.Sprintf(`{"id": %q, "pluginType": "Executable", "executablePath": "bin/%s/%s", "supportedPlatforms": ["Linux"],
		"autoStart": true, "requiresMonitoring": true, "autoRestart": true, %s}`, id, id, id, fields)
}

// Health is the process, and what else the plugin's file promises.
func TestHealthIsWhatTheFilePromises(t *testing.T) {
	const topics = `"mqttTopics": {"publish": ["KeeperLogger"], "subscribe": []}`
	none := func(*Orchestrator, core.Principal) {}
	connect := func(o *Orchestrator, p core.Principal) { o.Connected(p) }
	subscribe := func(o *Orchestrator, p core.Principal) { o.Connected(p); o.Subscribed(p, "A") }
	leave := func(o *Orchestrator, p core.Principal) { o.Connected(p); o.Disconnected(p) }
	for name, tc := range map[string]struct {
		fields string
		does   func(*Orchestrator, core.Principal)
		lacks  string // after it has had its time; empty means Healthy, and at once
	}{
		"no subscription, never connects":      {`"metadata": {` + topics + `}`, none, ""},
		"no subscription, comes and goes":      {`"metadata": {` + topics + `}`, leave, ""},
		"a null one":                           {`"Subscription": null, "metadata": {` + topics + `}`, none, ""},
		"only a publisher":                     {`"Subscription": {"Topic": "A"}, "metadata": {"mqttRole": ["publisher"], ` + topics + `}`, none, ""},
		"only a publisher, as text":            {`"Subscription": {"Topic": "A"}, "metadata": {"mqttRole": "Publisher", ` + topics + `}`, none, ""},
		"no role at all":                       {`"Subscription": {"Topic": "A"}, "metadata": {"mqttRole": [], ` + topics + `}`, none, ""},
		"a subscription":                       {`"Subscription": {"Topic": "A"}, "metadata": {` + topics + `}`, connect, "it has not subscribed to its topic A within 3s"},
		"a subscription, in both roles":        {`"Subscription": {"Topic": "A"}, "metadata": {"mqttRole": ["Subscriber", "publisher"], ` + topics + `}`, connect, "it has not subscribed to its topic A within 3s"},
		"a subscription that it has":           {`"Subscription": {"Topic": "A"}, "metadata": {` + topics + `}`, subscribe, ""},
		"a liveness check, not connected":      {`"livenessCheck": true, "metadata": {` + topics + `}`, none, "it is not connected to the broker within 3s"},
		"a liveness check, connected":          {`"livenessCheck": true, "metadata": {` + topics + `}`, connect, ""},
		"a liveness check and a subscription":  {`"livenessCheck": true, "Subscription": {"Topic": "A"}, "metadata": {` + topics + `}`, connect, "it has not subscribed to its topic A within 3s"},
		"a liveness check of a mere publisher": {`"livenessCheck": true, "Subscription": {"Topic": "A"}, "metadata": {"mqttRole": ["publisher"], ` + topics + `}`, connect, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, f := newTest(t, map[string]string{"A": file("A", tc.fields), "Next": manifest("Next", supervised, `"startupPriority": 101`)})
				f.born = func(s core.ServiceSpec, _ *fakeProcess) {
					if s.As.Name == "A" {
						tc.does(o, s.As)
					} else {
						f.ready(s.As)
					}
				}
				if err := o.Start(context.Background()); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				want, next := view.Healthy, "Next@0s"
				if tc.lacks != "" {
					want, next = view.Unhealthy, "Next@3s"
				}
				if s := status(t, o, "A"); s.Status != want || s.Detail != tc.lacks {
					t.Errorf("it is %s: %s", s.Status, s.Detail)
				}
				if got := f.starts(); !slices.Equal(got, []string{"A@0s", next}) {
					t.Errorf("started %v: what follows was to start %s", got, next)
				}
				began := time.Now()
				if err := o.Healthy(context.Background()); (err == nil) != (tc.lacks == "") || time.Since(began) != 0 {
					t.Errorf("the start waited %v and says %v", time.Since(began), err)
				}
				stopAll(t, o)
			})
		})
	}
}

// A plugin whose file promises no connection is not ended for want of one.
func TestAPublisherMayLeaveTheBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f := newTest(t, map[string]string{"A": file("A", `"metadata": {"mqttTopics": {"publish": [], "subscribe": ["B"]}}`)})
		a := core.Principal{Kind: core.Plugin, Name: "A"}
		if err := o.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		o.Connected(a)
		o.Disconnected(a)
		time.Sleep(time.Minute)
		if s := status(t, o, "A"); s.Status != view.Healthy || len(f.starts()) != 1 {
			t.Errorf("it is %s: %s, started %v", s.Status, s.Detail, f.starts())
		}
		if _, subscribe := o.Topics("A"); !slices.Equal(subscribe, []string{"B"}) {
			t.Errorf("it may subscribe to %q", subscribe)
		}
		stopAll(t, o)
	})
}

// Nobody waits for a plugin that has done its work and ended.
func TestAPluginThatEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f := newTest(t, map[string]string{"Once": manifest("Once", `"autoStart": true`)})
		f.born = func(_ core.ServiceSpec, p *fakeProcess) { p.end(core.ExitStatus{}) }
		if err := o.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := o.Healthy(context.Background()); err == nil || time.Since(began) > tailWait {
			t.Errorf("the start waited %v and says %v", time.Since(began), err)
		}
		stopAll(t, o)
	})
}

// decider is an orchestrator whose plugin A decides, and what is said of its
// absence.
func decider(t *testing.T, fields ...string) (*Orchestrator, *fakeStarter, func() []string) {
	o, f := newTest(t, map[string]string{"A": manifest("A", fields...)})
	var mu sync.Mutex
	var told []string
	o.cfg.Decider = "A"
	o.cfg.Absent = func(how string) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, fmt.Sprintf("%v: %s", time.Since(f.begun), how))
	}
	return o, f, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(told)
	}
}

// Without the plugin that decides nobody is elevated: it is started again for
// ever, and those who would wait for it hear when that is of no use.
func TestTheDeciderIsNeverGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f, told := decider(t, supervised)
		f.born = func(s core.ServiceSpec, p *fakeProcess) {
			fmt.Fprintln(s.Stderr, "a secret")
			p.end(core.ExitStatus{Code: 3})
		}
		if err := o.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if got := f.starts(); len(got) != 7 || got[6] != "A@3.1s" {
			t.Errorf("started %v", got)
		}
		s := status(t, o, "A")
		if s.Status != view.Unhealthy || !strings.Contains(s.Detail, "it exited with status 3; its last output: a secret") || !strings.Contains(s.Detail, "tried again every 3.2s") {
			t.Errorf("it is %s: %s", s.Status, s.Detail)
		}
		if got := told(); len(got) != 1 || got[0] != "3.1s: does not run: it exited with status 3" {
			t.Errorf("told %q", got)
		}
		began := time.Now()
		if err := o.Healthy(context.Background()); err == nil || time.Since(began) != 0 {
			t.Errorf("the start waited %v and says %v", time.Since(began), err)
		}
		time.Sleep(time.Hour)
		if n := len(f.starts()); n < 120 {
			t.Errorf("started %d times within an hour", n)
		}

		// Somebody fixed it, and nobody had to start it.
		f.bear(nil)
		time.Sleep(o.cfg.Monitoring.MaxBackoff)
		synctest.Wait()
		if s := status(t, o, "A"); s.Status == view.Healthy {
			t.Errorf("it has answered nothing, and is %s", s.Status)
		}
		o.Responds("A")
		if s := status(t, o, "A"); s.Status != view.Healthy || s.Detail != "" {
			t.Errorf("it is %s: %s", s.Status, s.Detail)
		}
		stopAll(t, o)
	})
}

// One that has answered can run: however often it is killed, it is soon back, and
// nobody is told that it is of no use to wait.
func TestADeciderThatIsKilledAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f, told := decider(t, supervised)
		if err := o.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			synctest.Wait()
			o.Responds("A")
			n := len(f.starts())
			f.process(n - 1).end(core.ExitStatus{Signal: 9})
			began := time.Now()
			for len(f.starts()) == n {
				time.Sleep(10 * time.Millisecond)
			}
			if waited := time.Since(began); waited > shortly+10*time.Millisecond {
				t.Fatalf("it was away for %v", waited)
			}
		}
		if len(told()) != 0 {
			t.Errorf("told %q", told())
		}
		stopAll(t, o)
	})
}

// A process that does not answer is not asked to end: it may be stopped.
func TestASilentDeciderIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f, told := decider(t, supervised)
		if err := o.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		o.Responds("A")
		f.process(0).deaf = true
		began := time.Now()
		o.Silent("A")
		synctest.Wait()
		if got := f.starts(); len(got) != 2 || time.Since(began) > tailWait || len(f.process(0).signals) != 0 {
			t.Errorf("started %v after %v, and sent %v", got, time.Since(began), f.process(0).signals)
		}
		if s := status(t, o, "A"); s.Status != view.Starting {
			t.Errorf("its successor has answered nothing, and is %s", s.Status)
		}
		o.Responds("A")
		if s := status(t, o, "A"); s.Status != view.Healthy || len(told()) != 0 {
			t.Errorf("it is %s; told %q", s.Status, told())
		}
		stopAll(t, o)
		if got := told(); len(got) != 0 {
			t.Errorf("told of an orderly stop: %q", got)
		}
	})
}

// Whoever would wait for what does not come hears of it.
func TestADeciderThatDoesNotCome(t *testing.T) {
	const plain = `"autoStart": true`
	for name, tc := range map[string]struct {
		fields []string
		break_ func(*Orchestrator, *fakeStarter)
		told   string
	}{
		"no file":       {[]string{plain}, func(o *Orchestrator, _ *fakeStarter) { delete(o.plugins, "a") }, "0s: is not installed: there is no Plugins/A.json"},
		"a broken file": {[]string{`"startupPriority": -1`}, nil, "0s: does not run: its file cannot be used"},
		"switched off":  {[]string{plain, `"enabled": false`}, nil, "0s: does not run: its file says enabled: false"},
		"not by itself": {[]string{`"requiresMonitoring": true`}, nil, "0s: does not run: its file does not say autoStart"},
		"no program": {[]string{supervised}, func(_ *Orchestrator, f *fakeStarter) {
			f.fail = map[string]error{"A": core.ErrNotRegular}
		}, "0s: does not run: not a regular file"},
		"not restarted": {[]string{plain}, func(_ *Orchestrator, f *fakeStarter) {
			f.born = func(_ core.ServiceSpec, p *fakeProcess) { p.end(core.ExitStatus{Code: 3}) }
		}, "0s: does not run: it exited with status 3"},
		"silent, and not restarted": {[]string{plain, `"requiresMonitoring": true`}, func(o *Orchestrator, f *fakeStarter) {
			f.born = func(core.ServiceSpec, *fakeProcess) { time.AfterFunc(time.Second, func() { o.Silent("A") }) }
		}, "1s: does not answer"},
		"stopped by hand": {[]string{supervised}, func(o *Orchestrator, f *fakeStarter) {
			f.born = func(core.ServiceSpec, *fakeProcess) {
				time.AfterFunc(time.Second, func() { _ = o.StopPlugin(context.Background(), "A") })
			}
		}, "1s: has been stopped"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, f, told := decider(t, tc.fields...)
				if tc.break_ != nil {
					tc.break_(o, f)
				}
				if err := o.Start(context.Background()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(1500 * time.Millisecond)
				synctest.Wait()
				if got := told(); len(got) == 0 || got[0] != tc.told {
					t.Errorf("told %q, want %q", got, tc.told)
				}
				stopAll(t, o)
			})
		})
	}
}

// The broker may say so after the process has ended, and before another one is
// there: that goodbye concerns neither.
func TestAGoodbyeBetweenTwoProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f := newTest(t, map[string]string{"A": manifest("A", supervised)})
		a := core.Principal{Kind: core.Plugin, Name: "A"}
		if err := o.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		f.bear(func(_ core.ServiceSpec, p *fakeProcess) { p.end(core.ExitStatus{}) })
		f.process(0).end(core.ExitStatus{}) // the second one ends at once, and the third comes later
		synctest.Wait()
		o.change(func() { o.plugins["a"].state = view.Healthy }) // as it is until its supervisor has run
		o.Disconnected(a)
		f.bear(nil)
		time.Sleep(time.Minute)
		if s := status(t, o, "A"); s.Status != view.Healthy || len(f.starts()) != 3 {
			t.Errorf("it is %s, started %v", s.Status, f.starts())
		}
		stopAll(t, o)
	})
}
