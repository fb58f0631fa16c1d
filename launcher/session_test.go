package launcher

import (
	"errors"
	"testing"

	"kpm/core"
	"kpm/core/wire"
)

// A job learns the session of whoever asked, from the system and from no message.
func TestARequestHasItsCallersSession(t *testing.T) {
	for name, tc := range map[string]struct {
		of   func(core.ProcessID) (core.SessionID, error)
		want string
	}{
		"in a session":     {func(core.ProcessID) (core.SessionID, error) { return "7", nil }, "7"},
		"in none":          {func(core.ProcessID) (core.SessionID, error) { return "", nil }, ""},
		"nobody knows":     {nil, ""},
		"not on this one":  {func(core.ProcessID) (core.SessionID, error) { return "", errors.ErrUnsupported }, ""},
		"it cannot be had": {func(core.ProcessID) (core.SessionID, error) { return "8", errors.New("no answer") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var asked core.ProcessID
			w := newWorld(t, func(_ *world, cfg *Config) {
				if tc.of != nil {
					cfg.SessionOf = func(id core.ProcessID) (core.SessionID, error) { asked = id; return tc.of(id) }
				}
			})
			k := w.submission(w.path("bin/tool"))
			caller := k.Peer.Processes[0]
			v := w.elevate(k)
			v.answer(core.Allow)
			if got := v.event(wire.EventLaunch).Context["SessionId"]; got != tc.want {
				t.Errorf("session %q, expected %q", got, tc.want)
			}
			if tc.of != nil && asked != caller {
				t.Errorf("asked about %v, expected %v", asked, caller)
			}
		})
	}
}
