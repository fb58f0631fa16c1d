package keeperpolicy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/wire"
	"kpm/plugins/sdk/sdktest"
)

// filtered is a policy that applies if the job "office" passes.
func filtered(id, control string) string {
	return strings.Replace(policyJSON(id, control, "*"), `"UserCheck"`, `"Extension": {"CustomFilterJobId": "office"}, "UserCheck"`, 1)
}

// A filter job decides whether its policy applies, and grants nothing when it does
// not answer (decision 29). The plugin asks the API for it.
func TestFilterJobsDecideWhetherPoliciesApply(t *testing.T) {
	for _, tc := range []struct {
		name          string
		control       string
		passed, known bool
		want          core.Outcome
	}{
		{"a grant that passes", "ALLOW", true, true, core.Allow},
		{"a grant that does not", "ALLOW", false, true, core.Deny},
		{"a grant of no job", "ALLOW", true, false, core.Deny},
		{"a control that passes", "JUSTIFY", true, true, core.Pending},
		{"a control that does not", "JUSTIFY", false, true, core.Allow},
		{"a control of no job", "JUSTIFY", true, false, core.Pending},
		{"a DENY that passes", "DENY", true, true, core.Deny},
		{"a DENY that does not", "DENY", false, true, core.Allow},
		{"a DENY of no job", "DENY", true, false, core.Deny},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bus := sdktest.New(t)
			bus.Set(wire.PolicyPlugin, map[string]string{})
			values := make(chan map[string]any, 1)
			bus.Jobs(func(id string, context map[string]any) (bool, bool) {
				if id != "office" {
					t.Errorf("job %q was asked", id)
				}
				values <- context
				return tc.passed, tc.known
			})
			files := map[string]string{"a.json": filtered("a", tc.control)}
			if tc.control != "ALLOW" {
				files["b.json"] = policyJSON("b", "ALLOW", "*")
			}
			answers := bus.Listen("Replies/#")
			runPlugin(t, bus, agentRoot(t, files))
			if got := decided(t, bus, answers, ask(t, "/usr/bin/id")); got.Decision != tc.want {
				t.Errorf("got %+v, expected %s", got, tc.want)
			}
			context := <-values
			for key, want := range map[string]string{"RequestId": "REQ", "UserName": "alice", "FilePath": "/usr/bin/id", "CommandLine": "id", "MachineName": "web1"} {
				if context[key] != want {
					t.Errorf("the job was given %s %v, expected %q", key, context[key], want)
				}
			}
		})
	}
}

// While a filter job runs, others are decided on, and who comes with more than their
// part of jobs is decided on without any. A DENY that comes meanwhile holds.
func TestWhileFilterJobsRun(t *testing.T) {
	bus := sdktest.New(t)
	bus.Set(wire.PolicyPlugin, map[string]string{filterSetting: "30"})
	begun, release := make(chan bool, 2*maxUserWaits), make(chan struct{})
	bus.Jobs(func(string, map[string]any) (bool, bool) {
		begun <- true
		<-release
		return true, true
	})
	answers, read := bus.Listen("Replies/KeeperPrivilegeManager/REQ"), bus.Listen(wire.TopicProbed)
	root := agentRoot(t, map[string]string{"a.json": strings.Replace(filtered("a", "ALLOW"), `["*"]`, `["alice"]`, 1), "b.json": policyJSON("b", "ALLOW", "/usr/bin/env")})
	runPlugin(t, bus, root)
	for range maxUserWaits {
		bus.Send(wire.TopicPolicy, ask(t, "/usr/bin/id"))
		<-begun
	}
	if got := decided(t, bus, answers, ask(t, "/usr/bin/id")); got.Decision != core.Deny {
		t.Errorf("one too many: got %+v", got)
	}
	other := ask(t, "/usr/bin/env")
	other.Payload = []byte(strings.ReplaceAll(string(other.Payload), `"alice"`, `"bob"`))
	if got := decided(t, bus, answers, other); got.Decision != core.Allow {
		t.Errorf("somebody else: got %+v", got)
	}
	write(t, root, "c.json", policyJSON("c", "DENY", "*"))
	reload(t, bus, read)
	now := decided(t, bus, answers, other)
	if now.Decision != core.Deny {
		t.Errorf("a DENY that has come: got %+v", now)
	}
	close(release)
	for range maxUserWaits {
		m, err := bus.Next(answers).Decode()
		var got wire.PolicyResponse
		if err == nil {
			err = m.Read(wire.TypePolicyResponse, &got)
		}
		if err != nil || got.Decision != core.Deny || len(got.Policies) != 1 || got.Policies[0].ID != "c" {
			t.Errorf("a DENY came while the job ran: got %+v, %v", got, err)
		}
		if got.Generation != now.Generation {
			t.Errorf("it names the policies %q, and those in force are %q", got.Generation, now.Generation)
		}
	}
}

func TestAFilterJobThatHangsIsNotWaitedFor(t *testing.T) {
	bus := sdktest.New(t)
	bus.Set(wire.PolicyPlugin, map[string]string{filterSetting: "1"})
	end := make(chan struct{})
	t.Cleanup(func() { close(end) })
	bus.Jobs(func(string, map[string]any) (bool, bool) {
		<-end
		return true, true
	})
	answers := bus.Listen("Replies/#")
	runPlugin(t, bus, agentRoot(t, map[string]string{"a.json": filtered("a", "ALLOW")}))
	if got := decided(t, bus, answers, ask(t, "/usr/bin/id")); got.Decision != core.Deny {
		t.Errorf("got %+v", got)
	}
}

func TestLintNamesAJobThatDoesNotExist(t *testing.T) {
	root := agentRoot(t, map[string]string{"a.json": filtered("a", "ALLOW")})
	file := filepath.Join(root, "Policies", "a.json")
	missing := func() bool {
		c := ReadCandidate(Reading{Root: root, Paths: []string{file}}, Tools{})
		return slices.ContainsFunc(lintLines(c), func(text string) bool {
			return strings.HasPrefix(text, "grants nothing") && strings.Contains(text, `$.Extension.CustomFilterJobId: found "office", a job that this machine does not have`)
		})
	}
	if missing() {
		t.Error("without a folder of jobs nothing is known about them")
	}
	if err := os.Mkdir(filepath.Join(root, "Jobs"), 0o755); err != nil {
		t.Fatal(err)
	}
	if !missing() {
		t.Error("lint does not miss the job")
	}
	if err := os.WriteFile(filepath.Join(root, "Jobs", "office.json"), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if missing() {
		t.Error("lint misses a job that is there")
	}
}

func lintLines(c *Candidate) (list []string) {
	for _, f := range c.Review(time.Now()) {
		list = append(list, f.Severity.String()+": "+f.Error())
	}
	return list
}
