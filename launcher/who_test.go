package launcher

import (
	"errors"
	"slices"
	"testing"

	"kpm/core"
	"kpm/core/wire"
	"kpm/platform/fake"
)

// database is a machine's user database.
type database struct {
	fake.Accounts
	fault error
	names map[string][]string
}

func (d database) ByID(id core.UserID) (core.Account, error) {
	if d.fault != nil {
		return core.Account{}, d.fault
	}
	return d.Accounts.ByID(id)
}

func (d database) GroupNames([]string) (map[string][]string, error) {
	if d.names == nil {
		return map[string][]string{"27": {"ops"}}, core.ErrNoAnswer
	}
	return d.names, nil
}

func TestCallersWithoutAccount(t *testing.T) {
	for name, tc := range map[string]struct {
		allow bool
		fault error
		code  string // "" if the request is asked about
	}{
		"they are refused":                  {false, nil, "not-found"},
		"a setting lets them in":            {true, nil, ""},
		"nobody knows":                      {false, core.ErrNoAnswer, "unavailable"},
		"nobody knows, and a setting is on": {true, core.ErrNoAnswer, "unavailable"},
		"the database is broken":            {true, errors.New("broken"), "unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(w *world, _ *Config) {
				w.seals.Accounts = database{fake.Accounts{root, ada}, tc.fault, map[string][]string{}}
				w.seals.AllowUnknown = tc.allow
			})
			k := w.submission("tool")
			k.Peer.User, k.Peer.Groups, k.Peer.Share = "4242", []string{"4242", "27"}, core.Unknown
			v := w.begin(k)
			if tc.code != "" {
				if r := v.refused(); r.Code != tc.code {
					t.Errorf("%+v", r)
				}
				return
			}
			q := <-w.bus.asks
			v.leave()
			if q.UserID != "4242" || q.UserName != "#4242" || len(q.Groups) != 0 || !slices.Equal(q.DoubtfulGroups, []string{"4242", "27"}) {
				t.Errorf("asked about %+v", q)
			}
		})
	}
}

// The question says in which groups the caller surely is, in which perhaps, and
// whether that is all.
func TestPolicyHearsOfGroups(t *testing.T) {
	w := newWorld(t, func(w *world, _ *Config) {
		w.seals.Accounts = database{fake.Accounts{root, ada}, nil, map[string][]string{"1000": {"ada"}, "27": {"ops"}, "30": {"old"}}}
	})
	k := w.submission("tool")
	k.Peer.Groups = []string{"1000", "30"}
	q := w.elevate(k).asked
	if !slices.Equal(q.Groups, []string{"1000"}) || !slices.Equal(q.GroupNames, []string{"ada"}) ||
		!slices.Equal(q.DoubtfulGroups, []string{"27", "30"}) || !slices.Equal(q.DoubtfulGroupNames, []string{"ops", "old"}) || q.GroupsUnknown {
		t.Errorf("asked about %+v", q)
	}

	w = newWorld(t, func(w *world, _ *Config) { w.seals.Accounts = database{fake.Accounts{root, ada}, nil, nil} })
	if q := w.elevate(w.submission("tool")).asked; !q.GroupsUnknown || !slices.Equal(q.GroupNames, []string{"ops"}) {
		t.Errorf("a group without a name: %+v", q)
	}
}

// Arguments that are no text reach policy, journal and command as they are.
func TestArgumentsAreBytes(t *testing.T) {
	w := newWorld(t)
	v := w.elevate(w.submission("tool", "caf\xe9", "text"))
	q := v.asked
	if !slices.Equal(q.Arguments, []string{"tool", `caf\xE9`, "text"}) || string(q.ArgumentBytes[1]) != "caf\xe9" || len(q.ArgumentBytes) != 1 {
		t.Errorf("asked about %q, %v", q.Arguments, q.ArgumentBytes)
	}
	v.answer(core.Allow)
	if e := v.event(wire.EventLaunch); !slices.Equal(e.Context["Arguments"].([]string), []string{"tool", `caf\xE9`, "text"}) || e.Context["CommandLine"] != `tool 'caf\xE9' text` {
		t.Errorf("the job hears of %q", e.Context["CommandLine"])
	}
	if r := w.records()[0]; !slices.Equal(r.Argv, []string{"tool", `caf\xE9`, "text"}) || string(r.ArgvBytes[1]) != "caf\xe9" {
		t.Errorf("the journal has %q, %v", r.Argv, r.ArgvBytes)
	}
}
