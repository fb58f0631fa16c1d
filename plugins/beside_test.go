package plugins

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
)

// Nobody waits for who only writes down what others say, but to say something.
func TestTheDeciderStartsBesideTheLogger(t *testing.T) {
	policy := core.Principal{Kind: core.Plugin, Name: "KeeperPolicy"}
	for name, tc := range map[string]struct {
		more  map[string]string
		ready time.Duration // the logger's; 0 is never
		want  []string
		turn  time.Duration
	}{
		"at once":         {nil, 30 * time.Millisecond, []string{"KeeperLogger@0s", "KeeperPolicy@0s", "Later@30ms"}, 30 * time.Millisecond},
		"it never comes":  {nil, 0, []string{"KeeperLogger@0s", "KeeperPolicy@0s", "Later@3s"}, deciderWaits},
		"who comes first": {map[string]string{"First": manifest("First", supervised, `"startupPriority": 5`)}, 30 * time.Millisecond, []string{"First@0s", "KeeperLogger@10ms", "KeeperPolicy@40ms", "Later@50ms"}, 0},
		"who comes beside": {map[string]string{"Other": manifest("Other", supervised, `"startupPriority": 10`)}, 30 * time.Millisecond,
			[]string{"KeeperLogger@0s", "Other@0s", "KeeperPolicy@30ms", "Later@40ms"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				files := map[string]string{
					"KeeperLogger": manifest("KeeperLogger", supervised, `"startupPriority": 10`), "KeeperPolicy": manifest("KeeperPolicy", supervised, `"startupPriority": 20`), "Later": manifest("Later", supervised),
				}
				maps.Copy(files, tc.more)
				o, f := newTest(t, files)
				o.cfg.Decider, o.cfg.Beside = "KeeperPolicy", "KeeperLogger"
				begun, waited := time.Now(), time.Duration(0)
				f.born = func(s core.ServiceSpec, p *fakeProcess) {
					go func() {
						switch {
						case s.As.Name == "KeeperLogger" && tc.ready == 0:
							return
						case s.As.Name == "KeeperLogger":
							time.Sleep(tc.ready)
						default:
							time.Sleep(10 * time.Millisecond)
						}
						if turn := o.Turn(s.As); turn != nil {
							<-turn
							waited = time.Since(begun)
						}
						f.ready(s.As)
						o.Responds(s.As.Name)
					}()
				}
				if err := o.Start(context.Background()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(20 * time.Millisecond) // until the last is ready
				got := f.starts()
				if len(got) == 4 {
					slices.Sort(got[:2]) // which may start together
				}
				if !slices.Equal(got, tc.want) {
					t.Errorf("got %v, want %v", got, tc.want)
				}
				if waited != tc.turn || o.Turn(policy) != nil {
					t.Errorf("its turn came after %v, want %v", waited, tc.turn)
				}
				stopAll(t, o)
			})
		})
	}
}

// Nobody waits for decisions of who was stopped before its turn came.
func TestADeciderThatIsStoppedBeforeItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f := newTest(t, map[string]string{
			"First": manifest("First", supervised, `"startupPriority": 1`), "KeeperPolicy": manifest("KeeperPolicy", supervised, `"startupPriority": 20`),
		})
		var absent []string
		o.cfg.Decider, o.cfg.Absent = "KeeperPolicy", func(how string) { absent = append(absent, how) }
		f.born = func(s core.ServiceSpec, _ *fakeProcess) {
			go func() {
				time.Sleep(500 * time.Millisecond)
				f.ready(s.As)
			}()
		}
		started := make(chan error)
		go func() { started <- o.Start(context.Background()) }()
		time.Sleep(100 * time.Millisecond)
		if err := o.StopPlugin(context.Background(), "KeeperPolicy"); err != nil {
			t.Fatal(err)
		}
		if err := <-started; err != nil {
			t.Fatal(err)
		}
		if got := f.starts(); !slices.Equal(got, []string{"First@0s"}) {
			t.Errorf("started %v", got)
		}
		if !slices.Equal(absent, []string{"does not run: somebody has stopped it"}) {
			t.Errorf("the launcher was told %q", absent)
		}
		if err := o.Healthy(context.Background()); err == nil {
			t.Error("everybody is healthy")
		}
		stopAll(t, o)
	})
}

// Who waits for the end of a plugin that somebody has started again waits no longer.
func TestAStopEndsWhenSomebodyStartsThePluginAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f := newTest(t, map[string]string{"Busy": manifest("Busy", supervised)})
		f.born = func(s core.ServiceSpec, _ *fakeProcess) { f.ready(s.As) }
		if err := o.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		var restarts sync.WaitGroup
		for range 8 {
			restarts.Go(func() {
				for range 50 {
					if err := o.RestartPlugin(context.Background(), "Busy"); err != nil && !errors.Is(err, ErrRunning) {
						t.Error(err)
					}
				}
			})
		}
		restarts.Wait()
		stopAll(t, o)
	})
}
