package launcher

import (
	"context"
	"errors"
	"fmt"
	"kpm/core"
	"kpm/core/port"
	"kpm/launcher/start"
	"os"
	"path/filepath"
	"testing"
)

// Administrators are not subject to policy by default. What was elevated is:
// it did not become one by that, nor did a plugin.
func TestWhoAsksPolicyAsAnAdministrator(t *testing.T) {
	w := newWorld(t)
	command, plugin := core.ProcessID{PID: 400, Start: 1}, core.ProcessID{PID: 401, Start: 1}
	w.registry.RegisterElevated(command, "e")
	w.registry.Register(start.Entry{Root: plugin, Group: "p", User: "0", As: core.Principal{Kind: core.Plugin, Name: "KeeperLogger"}})
	for _, c := range []struct {
		user          core.UserID
		process       core.ProcessID
		administrator bool
	}{{"0", client, true}, {"0", command, false}, {"0", plugin, false}, {"1000", client, false}} {
		k := w.submission("tool")
		k.Peer = core.Peer{User: c.user, Administrator: c.user == "0", Processes: []core.ProcessID{c.process}, SameIdentity: true}
		v := w.elevate(k)
		if v.asked.Administrator != c.administrator {
			t.Errorf("user %s as %v: IsAdministrator is %v", c.user, c.process, v.asked.Administrator)
		}
		v.answer(core.Deny)
		v.refused()
	}
}

func TestServicesAreRegisteredBeforeTheyRun(t *testing.T) {
	w := newWorld(t)
	as := core.Principal{Kind: core.Plugin, Name: "KeeperLogger"}
	spec := core.ServiceSpec{As: as, Path: w.path("bin/tool"), Argv: []string{"tool", "a b"}, Env: []string{"A=1"}, Dir: w.dir}
	p, err := w.starter.StartService(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	held := w.launch.last()
	if who := w.identify(held.id); who != as {
		t.Errorf("it is %+v", who)
	}
	s := held.spec
	if s.Argv[1] != "a b" || len(s.Env) != 1 || s.As.Account.User != "0" || s.As.RunAs != core.AsService || s.Script != "" || s.Terminal != nil || s.Streams != (port.Streams{}) {
		t.Errorf("started %+v", s)
	}
	for _, f := range []*os.File{s.Executable, s.Dir} {
		if !isClosedFile(f) {
			t.Errorf("%s is still open", f.Name())
		}
	}
	held.process.exit(core.ExitStatus{Code: 2})
	if status, err := p.Wait(context.Background()); err != nil || status.Code != 2 {
		t.Errorf("ended with %+v, %v", status, err)
	}
	spec.Path = w.path("bin/script")
	out := w.handle(os.DevNull)
	defer out.Close()
	spec.Stdout = out
	if _, err := w.starter.StartService(context.Background(), spec); err != nil {
		t.Fatal(err)
	}
	if s := w.launch.last().spec; s.Script != w.path("bin/script") || s.Streams.Output != out || isClosedFile(out) {
		t.Errorf("started %+v", s)
	}
}

func TestWhatCannotBeStartedIsNotRegistered(t *testing.T) {
	cases := map[string]func(*world, *core.ServiceSpec){
		"missing":                func(w *world, s *core.ServiceSpec) { s.Path = w.path("bin/none") },
		"not protected":          func(w *world, s *core.ServiceSpec) { s.Path = w.path("home/mine") },
		"directory not":          func(w *world, s *core.ServiceSpec) { s.Dir = w.path("home") },
		"a directory":            func(w *world, s *core.ServiceSpec) { s.Path = w.dir },
		"not executable":         func(w *world, s *core.ServiceSpec) { os.Chmod(s.Path, 0o644) },
		"unreadable":             func(w *world, s *core.ServiceSpec) { w.files.fault = map[string]error{"Open": errors.New("x")} },
		"interpreter of theirs":  func(w *world, s *core.ServiceSpec) { w.program("bin/tool", "#!"+w.path("home/mine")+"\n", true) },
		"interpreter is unclear": func(w *world, s *core.ServiceSpec) { w.program("bin/tool", "#!sh\n", true) },
		"no child":               func(w *world, s *core.ServiceSpec) { w.launch.prepareErr = errors.New("x") },
		"exec fails":             func(w *world, s *core.ServiceSpec) { w.launch.releaseErr = errors.New("x") },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			spec := core.ServiceSpec{Path: w.path("bin/tool"), Argv: []string{"tool"}, Dir: w.dir}
			change(w, &spec)
			p, err := w.starter.StartService(context.Background(), spec)
			if err == nil || p != nil {
				t.Errorf("%v, %v", p, err)
			}
			for _, h := range w.launch.held {
				if who := w.identify(h.id); who.Kind != core.Admin {
					t.Errorf("it is registered: %+v", who)
				}
			}
		})
	}
}

func TestOnlyRunningServicesAreRemembered(t *testing.T) {
	w := newWorld(t)
	p, err := w.starter.StartService(t.Context(), core.ServiceSpec{
		As: core.Principal{Kind: core.Plugin, Name: "KeeperLogger"}, Path: w.path("bin/tool"), Argv: []string{"tool"}, Dir: w.dir,
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(w.path("children"), fmt.Sprintf("%d-%d", p.ID().PID, p.ID().Start))
	if group, err := os.ReadFile(path); err != nil || string(group) != w.launch.last().Group() {
		t.Errorf("while it runs: %q, %v", group, err)
	}
	w.launch.last().process.exit(core.ExitStatus{})
	if _, err := p.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("it has ended and is still remembered")
	}
}
