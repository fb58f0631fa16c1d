package keeperpolicy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"kpm/core"
	"kpm/core/wire"
	"kpm/plugins/sdk"
	"kpm/plugins/sdk/sdktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// policyJSON is a policy for everyone and one program.
func policyJSON(id, control, program string) string {
	return `{"PolicyId": "` + id + `", "PolicyName": "Name of ` + id + `", "PolicyType": "PrivilegeElevation", "Status": "enforce",
		"Actions": {"OnSuccess": {"Controls": ["` + control + `"]}}, "UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["` + program + `"]}`
}

// agentRoot is a root with these files below Policies.
func agentRoot(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		write(t, root, name, text)
	}
	return root
}

// write replaces a policy file as a deployment tool would.
func write(t *testing.T, root, name, text string) {
	t.Helper()
	path := filepath.Join(root, "Policies", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".next", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".next", path); err != nil {
		t.Fatal(err)
	}
}

// openAny takes every folder for one that administrators alone can change.
func openAny(path string) (Folder, error) {
	_, err := os.Stat(path)
	return anyFolder(path), err
}

type anyFolder string

func (f anyFolder) Names() (names []string, err error) {
	entries, err := os.ReadDir(string(f))
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

func (f anyFolder) Read(name string, _ int64) ([]byte, error) {
	return os.ReadFile(filepath.Join(string(f), name))
}

func (anyFolder) Close() error { return nil }

func ask(t *testing.T, program string) wire.RequestMessage {
	t.Helper()
	m, err := wire.New(wire.TypePolicyRequest, "KeeperPrivilegeManager", wire.PolicyRequest{
		RequestID: "REQ", SealDigest: "SEAL", EventType: wire.EventPrivilegeElevation, UserID: "1000", UserName: "alice",
		MachineName: "web1", FilePath: program, RequestedPath: program, Arguments: []string{filepath.Base(program)},
	})
	if err != nil {
		t.Fatal(err)
	}
	m.ReplyTopic = "Replies/KeeperPrivilegeManager/REQ"
	return m
}

// logged is an engine and what it has logged.
func logged(cfg Config) (*engine, *bytes.Buffer) {
	var log bytes.Buffer
	return &engine{cfg: cfg, log: slog.New(slog.NewTextHandler(&log, nil)), now: time.Now, around: newSurroundings()}, &log
}

// answer decides a question of which no filter job says anything.
func (e *engine) answer(m wire.RequestMessage) (wire.PolicyRequest, wire.PolicyResponse) {
	q, response, open := e.begin(m)
	if open != nil {
		e.finish(q, &response, nil)
	}
	return q, response
}

func TestLoadReadsBothFolders(t *testing.T) {
	root := agentRoot(t, map[string]string{
		"a.json":           policyJSON("a", "ALLOW", "/usr/bin/id"),
		"many.json":        "[" + policyJSON("b", "ALLOW", "/usr/bin/env") + "," + policyJSON("c", "DENY", "/usr/bin/env") + "]",
		"synced/s.json":    policyJSON("d", "JUSTIFY", "{approot}/tool"),
		"collections.json": `{"editors": {"Type": "application", "Values": ["/usr/bin/vim.basic"]}}`,
		"e.json":           policyJSON("e", "ALLOW", "editors"),
		"readme.txt":       "no policy",
		".hidden.json":     "{",
		"f.json.next":      "{",
	})
	e, log := logged(Config{Root: root, Open: openAny})
	if !e.load(false) {
		t.Fatal(log)
	}
	for program, want := range map[string]core.Outcome{
		"/usr/bin/id": core.Allow, "/usr/bin/env": core.Deny, root + "/tool": core.Pending,
		"/usr/bin/vim.basic": core.Allow, "/usr/bin/passwd": core.Deny,
	} {
		if _, got := e.answer(ask(t, program)); got.Decision != want {
			t.Errorf("%s: got %+v, want %s", program, got, want)
		}
	}
	if !strings.Contains(log.String(), "files=5 enforcing=5 monitoring=0") {
		t.Error(log)
	}
}

func TestNoPoliciesDenyEverything(t *testing.T) {
	e, log := logged(Config{Root: t.TempDir(), Open: openAny})
	if !e.load(false) {
		t.Error(log)
	}
	if _, got := e.answer(ask(t, "/usr/bin/id")); got.Decision != core.Deny || got.Message == unreadable {
		t.Errorf("got %+v", got)
	}
}

func TestAnswersEchoTheQuestion(t *testing.T) {
	e, _ := logged(Config{Root: agentRoot(t, map[string]string{"a.json": policyJSON("a", "JUSTIFY", "*")}), Open: openAny})
	e.load(false)
	_, got := e.answer(ask(t, "/usr/bin/id"))
	want := wire.PolicyResponse{RequestID: "REQ", SealDigest: "SEAL", Decision: core.Pending,
		Controls: []core.Control{core.ControlJustify}, Policies: []core.PolicyRef{{ID: "a", Name: "Name of a"}}, Generation: e.force.Load().name}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// However many policies apply, the answer fits into a message.
func TestAnswersAreBounded(t *testing.T) {
	many := make([]string, 3*maxNamed)
	for i := range many {
		many[i] = policyJSON(fmt.Sprintf("p%03d", i), "DENY", "*")
	}
	e, _ := logged(Config{Root: agentRoot(t, map[string]string{"a.json": "[" + strings.Join(many, ",") + "]"}), Open: openAny})
	e.load(false)
	if _, got := e.answer(ask(t, "/usr/bin/id")); got.Decision != core.Deny || len(got.Policies) != maxNamed || got.Policies[0].ID != "p000" {
		t.Errorf("%s, %d policies", got.Decision, len(got.Policies))
	}
}

func TestQuestionsThatCannotBeUnderstoodAreDenied(t *testing.T) {
	e, _ := logged(Config{Root: agentRoot(t, map[string]string{"a.json": policyJSON("a", "ALLOW", "*")}), Open: openAny})
	e.load(false)
	for name, payload := range map[string]string{
		"no object":      `[]`,
		"nothing in it":  `{}`,
		"wrong types":    `{"RequestId": "REQ", "UserId": 1000}`,
		"no argv":        `{"RequestId": "REQ", "EventType": "PrivilegeElevation", "UserId": "1000", "UserName": "alice", "FilePath": "/usr/bin/id"}`,
		"nobody's uid":   `{"RequestId": "REQ", "EventType": "PrivilegeElevation", "UserId": "4294967295", "UserName": "alice", "FilePath": "/usr/bin/id", "Arguments": ["id"]}`,
		"another event":  `{"RequestId": "REQ", "EventType": "FileAccess", "UserId": "1000", "UserName": "alice", "FilePath": "/usr/bin/id", "Arguments": ["id"]}`,
		"a relative one": `{"RequestId": "REQ", "EventType": "PrivilegeElevation", "UserId": "1000", "UserName": "alice", "FilePath": "id", "Arguments": ["id"]}`,
	} {
		_, got := e.answer(wire.RequestMessage{Type: wire.TypePolicyRequest, Payload: json.RawMessage(payload)})
		if got.Decision != core.Deny || got.Message == "" || name != "no object" && name != "nothing in it" && got.RequestID != "REQ" {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	if _, got := e.answer(wire.RequestMessage{Type: wire.TypeLog, Payload: json.RawMessage(`{}`)}); got.Decision != core.Deny {
		t.Errorf("another type: got %+v", got)
	}
}

// runPlugin runs the plugin on a bus until the test ends.
func runPlugin(t *testing.T, bus *sdktest.Bus, root string) {
	t.Helper()
	runWith(t, bus, Config{Root: root, Open: openAny})
}

func runWith(t *testing.T, bus *sdktest.Bus, cfg Config) {
	t.Helper()
	a, err := sdk.Start(t.Context(), sdk.Config{ID: wire.PolicyPlugin, Network: bus.Network()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, a, cfg) }()
	t.Cleanup(func() {
		cancel()
		// An answer may have come before it knew that it was heard.
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		a.Close()
	})
	bus.Subscribed(wire.TopicPolicy)
}

// decided asks over the bus.
func decided(t *testing.T, bus *sdktest.Bus, answers <-chan sdk.Message, q wire.RequestMessage) wire.PolicyResponse {
	t.Helper()
	bus.Send(wire.TopicPolicy, q)
	answer, err := bus.Next(answers).Decode()
	if err != nil {
		t.Fatal(err)
	}
	var response wire.PolicyResponse
	if err := answer.Read(wire.TypePolicyResponse, &response); err != nil {
		t.Fatal(err)
	}
	if answer.CorrelationID != q.MessageID || answer.Source != wire.PolicyPlugin || response.RequestID != "REQ" || response.SealDigest != "SEAL" {
		t.Errorf("got %+v of %+v", response, answer)
	}
	return response
}

// reload asks as the service does when files have changed, and returns the answer.
func reload(t *testing.T, bus *sdktest.Bus, read <-chan sdk.Message) (response wire.PolicyResponse) {
	t.Helper()
	q, err := wire.New(wire.TypePolicyRequest, "KeeperPrivilegeManager", wire.Reload())
	if err != nil {
		t.Fatal(err)
	}
	q.ReplyTopic = wire.TopicProbed
	bus.Send(wire.TopicPolicy, q)
	answer, err := bus.Next(read).Decode()
	if err == nil {
		err = answer.Read(wire.TypePolicyResponse, &response)
	}
	if err != nil || answer.CorrelationID != q.MessageID || response.Decision != core.Deny {
		t.Fatalf("%+v, %v", response, err)
	}
	return response
}

// Folders may come, go and be exchanged between two readings.
func TestPluginReadsWhatLiesThere(t *testing.T) {
	bus := sdktest.New(t)
	bus.Set(wire.PolicyPlugin, map[string]string{enforceSetting: "false"})
	root := t.TempDir() // not even a Policies folder
	answers, read := bus.Listen("Replies/KeeperPrivilegeManager/REQ"), bus.Listen(wire.TopicProbed)
	runPlugin(t, bus, root)
	then := func(what string, want core.Outcome) {
		t.Helper()
		reload(t, bus, read)
		if got := decided(t, bus, answers, ask(t, "/usr/bin/id")); got.Decision != want {
			t.Errorf("%s: %+v, expected %s", what, got, want)
		}
	}
	then("no policies", core.Deny)
	write(t, root, "a.json", policyJSON("a", "ALLOW", "/usr/bin/id"))
	then("a file in a new folder", core.Allow)
	write(t, root, "a.json", policyJSON("a", "JUSTIFY", "/usr/bin/id"))
	then("a file replaced", core.Pending)
	write(t, root, "synced/b.json", policyJSON("b", "DENY", "/usr/bin/id"))
	then("a file in a new folder below", core.Deny)
	if err := os.RemoveAll(filepath.Join(root, "Policies", "synced")); err != nil {
		t.Fatal(err)
	}
	then("a folder removed", core.Pending)
	write(t, root, "synced/b.json", policyJSON("b", "DENY", "/usr/bin/id"))
	then("a folder made again", core.Deny)
	if err := os.Rename(filepath.Join(root, "Policies"), filepath.Join(root, "Old")); err != nil {
		t.Fatal(err)
	}
	write(t, root, "a.json", policyJSON("a", "ALLOW", "/usr/bin/id"))
	then("all of it exchanged", core.Allow)
	write(t, root, "a.json", policyJSON("a", "DENY", "/usr/bin/id"))
	then("a file in the exchanged folder", core.Deny)
}

// The service's question after files have changed is answered when they are in force,
// and whoever asks next is decided on by them.
func TestReloadIsAnsweredWhenPoliciesAreInForce(t *testing.T) {
	bus := sdktest.New(t)
	bus.Set(wire.PolicyPlugin, map[string]string{enforceSetting: "false"})
	root := t.TempDir()
	answers, read := bus.Listen("Replies/KeeperPrivilegeManager/REQ"), bus.Listen(wire.TopicProbed)
	runPlugin(t, bus, root)
	var generation string
	for i, want := range []core.Outcome{core.Allow, core.Deny, core.Allow, core.Deny} {
		write(t, root, "a.json", policyJSON("a", string(want), "/usr/bin/id"))
		got := reload(t, bus, read)
		if got.Fault != "" || got.Generation == "" || got.Generation == generation {
			t.Errorf("reload %d: %+v after generation %q", i, got, generation)
		}
		generation = got.Generation
		if d := decided(t, bus, answers, ask(t, "/usr/bin/id")).Decision; d != want {
			t.Errorf("reload %d: %s right afterwards, expected %s", i, d, want)
		}
	}
	write(t, root, "a.json", "{")
	if got := reload(t, bus, read); !strings.Contains(got.Fault, "a.json") {
		t.Errorf("a broken file: %+v", got)
	}
	if d := decided(t, bus, answers, ask(t, "/usr/bin/id")).Decision; d != core.Deny {
		t.Errorf("a broken file: its last good version is not in force: %s", d)
	}
	write(t, root, "a.json", policyJSON("a", "ALLOW", "/usr/bin/id"))
	if got := reload(t, bus, read); got.Fault != "" {
		t.Errorf("corrected: %+v", got)
	}
}

func TestPluginSurvivesGarbage(t *testing.T) {
	bus := sdktest.New(t)
	bus.Set(wire.PolicyPlugin, map[string]string{})
	answers := bus.Listen("Replies/#")
	runPlugin(t, bus, agentRoot(t, map[string]string{"a.json": policyJSON("a", "ALLOW", "*")}))
	unanswerable := ask(t, "/usr/bin/id")
	unanswerable.ReplyTopic = ""
	for _, garbage := range []string{"", "null", "{}", `{"MessageType": "PolicyRequest"}`, "\xff", strings.Repeat("[", 10000)} {
		bus.Publish(wire.TopicPolicy, []byte(garbage))
	}
	bus.Send(wire.TopicPolicy, unanswerable)
	if got := decided(t, bus, answers, ask(t, "/usr/bin/id")); got.Decision != core.Allow {
		t.Errorf("got %+v", got)
	}
}

func TestAdministratorsAreSubjectToPolicyAsTheSettingSays(t *testing.T) {
	for _, tc := range []struct {
		name   string
		values map[string]string // nil: no settings
		want   core.Outcome
	}{
		{"false", map[string]string{enforceSetting: "false"}, core.Allow},
		{"not set", map[string]string{}, core.Allow},
		{"true", map[string]string{enforceSetting: "true"}, core.Deny},
		{"nonsense", map[string]string{enforceSetting: "perhaps"}, core.Deny},
		{"no settings", nil, core.Deny},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bus := sdktest.New(t)
			if tc.values != nil {
				bus.Set(wire.PolicyPlugin, tc.values)
			}
			answers := bus.Listen("Replies/#")
			runPlugin(t, bus, t.TempDir())
			q := ask(t, "/usr/bin/id")
			q.Payload = bytes.Replace(q.Payload, []byte(`"IsAdministrator":false`), []byte(`"IsAdministrator":true`), 1)
			if got := decided(t, bus, answers, q); got.Decision != tc.want {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestDecisionsAreLoggedWithoutArguments(t *testing.T) {
	bus := sdktest.New(t)
	bus.Set(wire.PolicyPlugin, map[string]string{})
	log, answers := bus.Listen(wire.TopicLogger), bus.Listen("Replies/#")
	watching := strings.Replace(policyJSON("m", "DENY", "*"), "enforce", "monitor", 1)
	runPlugin(t, bus, agentRoot(t, map[string]string{"a.json": policyJSON("a", "ALLOW", "*"), "m.json": watching}))
	q := ask(t, "/usr/bin/id")
	q.Payload = bytes.Replace(q.Payload, []byte(`"Arguments":["id"]`), []byte(`"Arguments":["id","--token=hunter2"]`), 1)
	decided(t, bus, answers, q)
	var entries []wire.LogEntry
	for len(entries) < 3 {
		m := bus.Next(log)
		if bytes.Contains(m.Payload, []byte("hunter2")) {
			t.Errorf("the log holds an argument: %s", m.Payload)
		}
		envelope, err := m.Decode()
		if err != nil {
			t.Fatal(err)
		}
		var entry wire.LogEntry
		if err := envelope.Read(wire.TypeLog, &entry); err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry)
	}
	want := []wire.LogEntry{
		{Level: "Information", Message: "policies in force", Fields: map[string]any{"files": 2.0, "enforcing": 1.0, "monitoring": 1.0}},
		{Level: "Information", Message: "decided", Fields: map[string]any{
			"request": "REQ", "user": "alice", "program": "/usr/bin/id", "decision": "ALLOW", "policies": []any{"a"}}},
		{Level: "Information", Message: "a monitoring policy is met", Fields: map[string]any{
			"request": "REQ", "user": "alice", "program": "/usr/bin/id", "policy": "m", "would be": "DENY", "controls": "[]"}},
	}
	if diff := cmp.Diff(want, entries); diff != "" {
		t.Error(diff)
	}
}
