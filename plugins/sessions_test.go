package plugins

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/view"
)

// fakeSessions are who is logged in.
type fakeSessions struct {
	port.Sessions
	mu   sync.Mutex
	list []core.Session
	err  error
}

func (f *fakeSessions) List(context.Context) ([]core.Session, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.list), f.err
}

func (f *fakeSessions) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fakeSessions) set(list ...core.Session) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = list
}

// inSessions has o know sessions, and read its files anew.
func inSessions(t *testing.T, o *Orchestrator, s *fakeSessions) {
	t.Helper()
	o.cfg.Sessions, o.cfg.UserName = s, func(u core.UserID) (string, error) { return "user" + string(u), nil }
	o.sessionless = o.noSessions()
	if _, err := o.Reload(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestOneInstanceInEachSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f := newTest(t, map[string]string{
			"Tray":  manifest("Tray", supervised, `"executionContext": "Interactive", "arguments": "{UserName} {SessionId} {PluginId}"`),
			"Shell": manifest("Shell", supervised, `"executionContext": "User"`),
		})
		logins := &fakeSessions{list: []core.Session{{ID: "1", User: "1000", Graphical: true}, {ID: "2", User: "1001"}}}
		inSessions(t, o, logins)
		defer monitored(o)()
		synctest.Wait()
		var got []string
		for _, spec := range f.specs {
			got = append(got, spec.As.Name+" "+string(spec.As.User)+" "+strings.Join(spec.Argv[1:], ","))
			if !spec.As.InUserSession || spec.As.Tier() != core.TierUser {
				t.Errorf("%s runs as %+v", spec.As.Name, spec.As)
			}
		}
		slices.Sort(got)
		if want := []string{"Shell 1000 ", "Shell 1001 ", "Tray 1000 user1000,1,Tray"}; !slices.Equal(got, want) {
			t.Errorf("started %q, want %q", got, want)
		}
		if h, err := o.Health("Shell"); err != nil || len(h.Instances) != 2 || h.Instances[1].User != "user1001" || h.Instances[1].Status != view.Healthy {
			t.Errorf("%+v, %v", h, err)
		}
		// Somebody logs out, somebody logs in.
		logins.set(core.Session{ID: "2", User: "1001"}, core.Session{ID: "3", User: "1002", Graphical: true})
		time.Sleep(11 * time.Second)
		synctest.Wait()
		h, err := o.Health("Tray")
		if err != nil || len(h.Instances) != 1 || h.Instances[0].Session != "3" || h.Status != view.Healthy {
			t.Errorf("%+v, %v", h, err)
		}
		if err := o.StopPlugin(context.Background(), "Shell"); err != nil {
			t.Fatal(err)
		}
		if s := status(t, o, "Shell"); s.Status != view.Stopped {
			t.Errorf("%+v", s)
		}
		stopAll(t, o)
	})
}

// Where the system says that somebody has logged in, nobody waits for the next look.
func TestALoginThatTheSystemTellsOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, _ := newTest(t, map[string]string{"Tray": manifest("Tray", supervised, `"executionContext": "Interactive"`)})
		logins, changed := &fakeSessions{}, make(chan struct{}, 1)
		o.cfg.SessionsChanged = changed
		inSessions(t, o, logins)
		defer monitored(o)()
		synctest.Wait()
		logins.set(core.Session{ID: "3", User: "1002", Graphical: true})
		changed <- struct{}{}
		synctest.Wait() // no time passes
		if h, err := o.Health("Tray"); err != nil || len(h.Instances) != 1 || h.Instances[0].Session != "3" {
			t.Errorf("%+v, %v", h, err)
		}
		stopAll(t, o)
	})
}

func TestWhereThereAreNoSessions(t *testing.T) {
	o, _ := newTest(t, map[string]string{"Tray": manifest("Tray", supervised, `"executionContext": "Interactive"`)})
	logins := &fakeSessions{err: fmt.Errorf("there is no login daemon; install one: %w", errors.ErrUnsupported)}
	inSessions(t, o, logins)
	want := "its executionContext is Interactive: sessions of users are not known on this Linux: there is no login daemon; install one: unsupported operation"
	if s := status(t, o, "Tray"); s.Status != view.Stopped || s.Detail != want {
		t.Errorf("%+v", s)
	}
	if err := o.StartPlugin(context.Background(), "Tray"); !errors.Is(err, ErrDisabled) {
		t.Errorf("got %v", err)
	}
	// What was missing was installed, and the files are read again.
	logins.fail(nil)
	if _, err := o.Reload(context.Background()); err != nil {
		t.Fatal(err)
	}
	if s := status(t, o, "Tray"); !strings.HasSuffix(s.Detail, "it runs in no session now") {
		t.Errorf("%+v", s)
	}
	// It is away for a moment.
	logins.fail(errors.ErrUnsupported)
	if _, err := o.Reload(context.Background()); err != nil {
		t.Fatal(err)
	}
	if s := status(t, o, "Tray"); !strings.HasSuffix(s.Detail, "it runs in no session now") {
		t.Errorf("%+v", s)
	}
}

// Who starts a plugin that somebody restarts does not take the restart from them.
func TestAnInstanceIsStartedWhileItStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, f := newTest(t, map[string]string{"Tray": manifest("Tray", supervised, `"executionContext": "Interactive"`)})
		f.born = func(s core.ServiceSpec, p *fakeProcess) {
			p.deaf = true // it ends when it is killed
			f.ready(s.As)
		}
		inSessions(t, o, &fakeSessions{list: []core.Session{{ID: "1", User: "1000", Graphical: true}}})
		defer monitored(o)()
		synctest.Wait()
		restarted := make(chan error)
		go func() { restarted <- o.RestartPlugin(context.Background(), "Tray") }()
		time.Sleep(100 * time.Millisecond)
		if err := o.StartPlugin(context.Background(), "Tray"); !errors.Is(err, ErrRunning) {
			t.Errorf("started while it stops: %v", err)
		}
		if err := <-restarted; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if h, err := o.Health("Tray"); err != nil || len(f.starts()) != 2 || h.Status != view.Healthy {
			t.Errorf("%+v, %v after %v", h, err, f.starts())
		}
		stopAll(t, o)
	})
}
