package keeperpolicy

import (
	"encoding/json"
	"io/fs"
	"os/user"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kpm/core"
	"kpm/core/wire"
	"kpm/plugins/sdk/sdktest"
)

// brief is the documented form of a question.
func brief(payload string) wire.RequestMessage {
	return wire.RequestMessage{Type: wire.TypePolicyRequest, Payload: json.RawMessage(payload)}
}

// town is a machine with alice, who is in two groups.
func town() people {
	alice := &user.User{Uid: "1000", Username: "alice"}
	find := func(key, is string) (*user.User, error) {
		if key == is {
			return alice, nil
		}
		return nil, user.UnknownUserError(key)
	}
	return people{
		byName: func(name string) (*user.User, error) { return find(name, "alice") },
		byID:   func(id string) (*user.User, error) { return find(id, "1000") },
		groups: func(*user.User) ([]string, error) { return []string{"1000", "33"}, nil },
		groupName: func(id string) (*user.Group, error) {
			return &user.Group{Name: map[string]string{"1000": "alice", "33": "web"}[id]}, nil
		},
		directory: func() bool { return false },
	}
}

// merged follows links of its own.
func merged(path string, _ func(string, bool, bool)) (string, error) {
	to, there := map[string]string{"/usr/bin/systemctl": "/usr/bin/systemctl", "/bin/systemctl": "/usr/bin/systemctl", "/usr/bin/vi": "/usr/bin/vim.basic"}[path]
	if !there {
		return "", fs.ErrNotExist
	}
	return to, nil
}

// User, machine, application, command line and event type are enough.
func TestTheDocumentedQuestionIsEnough(t *testing.T) {
	for _, tc := range []struct {
		name, payload          string
		file, requested, argv0 string
		arguments              []string
	}{
		{"whole", `{"User": "alice", "Machine": "web1", "Application": "/bin/systemctl", "CommandLine": "systemctl restart 'my unit'", "EventType": "PrivilegeElevation"}`,
			"/usr/bin/systemctl", "/bin/systemctl", "systemctl", []string{"restart", "my unit"}},
		{"names of the long form", `{"UserName": "alice", "MachineName": "web1", "FilePath": "/usr/bin/systemctl", "CommandLine": "restart nginx", "EventType": "PrivilegeElevation"}`,
			"/usr/bin/systemctl", "", "systemctl", []string{"restart", "nginx"}},
		{"any letter case", `{"user": "alice", "machine": "web1", "application": "systemctl", "commandline": "", "eventtype": "PrivilegeElevation"}`,
			"/usr/bin/systemctl", "systemctl", "systemctl", nil},
		{"a link", `{"User": "alice", "Machine": "web1", "Application": "vi", "CommandLine": "vi \"/etc/a b\"", "EventType": "PrivilegeElevation"}`,
			"/usr/bin/vim.basic", "vi", "vi", []string{"/etc/a b"}},
		{"a program that is not there", `{"User": "alice", "Machine": "web1", "Application": "/opt/later", "EventType": "PrivilegeElevation"}`,
			"/opt/later", "/opt/later", "later", nil},
	} {
		q, err := readQuestion(brief(tc.payload), town(), merged)
		want := wire.PolicyRequest{
			EventType: "PrivilegeElevation", UserName: "alice", UserID: "1000", Groups: []string{"1000", "33"}, GroupNames: []string{"alice", "web"},
			MachineName: "web1", FilePath: tc.file, RequestedPath: tc.requested, Arguments: append([]string{tc.argv0}, tc.arguments...),
		}
		if diff := cmp.Diff(want, q); err != nil || diff != "" {
			t.Errorf("%s: %v %s", tc.name, err, diff)
		}
	}
}

// A question that cannot be understood names the field.
func TestAQuestionThatCannotBeUnderstoodNamesTheField(t *testing.T) {
	e, _ := logged(Config{Root: agentRoot(t, map[string]string{"a.json": policyJSON("a", "ALLOW", "*")}), Open: openAny, Resolve: merged})
	e.load(false)
	for _, tc := range []struct{ payload, says string }{
		{`{}`, "EventType: found none, expected a policy type, such as PrivilegeElevation."},
		{`{"EventType": "PrivilegeElevation", "Application": "systemctl"}`, "User: found none, expected the name of the user who asks."},
		{`{"EventType": "PrivilegeElevation", "User": "nosuchuser", "Application": "systemctl"}`, `User: found "nosuchuser", expected a user of this machine.`},
		{`{"EventType": "PrivilegeElevation", "User": "root"}`, "Application: found none, expected a path, or the name of a program."},
		{`{"EventType": "PrivilegeElevation", "User": "root", "Application": "bin/x"}`, `Application: found "bin/x", expected an absolute path`},
		{`{"EventType": "PrivilegeElevation", "User": "root", "Application": "nosuchprogram"}`, `Application: found "nosuchprogram", expected a program on the service's secure path.`},
		{`{"EventType": "PrivilegeElevation", "User": "root", "Application": "systemctl", "CommandLine": "systemctl 'x"}`, "CommandLine: found"},
		{`{"EventType": "Elevation", "User": "root", "Application": "systemctl"}`, `EventType: found "Elevation", expected a policy type: PrivilegeElevation, CommandLine, `},
		{`{"EventType": 1, "User": "root", "Application": "systemctl"}`, "EventType: found number, expected string."},
		{`{"EventType": "PrivilegeElevation", "User": "root", "Application": "systemctl", "Arguments": "x"}`, "Arguments: found string, expected array."},
		{`"may root?"`, "Payload: found string, expected object."},
		{`{"EventType": "PrivilegeElevation", "User": 7}`, "User: found number, expected string."},
		{`{"RequestId": "REQ", "EventType": "PrivilegeElevation", "UserName": "alice", "FilePath": "/usr/bin/id", "Arguments": ["id"]}`, "UserId: found none"},
		{`{"RequestId": "REQ", "EventType": "PrivilegeElevation", "UserId": "1000", "UserName": "alice", "FilePath": "/usr/bin/id"}`, "Arguments: found none"},
		{`{"RequestId": "REQ", "EventType": "PrivilegeElevation", "UserId": "4294967295", "UserName": "alice", "FilePath": "/usr/bin/id", "Arguments": ["id"]}`, "UserId: found 4294967295"},
	} {
		if _, got := e.answer(brief(tc.payload)); got.Decision != core.Deny || !strings.HasPrefix(got.Message, malformed) || !strings.Contains(got.Message, tc.says) {
			t.Errorf("%s: %s %q, want %q", tc.payload, got.Decision, got.Message, tc.says)
		}
	}
}

// A type is read in any letter case, as policies have it. Of a type by which nothing
// is granted, a DENY that meets the question is named; an address is no path.
func TestTypesOfQuestions(t *testing.T) {
	e, _ := logged(Config{Root: agentRoot(t, map[string]string{
		"a.json": policyJSON("a", "ALLOW", "*"),
		"h.json": strings.Replace(policyJSON("h", "DENY", "*"), "PrivilegeElevation", "HttpAccess", 1),
	}), Open: openAny, Resolve: merged})
	e.load(false)
	for _, tc := range []struct {
		payload string
		want    core.Outcome
		by      string
	}{
		{`{"EventType": "privilegeelevation", "User": "daemon", "Application": "/usr/bin/systemctl"}`, core.Allow, "a"},
		{`{"EventType": "HttpAccess", "User": "daemon", "Application": "https://www.example.com/x"}`, core.Deny, "h"},
		{`{"EventType": "HttpAccess", "User": "daemon", "Application": "/usr/bin/systemctl"}`, core.Deny, "h"},
	} {
		if _, got := e.answer(brief(tc.payload)); got.Decision != tc.want || len(got.Policies) != 1 || got.Policies[0].ID != tc.by {
			t.Errorf("%s: %+v, want %s by %s", tc.payload, got, tc.want, tc.by)
		}
	}
}

// Attack: a question that the service has sealed says nothing of groups, and some
// are looked up for it: what the service leaves out stays out.
func TestASealedQuestionIsTakenAsItIs(t *testing.T) {
	for _, sealed := range []string{`"RequestId": "REQ"`, `"SealDigest": "SEAL"`} {
		q, err := readQuestion(brief(`{`+sealed+`, "EventType": "PrivilegeElevation", "UserName": "alice", "User": "bob", "Application": "systemctl"}`), town(), merged)
		if err != nil || q.UserID != "" || q.Groups != nil || q.FilePath != "" || q.UserName != "alice" {
			t.Errorf("%v %+v", err, q)
		}
	}
}

// Somebody whom this machine's files do not know may be in any group.
func TestSomebodyOfADirectory(t *testing.T) {
	q, err := readQuestion(brief(`{"EventType": "PrivilegeElevation", "UserId": "7000", "UserName": "CORP\\ann", "Application": "systemctl"}`), town(), merged)
	if err != nil || !q.GroupsUnknown || q.UserID != "7000" {
		t.Errorf("%v %+v", err, q)
	}
	some := town()
	some.directory = func() bool { return true }
	if q, err = readQuestion(brief(`{"EventType": "PrivilegeElevation", "User": "alice", "Application": "systemctl"}`), some, merged); err != nil || !q.GroupsUnknown {
		t.Errorf("%v %+v", err, q)
	}
}

func TestSplitCommandLine(t *testing.T) {
	for _, tc := range []struct {
		line     string
		platform core.Platform
		want     []string
	}{
		{"", core.Linux, nil},
		{"  a \t b\n", core.Linux, []string{"a", "b"}},
		{`a "b c" 'd "e' ""`, core.Linux, []string{"a", "b c", `d "e`, ""}},
		{`a\ b "c\"d\e" 'f\g'`, core.Linux, []string{"a b", `c"d\e`, `f\g`}},
		{`$(id) *`, core.Linux, []string{"$(id)", "*"}},
		{`"C:\Program Files\x.exe" it's`, core.Windows, []string{`C:\Program Files\x.exe`, "it's"}},
	} {
		if got, err := splitCommandLine(tc.line, tc.platform); err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("%q: %q, %v", tc.line, got, err)
		}
	}
	for _, line := range []string{`"a`, `'a`, `a\`} {
		if got, err := splitCommandLine(line, core.Linux); err == nil {
			t.Errorf("%q: %q", line, got)
		}
	}
}

func FuzzSplitCommandLine(f *testing.F) {
	for _, seed := range []string{"", `a "b c"`, `\`, `'"`, "a\x00b", "\xff 'x'"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words, err := splitCommandLine(line, core.Linux)
		if err != nil {
			return
		}
		// Words that are quoted come back as they are.
		var b strings.Builder
		for _, w := range words {
			b.WriteString(" '" + strings.ReplaceAll(w, "'", `'\''`) + "'")
		}
		if again, err := splitCommandLine(b.String(), core.Linux); err != nil || !slices.Equal(again, words) {
			t.Errorf("%q: %q, then %q (%v)", line, words, again, err)
		}
	})
}

// slowFolder waits when it is read.
type slowFolder struct {
	Folder
	reading, goOn chan struct{}
}

func (s slowFolder) Names() ([]string, error) {
	close(s.reading)
	<-s.goOn
	return s.Folder.Names()
}

// While policies are read, decisions go on by those in force.
func TestDecisionsDoNotWaitForReading(t *testing.T) {
	root := agentRoot(t, map[string]string{"a.json": policyJSON("a", "ALLOW", "/usr/bin/id")})
	e, log := logged(Config{Root: root, Open: openAny})
	if !e.load(false) {
		t.Fatal(log)
	}
	write(t, root, "a.json", policyJSON("a", "DENY", "/usr/bin/id"))
	slow := slowFolder{reading: make(chan struct{}), goOn: make(chan struct{})}
	first := true
	e.cfg.Open = func(path string) (Folder, error) {
		folder, err := openAny(path)
		if first && err == nil {
			first, slow.Folder = false, folder
			return slow, nil
		}
		return folder, err
	}
	loaded := make(chan bool)
	go func() { loaded <- e.load(false) }()
	<-slow.reading
	if _, got := e.answer(ask(t, "/usr/bin/id")); got.Decision != core.Allow {
		t.Errorf("while it reads: %+v", got)
	}
	close(slow.goOn)
	if !<-loaded {
		t.Error("it was not read")
	}
	if _, got := e.answer(ask(t, "/usr/bin/id")); got.Decision != core.Deny {
		t.Errorf("afterwards: %+v", got)
	}
}

// A plugin asks in the documented form, over the bus.
func TestAPluginAsksInTheDocumentedForm(t *testing.T) {
	bus := sdktest.New(t)
	bus.Set(wire.PolicyPlugin, map[string]string{enforceSetting: "true"})
	answers := bus.Listen("Replies/Bridge/+")
	runPlugin(t, bus, agentRoot(t, map[string]string{"a.json": strings.Replace(policyJSON("a", "JUSTIFY", "/opt/tool"), `["*"]`, `["root"]`, 1)}))
	for payload, want := range map[string]core.Outcome{
		`{"User": "root", "Machine": "web1", "Application": "/opt/tool", "CommandLine": "tool -x", "EventType": "PrivilegeElevation"}`:   core.Pending,
		`{"User": "daemon", "Machine": "web1", "Application": "/opt/tool", "CommandLine": "tool -x", "EventType": "PrivilegeElevation"}`: core.Deny,
	} {
		q := brief(payload)
		q.MessageID, q.Source, q.ReplyTopic = "Q", "Bridge", "Replies/Bridge/Q"
		bus.Send(wire.TopicPolicy, q)
		m, err := bus.Next(answers).Decode()
		var got wire.PolicyResponse
		if err == nil {
			err = m.Read(wire.TypePolicyResponse, &got)
		}
		if err != nil || got.Decision != want || m.CorrelationID != "Q" {
			t.Errorf("%s: %v %+v", payload, err, got)
		}
	}
}

// What somebody may run is asked by the service, which has looked up everything:
// nothing is added to it.
func TestListingsAreAnsweredAsTheyAreAsked(t *testing.T) {
	e, log := logged(Config{Root: agentRoot(t, map[string]string{"a.json": strings.Replace(policyJSON("a", "ALLOW", "/usr/bin/id"), `["*"]`, `["%root"]`, 1), "b.json": policyJSON("b", "JUSTIFY", "/usr/bin/env")}), Open: openAny})
	if !e.load(true) {
		t.Fatal(log)
	}
	_, got := e.answer(brief(`{"EventType": "List", "UserId": "0", "UserName": "root", "MachineName": "web1", "FilePath": "/", "Arguments": []}`))
	if got.Decision != core.Deny || got.Listing == nil || len(got.Listing.Permissions) != 1 || got.Listing.Permissions[0].ID != "b" {
		t.Errorf("%+v", got)
	}
	if _, got := e.answer(brief(`{"EventType": "List", "UserName": "root"}`)); got.Listing != nil || !strings.Contains(got.Message, "UserId") {
		t.Errorf("%+v", got)
	}
	unread, _ := logged(Config{Root: t.TempDir(), Open: openAny})
	if _, got := unread.answer(brief(`{"EventType": "List", "UserId": "1", "UserName": "daemon"}`)); got.Listing != nil || got.Message != unreadable {
		t.Errorf("%+v", got)
	}
}
