//go:build windows

package windows

import (
	"context"
	"errors"
	"testing"

	"golang.org/x/sys/windows/svc"
)

// manage plays the service control manager to a service: it says requests, and
// returns what the service has reported and how it ended.
func manage(t *testing.T, run func(context.Context, *Control) error, requests ...svc.Cmd) (states []svc.State, failed bool, code uint32) {
	t.Helper()
	h := &handler{run: run, control: newControl()}
	said, status := make(chan svc.ChangeRequest, len(requests)), make(chan svc.Status)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		failed, code = h.Execute(nil, said, status)
	}()
	for {
		select {
		case s := <-status:
			states = append(states, s.State)
			if s.State == svc.Running && len(requests) > 0 {
				said <- svc.ChangeRequest{Cmd: requests[0], CurrentStatus: s, EventData: 8} // where nothing lies
				requests = requests[1:]
			}
		case <-ended:
			return states, failed, code
		}
	}
}

// Whatever the manager says to end it, the service's context ends, and its own
// order of stopping is kept.
func TestTheManagerStopsTheService(t *testing.T) {
	for _, cmd := range []svc.Cmd{svc.Stop, svc.Shutdown, svc.PreShutdown} {
		states, failed, code := manage(t, func(ctx context.Context, c *Control) error {
			m := ServiceManager{Control: c}
			must(t, m.Ready())
			<-ctx.Done()
			return m.Stopping()
		}, svc.Interrogate, cmd)
		if want := []svc.State{svc.StartPending, svc.Running, svc.Running, svc.StopPending}; len(states) != len(want) || states[1] != want[1] || states[3] != want[3] || failed || code != 0 {
			t.Errorf("%v: %v, %v, %d", cmd, states, failed, code)
		}
	}
}

// Logins and logouts are a reason to look who is there, and nothing is read of what
// the manager hands on with them. Nobody has to listen.
func TestTheManagerTellsOfSessions(t *testing.T) {
	_, failed, _ := manage(t, func(_ context.Context, c *Control) error {
		m := ServiceManager{Control: c}
		for range 3 { // each has the manager say one thing
			must(t, m.Ready())
		}
		<-c.Sessions()
		return nil
	}, svc.SessionChange, svc.SessionChange, svc.SessionChange)
	if failed {
		t.Error("the service has failed")
	}
}

// A service that ends with an error says so: the manager does what it does about
// failures.
func TestAServiceThatFails(t *testing.T) {
	var c *Control
	states, failed, code := manage(t, func(_ context.Context, control *Control) error {
		c = control
		return errors.New("no")
	})
	if len(states) != 1 || states[0] != svc.StartPending || !failed || code != exitFailed {
		t.Errorf("%v, %v, %d", states, failed, code)
	}
	if err := (ServiceManager{Control: c}).Ready(); err == nil {
		t.Error("the manager is told after the end")
	}
	if err := (ServiceManager{}).Ready(); err != nil {
		t.Errorf("without a manager: %v", err)
	}
}
