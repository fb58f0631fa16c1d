package darwin

import (
	"errors"
	"testing"

	"kpm/core"
	"kpm/platform/darwin/kernel"
)

type shares map[core.UserID]core.UserID

func (s shares) Share(id core.UserID) core.UserID { return s[id] }

func TestAgrees(t *testing.T) {
	token := kernel.Token{User: 501, RealUser: 501, PID: 42, ExecsVersion: 7}
	process := kernel.Process{PID: 42, User: 501, RealUser: 501, SavedUser: 501}
	if err := agrees(token, token, 501, process); err != nil {
		t.Error(err)
	}
	executed, reused, zombie, root, real := token, process, process, token, process
	executed.ExecsVersion++
	reused.PID = 43
	zombie.Zombie = true
	root.User = 0
	real.RealUser = 502
	for name, err := range map[string]error{
		"it has executed another program": agrees(token, executed, 501, process),
		"the pid is another's":            agrees(token, token, 501, reused),
		"it has ended":                    agrees(token, token, 501, zombie),
		"the token is root's":             agrees(root, root, 501, process),
		"the socket is another user's":    agrees(token, token, 502, process),
		"its real user is another":        agrees(token, token, 501, real),
	} {
		if err == nil {
			t.Errorf("%s: identified", name)
		}
	}
	if err := agrees(token, executed, 501, process); !errors.Is(err, errVanished) {
		t.Errorf("%v, want errVanished", err)
	}
}

func TestHolders(t *testing.T) {
	as := func(effective, real, saved uint32) kernel.Process {
		return kernel.Process{PID: 42, Start: 5, User: effective, RealUser: real, SavedUser: saved}
	}
	for name, c := range map[string]struct {
		user      uint32
		holders   []kernel.Process
		sandboxed bool
		same      bool
		admin     bool
	}{
		"a user":                               {501, []kernel.Process{as(501, 501, 501)}, false, true, false},
		"root":                                 {0, []kernel.Process{as(0, 0, 0)}, false, true, true},
		"root in a sandbox":                    {0, []kernel.Process{as(0, 0, 0)}, true, true, false},
		"a setuid program":                     {501, []kernel.Process{as(0, 501, 0)}, false, false, false},
		"one that can be root again":           {501, []kernel.Process{as(501, 501, 0)}, false, false, false},
		"a user's socket, inherited by root's": {501, []kernel.Process{as(501, 501, 501), as(0, 0, 0)}, false, false, false},
		"root's socket, inherited by a user's": {0, []kernel.Process{as(0, 0, 0), as(501, 501, 501)}, false, false, false},
	} {
		peer := peerOf(c.user, shares{"501": "shared"})
		for _, p := range c.holders {
			peer = withHolder(peer, c.user, p, c.sandboxed)
		}
		peer = concluded(peer)
		if peer.SameIdentity != c.same || peer.Administrator != c.admin || len(peer.Processes) != len(c.holders) || (peer.Confined != "") != c.sandboxed {
			t.Errorf("%s: %+v", name, peer)
		}
		if c.user == 501 && peer.Payer() != "shared" {
			t.Errorf("%s: payer %s", name, peer.Payer())
		}
	}
	if peer := peerOf(501, nil); peer.Payer() != "501" {
		t.Errorf("without accounts, payer %s", peer.Payer())
	}
}
