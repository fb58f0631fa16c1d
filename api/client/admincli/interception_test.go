package admincli

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kpm/core/port"
)

// switches is what interception is told.
type switches struct{ done []string }

func (s *switches) Enable(_ context.Context, way string) error {
	s.done = append(s.done, "enable "+way)
	return nil
}

func (s *switches) Disable(_ context.Context, way string) error {
	s.done = append(s.done, "disable "+way)
	return nil
}

// The way out is open whatever has become of the agent, and the system's log knows who
// has taken it, if there is one.
func TestInterception(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "gone")
	unwritten := errors.New("no log daemon\nhere")
	for _, c := range []struct {
		args   []string
		root   string
		log    error
		code   int
		done   string // by the port
		logged string
		says   string // on standard error
	}{
		{args: []string{"enable", "sudo"}, root: journalled(t), done: "enable sudo", logged: "interception enable sudo: sudo is keepersudo"},
		{args: []string{"disable", "sudo"}, root: journalled(t), done: "disable sudo", logged: "interception disable sudo: sudo is the system's own"},
		{args: []string{"disable", "exec"}, root: journalled(t), done: "disable exec", logged: "interception disable exec: programs are not stopped"},
		{args: []string{"disable", "sudo"}, root: gone, done: "disable sudo", logged: "interception disable sudo"},
		{args: []string{"disable", "uac"}, root: gone, done: "disable uac", logged: "interception disable uac"},
		{args: []string{"disable", "sudo"}, root: journalled(t), log: unwritten, done: "disable sudo", says: "the system's log does not have it: no log daemon; here\n"},
		// Files in the root are written.
		{args: []string{"disable", "exec"}, root: gone, code: 2, says: "cannot be trusted"},
		{args: []string{"enable", "sudo"}, root: gone, code: 2, says: "cannot be trusted"},
	} {
		var out, diag bytes.Buffer
		done, logged := &switches{}, []string(nil)
		cfg := machine()
		ports := cfg.Host
		cfg.Host = func(root string) port.Host {
			host := ports(root)
			host.Interception = done
			return host
		}
		cfg.Record = func(line string) error {
			if c.log == nil {
				logged = append(logged, line)
			}
			return c.log
		}
		code := Run(t.Context(), slices.Concat([]string{"interception", "--root", c.root}, c.args), &out, &diag, cfg)
		if code != c.code || strings.Join(done.done, ", ") != c.done || !strings.HasPrefix(strings.Join(logged, "; "), c.logged) || c.logged == "" && logged != nil ||
			!strings.Contains(diag.String(), c.says) {
			t.Errorf("%v at %s: %d, done %q, logged %q, says %q %q", c.args, c.root, code, done.done, logged, out.String(), diag.String())
		}
	}
}
