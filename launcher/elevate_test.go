package launcher

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kpm/core"
	"kpm/core/wire"
	"kpm/launcher/journal"
	"kpm/launcher/request"
)

func TestAnAllowedCommandRuns(t *testing.T) {
	w := newWorld(t)
	v := w.elevate(w.submission("tool", "-x", "a b"))

	q := v.asked
	want := wire.PolicyRequest{
		RequestID: v.id, SealDigest: q.SealDigest, EventType: "PrivilegeElevation", UserID: "1000", UserName: "ada",
		Groups: ada.Groups, GroupNames: []string{"ada"}, TargetUser: "root", TargetUserID: "0", TargetIsAdministrator: true, MachineName: "host", FilePath: w.path("bin/tool"), RequestedPath: "tool",
		FileHash: q.FileHash, Arguments: []string{"tool", "-x", "a b"}, WorkingDirectory: w.dir,
	}
	if diff := cmp.Diff(want, q); diff != "" {
		t.Errorf("question: %s", diff)
	}
	if len(q.SealDigest) != 64 || len(q.FileHash) != 64 {
		t.Errorf("seal %q, hash %q", q.SealDigest, q.FileHash)
	}

	v.answer(core.Allow)
	e := v.event(wire.EventLaunch)
	if diff := cmp.Diff(map[string]any{
		"RequestId": string(v.id), "EventType": "PrivilegeElevation", "UserName": "ada", "FilePath": w.path("bin/tool"),
		"CommandLine": "tool -x 'a b'", "Arguments": []string{"tool", "-x", "a b"}, "TargetUser": "root", "SessionId": "", "RequestedBy": "", "Agent": "", "RespondToTopic": "Replies/KeeperPrivilegeManager/" + string(v.id),
	}, e.Context); diff != "" {
		t.Errorf("event: %s", diff)
	}
	if err := w.Launch(context.Background(), v.job(wire.EventLaunch), v.id); err != nil {
		t.Fatal(err)
	}
	if master := <-v.caller.started; master != nil {
		t.Error("a terminal was made for a caller without one")
	}
	held := w.launch.last()
	if diff := cmp.Diff([]string{"tool", "-x", "a b"}, held.spec.Argv); diff != "" {
		t.Error(diff)
	}
	if held.content != "\x7fELF tool" || held.spec.Script != "" || held.spec.As.Account.User != "0" || held.spec.Terminal != nil {
		t.Errorf("launched %+v", held.spec)
	}
	if want := "opened evaluating allowed launching launched"; held.recorded != want {
		t.Errorf("recorded before it was released: %s", held.recorded)
	}
	if got := w.identify(held.id); got.Kind != core.User {
		t.Errorf("the running command is %v", got.Kind)
	}
	if state := v.state(); state != request.Running {
		t.Errorf("it is %s", state)
	}
	held.process.exit(core.ExitStatus{Code: 3})
	if r := <-v.result; r.Refused != nil || r.Exit.Code != 3 {
		t.Errorf("ended with %+v", r)
	}
	w.leftovers.looks.Wait()
	if want := "opened evaluating allowed launching launched ended"; w.recorded() != want {
		t.Errorf("recorded: %s", w.recorded())
	}
	if state := v.state(); state != request.Ended {
		t.Errorf("it is %s", state)
	}
	last := w.records()[5]
	if last.Exit == nil || last.Exit.Code != 3 {
		t.Errorf("the end was recorded as %+v", last)
	}
	launched := w.records()[4]
	if launched.Child == nil || launched.Child.ID() != held.id || launched.Child.Group != held.Group() {
		t.Errorf("the child was recorded as %+v", launched.Child)
	}
}

// identify asks for a root process on a connection of its own.
func (w *world) identify(ids ...core.ProcessID) core.Principal {
	p, _ := w.registry.Identify(core.Peer{User: "0", Administrator: true, Processes: ids, SameIdentity: true})
	return p
}

func TestWhoWhatAndWhereAreRecorded(t *testing.T) {
	w := newWorld(t)
	k := w.submission(w.path("home/mine"), "--all")
	v := w.elevate(k)
	v.answer(core.Deny)
	v.refused()
	r := w.records()[0]
	r.Seq, r.Time, r.Prev = 0, time.Time{}, ""
	want := journal.Record{Type: journal.Opened, Request: v.id, UserID: "1000", User: "ada", TargetID: "0", Target: "root",
		Program: &core.Executable{Requested: w.path("home/mine"), Path: w.path("home/mine"), SHA256: v.asked.FileHash},
		Argv:    []string{w.path("home/mine"), "--all"}, Directory: w.dir, Seal: v.asked.SealDigest, Caller: k.journalled()}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Error(diff)
	}
	denied := w.records()[2]
	if denied.By != "KeeperPolicy" || denied.Cause != "deny" || len(denied.Policies) != 1 {
		t.Errorf("the denial was recorded as %+v", denied)
	}
	data, err := os.ReadFile(filepath.Join(w.path("Audit"), "journal-00000000000000000001.jsonl"))
	if err != nil || strings.Contains(string(data), "LD_PRELOAD") || strings.Contains(string(data), "xterm") {
		t.Errorf("the environment is in the journal (%v)", err)
	}
}

func TestADenialSaysWhichPolicyAndWhatToDo(t *testing.T) {
	cases := map[string]struct {
		answer wire.PolicyResponse
		says   string
	}{
		"by name": {wire.PolicyResponse{Decision: core.Deny, Policies: []core.PolicyRef{{ID: "1", Name: "No shells"}, {ID: "2"}}},
			`is denied by policy "No shells", "2". Ask whoever writes the policies`},
		"in its own words": {wire.PolicyResponse{Decision: core.Deny, Policies: []core.PolicyRef{{ID: "1"}}, Message: "No shells: use the wiki."},
			`/tool: No shells: use the wiki.`},
		"no policy": {wire.PolicyResponse{Decision: core.Deny}, "no policy allows "},
		"a name that moves the cursor": {wire.PolicyResponse{Decision: core.Deny, Policies: []core.PolicyRef{{Name: "a\x1b[2Jb\u202e"}}},
			`"a\x1b[2Jb\u202e"`},
		"words that break the line": {wire.PolicyResponse{Decision: core.Deny, Message: "x\ny"}, "x\ufffdy"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			v := w.elevate(w.submission("tool"))
			c.answer.RequestID, c.answer.SealDigest = v.id, v.asked.SealDigest
			if err := w.Answer(policy, c.answer); err != nil {
				t.Fatal(err)
			}
			r := v.refused()
			if r.Code != "denied" || !strings.Contains(r.Message, c.says) || strings.ContainsAny(r.Message, "\x1b\n\u202e") {
				t.Errorf("%s: %q", r.Code, r.Message)
			}
		})
	}
}

func TestOnlyKeeperPolicyDecidesAndOnlyOnce(t *testing.T) {
	w := newWorld(t)
	v := w.elevate(w.submission("tool"))
	good := wire.PolicyResponse{RequestID: v.id, SealDigest: v.asked.SealDigest, Decision: core.Allow}
	other := good
	other.SealDigest = strings.Repeat("0", 64)
	unknown := good
	unknown.RequestID = "NEVER"
	cases := map[string]struct {
		from core.Principal
		a    wire.PolicyResponse
		want error
	}{
		"nobody":                 {core.Principal{}, good, ErrNotPermitted},
		"root":                   {core.Principal{Kind: core.Admin, User: "0"}, good, ErrNotPermitted},
		"another plugin":         {core.Principal{Kind: core.Plugin, Name: "KeeperLogger"}, good, ErrNotPermitted},
		"KeeperPolicy as a user": {core.Principal{Kind: core.Plugin, Name: "KeeperPolicy", InUserSession: true}, good, ErrNotPermitted},
		"the request's own job":  {v.job(wire.EventLaunch), good, ErrNotPermitted},
		"the service":            {core.ServicePrincipal(), good, ErrNotPermitted},
		"another seal":           {policy, other, ErrNotPermitted},
		"another request":        {policy, unknown, request.ErrUnknown},
	}
	for name, c := range cases {
		if err := w.Answer(c.from, c.a); !errors.Is(err, c.want) || v.state() != request.Evaluating {
			t.Errorf("%s: %v, now %s; expected %v", name, err, v.state(), c.want)
		}
	}
	if err := w.Answer(policy, good); err != nil || v.state() != request.Allowed {
		t.Fatalf("KeeperPolicy: %v, now %s", err, v.state())
	}
	deny := good
	deny.Decision = core.Deny
	if err := w.Answer(policy, deny); !errors.Is(err, request.ErrConflict) || v.state() != request.Allowed {
		t.Errorf("a second answer: %v, now %s", err, v.state())
	}
}

func TestWhatIsNotAPlainYesIsANo(t *testing.T) {
	cases := map[string]struct {
		decision core.Outcome
		controls []core.Control
		becomes  request.State
		required []core.Control
	}{
		"allow":                        {core.Allow, nil, request.Allowed, nil},
		"allow and notify":             {core.Allow, []core.Control{core.ControlNotify, core.ControlAudit, core.ControlAllow}, request.Allowed, nil},
		"deny":                         {core.Deny, nil, request.Denied, nil},
		"pending":                      {core.Pending, []core.Control{core.ControlJustify, badgeName}, request.Pending, []core.Control{badgeName, core.ControlJustify}},
		"pending and notify":           {core.Pending, []core.Control{core.ControlJustify, core.ControlRecord}, request.Pending, []core.Control{core.ControlJustify}},
		"pending, unknown control":     {core.Pending, []core.Control{"BLOOD"}, request.Denied, nil},
		"pending without controls":     {core.Pending, nil, request.Denied, nil},
		"pending, only notify":         {core.Pending, []core.Control{core.ControlNotify}, request.Denied, nil},
		"allow that demands a control": {core.Allow, []core.Control{core.ControlMFA}, request.Denied, nil},
		"allow, unknown control":       {core.Allow, []core.Control{"BLOOD"}, request.Denied, nil},
		"allow and deny":               {core.Allow, []core.Control{core.ControlDeny}, request.Denied, nil},
		"a word of its own":            {"allow", nil, request.Denied, nil},
		"no word":                      {"", nil, request.Denied, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, withBadge(true))
			v := w.elevate(w.submission("tool"))
			e, err := w.find(v.id)
			if err != nil {
				t.Fatal(err)
			}
			v.answer(c.decision, c.controls...)
			if v.state() != c.becomes {
				t.Errorf("it is %s, expected %s", v.state(), c.becomes)
			}
			if diff := cmp.Diff(c.required, e.req.Missing()); diff != "" && c.required != nil {
				t.Error(diff)
			}
		})
	}
}

func TestOnlyTheLaunchJobOfThisRequestLaunches(t *testing.T) {
	w := newWorld(t)
	v := w.elevate(w.submission("tool"))
	job := v.job(wire.EventLaunch)
	if err := w.Launch(context.Background(), job, v.id); !errors.Is(err, request.ErrConflict) {
		t.Errorf("before policy allowed it: %v", err)
	}
	v.answer(core.Allow)
	other, user, named := job, job, job
	other.Request, user.InUserSession, named.Name = "R2", true, "my-launch"
	for name, from := range map[string]core.Principal{
		"nobody": {}, "root": {Kind: core.Admin, User: "0"}, "the service": core.ServicePrincipal(), "KeeperPolicy": policy,
		"another request's run": other, "the run as a user": user, "another job of this request": named,
	} {
		if err := w.Launch(context.Background(), from, v.id); !errors.Is(err, ErrNotPermitted) || v.state() != request.Allowed {
			t.Errorf("%s: %v, now %s", name, err, v.state())
		}
	}
	if err := w.Launch(context.Background(), job, "NEVER"); !errors.Is(err, request.ErrUnknown) {
		t.Errorf("an unknown request: %v", err)
	}
	if len(w.launch.held) != 0 {
		t.Fatal("something was prepared")
	}
	if err := w.Launch(context.Background(), job, v.id); err != nil {
		t.Fatal(err)
	}
	again := func() {
		t.Helper()
		if err := w.Launch(context.Background(), job, v.id); !errors.Is(err, request.ErrConflict) || len(w.launch.held) != 1 {
			t.Errorf("a second launch: %v, %d children", err, len(w.launch.held))
		}
	}
	again()
	w.launch.last().process.exit(core.ExitStatus{})
	<-v.result
	again() // the request is gone, and remembered
}

func TestDeadlinesAndJobsThatDoNothing(t *testing.T) {
	pend := func(v *visit) {
		v.answer(core.Pending, core.ControlJustify)
		v.event(wire.EventPolicyEvaluationPending)
	}
	allow := func(v *visit) { v.answer(core.Allow); v.event(wire.EventLaunch) }
	wait := func(d time.Duration) func(*visit) { return func(*visit) { time.Sleep(d) } }
	control := "privilege-elevation-policy-controls"
	cases := map[string]struct {
		do   []func(*visit)
		code string
		says string
	}{
		"policy does not answer":   {[]func(*visit){wait(5 * time.Second)}, "denied", "no decision came in time"},
		"nobody satisfies":         {[]func(*visit){pend, wait(130 * time.Second)}, "expired", "was not allowed in time"},
		"nobody launches":          {[]func(*visit){allow, wait(10 * time.Second)}, "failed", "no job launched it in time"},
		"no job for the controls":  {[]func(*visit){pend, func(v *visit) { v.w.EventUnhandled(wire.EventPolicyEvaluationPending, v.id) }}, "failed", "no enabled job handles PolicyEvaluationPending"},
		"no job for the launch":    {[]func(*visit){allow, func(v *visit) { v.w.EventUnhandled(wire.EventLaunch, v.id) }}, "failed", "no enabled job handles LaunchPrivilegeElevation"},
		"the control job gives up": {[]func(*visit){pend, func(v *visit) { v.w.JobEnded(v.job(control), wire.EventPolicyEvaluationPending, errors.New("x")) }}, "failed", "ended without doing its part"},
		"the launch job gives up":  {[]func(*visit){allow, func(v *visit) { v.w.JobEnded(v.job(wire.EventLaunch), wire.EventLaunch, nil) }}, "failed", "ended without doing its part"},
		"a control job says no":    {[]func(*visit){pend, func(v *visit) { v.w.Refuse(v.job(control), v.id, "not\x1btoday") }}, "denied", "not\ufffdtoday"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t)
				v := w.elevate(w.submission("tool"))
				for _, do := range c.do {
					do(v)
				}
				if r := v.refused(); r.Code != c.code || !strings.Contains(r.Message, c.says) {
					t.Errorf("%s: %s", r.Code, r.Message)
				}
				if len(w.launch.held) != 0 {
					t.Error("something was launched")
				}
			})
		})
	}
}

func TestNewsAboutOtherJobsAndStatesChangesNothing(t *testing.T) {
	w := newWorld(t)
	v := w.elevate(w.submission("tool"))
	v.answer(core.Allow)
	v.event(wire.EventLaunch)
	w.JobEnded(v.job("audit-everything"), wire.EventLaunch, errors.New("x")) // listens to the same event
	w.JobEnded(v.job(wire.EventLaunch), "SomethingElse", nil)
	w.JobEnded(v.job("privilege-elevation-policy-controls"), wire.EventPolicyEvaluationPending, nil)
	w.EventUnhandled(wire.EventPolicyEvaluationPending, v.id)
	w.EventUnhandled("Startup", "")
	w.EventUnhandled(wire.EventLaunch, "NEVER")
	if err := w.Refuse(v.job("x"), v.id, "no"); !errors.Is(err, request.ErrConflict) {
		t.Errorf("refused what policy allowed: %v", err)
	}
	if v.state() != request.Allowed {
		t.Errorf("it is %s", v.state())
	}
	if err := w.Launch(context.Background(), v.job(wire.EventLaunch), v.id); err != nil {
		t.Fatal(err)
	}
	w.JobEnded(v.job(wire.EventLaunch), wire.EventLaunch, nil) // it has done its part
	if v.state() != request.Running {
		t.Errorf("it is %s", v.state())
	}
}

func TestACallerWhoLeavesIsDenied(t *testing.T) {
	for name, to := range map[string]func(*visit){
		"Evaluating": func(*visit) {},
		"Pending": func(v *visit) {
			v.answer(core.Pending, core.ControlJustify)
			v.event(wire.EventPolicyEvaluationPending)
		},
		"Allowed": func(v *visit) { v.answer(core.Allow); v.event(wire.EventLaunch) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			v := w.elevate(w.submission("tool"))
			to(v)
			v.leave()
			if r := v.refused(); r.Code != "denied" {
				t.Errorf("%s: %s", r.Code, r.Message)
			}
			if err := w.Launch(context.Background(), v.job(wire.EventLaunch), v.id); !errors.Is(err, request.ErrConflict) || len(w.launch.held) != 0 {
				t.Errorf("launched for nobody: %v", err)
			}
		})
	}
}

func TestACallerMayHaveSoManyRequestsOpen(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, func(_ *world, c *Config) {
			c.Limits.MaxOpenPerUser = 2
		})
		first, second := w.elevate(w.submission("tool")), w.elevate(w.submission("tool"))
		first.answer(core.Pending, "JUSTIFY")
		second.answer(core.Pending, "JUSTIFY")
		// A third one waits until one of them is done.
		third := w.begin(w.submission("tool"))
		synctest.Wait()
		first.leave()
		first.refused()
		third.asked = <-w.bus.asks
		third.id = third.asked.RequestID
		third.answer(core.Pending, "JUSTIFY")

		// And not for ever.
		begun := time.Now()
		r := w.begin(w.submission("tool")).refused()
		if waited := time.Since(begun); r.Code != "unavailable" || !strings.Contains(r.Message, "2 requests of yours") || waited != w.patience() {
			t.Errorf("after %v: %s: %s", waited, r.Code, r.Message)
		}
		other := w.submission("tool")
		other.Peer.User = "0"
		v := w.elevate(other)
		for _, v := range []*visit{second, third, v} {
			v.leave()
			v.refused()
		}
	})
}

// A command that runs is no open request: only MaxRunning bounds it.
func TestCommandsThatRunKeepNobodyWaiting(t *testing.T) {
	w := newWorld(t, func(_ *world, c *Config) { c.Limits.MaxOpenPerUser, c.Limits.MaxRunningPerUser = 1, 3 })
	var running []*fakeProcess
	for range 3 {
		running = append(running, w.elevate(w.submission("tool")).run())
	}
	if r := w.begin(w.submission("tool")).refused(); r.Code != "unavailable" || !strings.Contains(r.Message, "3 commands of yours run") {
		t.Errorf("%s: %s", r.Code, r.Message)
	}
	running[0].exit(core.ExitStatus{})
	w.elevateSoon(w.submission("tool"))
}

func TestEveryFileOfASubmissionIsClosed(t *testing.T) {
	w := newWorld(t)
	for _, command := range []string{w.path("bin/tool"), w.path("home/mine"), w.path("nothing")} {
		w.program("nothing", "", true)
		k := w.submission(command)
		if command == w.path("nothing") {
			k.Argv = nil // refused at once
		}
		files := []*os.File{k.Dir, k.Streams.Input, k.Streams.Output, k.Streams.Error, k.Executable}
		v := w.begin(k)
		if k.Argv != nil {
			v.asked = <-w.bus.asks
			v.id = v.asked.RequestID
			v.answer(core.Deny)
		}
		v.refused()
		for i, f := range files {
			if !isClosedFile(f) {
				t.Errorf("%s: file %d is still open", command, i)
			}
		}
	}
}
