package broker

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/core/wire"
)

// table returns the cells of the first Markdown table below heading.
func table(t *testing.T, heading string) [][]string {
	t.Helper()
	data, err := os.ReadFile("../docs/wire.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(data), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("docs/wire.md has no section %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var rows [][]string
	for line := range strings.SplitSeq(section, "\n") {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		var cells []string
		for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		rows = append(rows, cells)
	}
	return rows[2:] // without the header and its rule
}

func TestAuthorityIsTheDocumentedTable(t *testing.T) {
	rows := table(t, "Authority")
	if len(rows) != len(authority) {
		t.Fatalf("docs/wire.md has %d rows, the code %d", len(rows), len(authority))
	}
	for i, r := range authority {
		want := strings.Join(rows[i], " | ")
		got := strings.Join([]string{"`" + r.topic + "`", string(r.op), string(r.kind), string(r.subject), r.state}, " | ")
		if got != want {
			t.Errorf("row %d\ncode %s\ndocs %s", i+1, got, want)
		}
	}
}

func (m member) speaker() *speaker { return &speaker{m.Principal, m.publish, m.subscribe} }

const (
	evaluating = core.RequestID("EVALUATING")
	pending    = core.RequestID("PENDING")
	allowed    = core.RequestID("ALLOWED")
	ended      = core.RequestID("ENDED")
)

func (w *world) withRequests() {
	w.set(evaluating, "Evaluating")
	w.set(pending, "Pending")
	w.set(allowed, "Allowed")
	w.set(ended, "Ended")
}

func event(name string, id core.RequestID) wire.Event {
	e := wire.Event{Name: name}
	if id != "" {
		e.Context = map[string]any{"RequestId": string(id)}
	}
	return e
}

// Who may say what on authority topics: every row of the table, and for each the
// ways to be one step beside it.
func TestPublishOnAuthorityTopics(t *testing.T) {
	asked := func(id core.RequestID) wire.PolicyRequest {
		return wire.PolicyRequest{RequestID: id, UserName: "alice"}
	}
	toService := wire.ReplyTopic(service.Principal, string(evaluating))
	for _, tc := range []struct {
		name    string
		who     member
		topic   string
		message string
		payload any
		change  func(*wire.RequestMessage)
		ok      bool
	}{
		{"the service asks", service, "KeeperPolicy", wire.TypePolicyRequest, asked(evaluating), replyTo(toService), true},
		{"about a request that is not Evaluating", service, "KeeperPolicy", wire.TypePolicyRequest, asked(allowed), replyTo(wire.ReplyTopic(service.Principal, string(allowed))), false},
		{"about an unknown request", service, "KeeperPolicy", wire.TypePolicyRequest, asked("NONE"), replyTo(wire.ReplyTopic(service.Principal, "NONE")), false},
		{"about no request", service, "KeeperPolicy", wire.TypePolicyRequest, asked(""), replyTo(toService), false},
		{"with another request's reply topic", service, "KeeperPolicy", wire.TypePolicyRequest, asked(evaluating), replyTo("Replies/KeeperPrivilegeManager/PENDING"), false},
		{"with a plugin's reply topic", service, "KeeperPolicy", wire.TypePolicyRequest, asked(evaluating), replyTo("Replies/MyBridge/1"), false},

		{"a plugin asks", bridge, "KeeperPolicy", wire.TypePolicyRequest, asked(""), replyTo("Replies/MyBridge/1"), true},
		{"a job asks", job, "KeeperPolicy", wire.TypePolicyRequest, asked(""), replyTo("Replies/some-job/1"), true},
		{"and wants the answer on its own topic", bridge, "KeeperPolicy", wire.TypePolicyRequest, asked(""), replyTo("MyBridge/Commands/1"), true},
		{"a plugin with a RequestId", bridge, "KeeperPolicy", wire.TypePolicyRequest, asked(evaluating), replyTo("Replies/MyBridge/1"), false},
		{"a plugin with a seal", bridge, "KeeperPolicy", wire.TypePolicyRequest, wire.PolicyRequest{SealDigest: "x"}, replyTo("Replies/MyBridge/1"), false},
		{"undeclared", logger, "KeeperPolicy", wire.TypePolicyRequest, asked(""), replyTo("Replies/KeeperLogger/1"), false},
		{"declared as # only", nosy, "KeeperPolicy", wire.TypePolicyRequest, asked(""), replyTo("Replies/Nosy/1"), false},
		{"a plugin in a user's session", desktop, "KeeperPolicy", wire.TypePolicyRequest, asked(""), replyTo("Replies/KeeperClient/1"), false},
		{"a reply topic of someone else", bridge, "KeeperPolicy", wire.TypePolicyRequest, asked(""), replyTo("Replies/Nosy/1"), false},
		{"a reply topic of the service", bridge, "KeeperPolicy", wire.TypePolicyRequest, asked(""), replyTo(toService), false},
		{"a reply topic with a wildcard", bridge, "KeeperPolicy", wire.TypePolicyRequest, asked(""), replyTo("Replies/MyBridge/+"), false},
		{"a reply topic of two levels", bridge, "KeeperPolicy", wire.TypePolicyRequest, asked(""), replyTo("Replies/MyBridge"), false},
		{"a reply topic of four levels", bridge, "KeeperPolicy", wire.TypePolicyRequest, asked(""), replyTo("Replies/MyBridge/1/2"), false},
		{"a reply topic where jobs start", bridge, "KeeperPolicy", wire.TypePolicyRequest, asked(""), replyTo("EventMessages"), false},
		{"an undeclared reply topic", bridge, "KeeperPolicy", wire.TypePolicyRequest, asked(""), replyTo("Nosy/1"), false},
		{"no reply topic", bridge, "KeeperPolicy", wire.TypePolicyRequest, asked(""), nil, false},
		{"no MessageId", bridge, "KeeperPolicy", wire.TypePolicyRequest, asked(""), func(m *wire.RequestMessage) { m.ReplyTopic, m.MessageID = "Replies/MyBridge/1", "" }, false},
		{"in someone's name", bridge, "KeeperPolicy", wire.TypePolicyRequest, asked(""), func(m *wire.RequestMessage) { m.ReplyTopic, m.Source = "Replies/MyBridge/1", "KeeperPrivilegeManager" }, false},
		{"an answer where questions belong", policy, "KeeperPolicy", wire.TypePolicyResponse, wire.PolicyResponse{}, nil, false},

		{"the policy pends", service, "EventMessages", wire.TypeEvent, event("PolicyEvaluationPending", pending), nil, true},
		{"but not this request", service, "EventMessages", wire.TypeEvent, event("PolicyEvaluationPending", allowed), nil, false},
		{"launch", service, "EventMessages", wire.TypeEvent, event("LaunchPrivilegeElevation", allowed), nil, true},
		{"launch too early", service, "EventMessages", wire.TypeEvent, event("LaunchPrivilegeElevation", pending), nil, false},
		{"launch again", service, "EventMessages", wire.TypeEvent, event("LaunchPrivilegeElevation", ended), nil, false},
		{"launch nothing", service, "EventMessages", wire.TypeEvent, event("LaunchPrivilegeElevation", ""), nil, false},
		{"the service starts", service, "EventMessages", wire.TypeEvent, event("Startup", ""), nil, true},
		{"the service has no other events", service, "EventMessages", wire.TypeEvent, event("Custom", ""), nil, false},
		{"a plugin's event", bridge, "EventMessages", wire.TypeEvent, event("Custom", ""), nil, true},
		{"a job's event", job, "EventMessages", wire.TypeEvent, event("Custom", ""), nil, true},
		{"a plugin says launch", bridge, "EventMessages", wire.TypeEvent, event("LaunchPrivilegeElevation", allowed), nil, false},
		{"a job says launch", job, "EventMessages", wire.TypeEvent, event("LaunchPrivilegeElevation", allowed), nil, false},
		{"KeeperPolicy says launch", policy, "EventMessages", wire.TypeEvent, event("LaunchPrivilegeElevation", allowed), nil, false},
		{"in other letters", bridge, "EventMessages", wire.TypeEvent, event("launchprivilegeelevation", allowed), nil, false},
		{"a plugin says pending", bridge, "EventMessages", wire.TypeEvent, event("PolicyEvaluationPending", pending), nil, false},
		{"a plugin says startup", bridge, "EventMessages", wire.TypeEvent, event("STARTUP", ""), nil, false},
		{"a plugin says approved", bridge, "EventMessages", wire.TypeEvent, event("launchapprovedrequest", ""), nil, false},
		{"a job grants", job, "EventMessages", wire.TypeEvent, event("GrantFileAccess", ""), nil, false},
		{"the service grants", service, "EventMessages", wire.TypeEvent, event("GrantFileAccess", ""), nil, true},
		{"an event without a name", bridge, "EventMessages", wire.TypeEvent, event("", ""), nil, false},
		{"an undeclared event", logger, "EventMessages", wire.TypeEvent, event("Custom", ""), nil, false},
		{"declared as # only, an event", nosy, "EventMessages", wire.TypeEvent, event("Custom", ""), nil, false},
		{"an event from a user's session", desktop, "EventMessages", wire.TypeEvent, event("Custom", ""), nil, false},
		{"an event of a task that runs as a user", script, "EventMessages", wire.TypeEvent, event("Custom", ""), nil, false},
		{"another type", bridge, "EventMessages", wire.TypeLog, wire.LogEntry{}, nil, false},

		{"a job has ended", service, "JobService", wire.TypeJobCompleted, wire.JobCompleted{}, nil, true},
		{"a plugin that declares it asks for a run", bridge, "JobService", wire.TypeTriggerJob, wire.TriggerJob{JobID: "j"}, nil, true},
		{"a job that does not", job, "JobService", wire.TypeTriggerJob, wire.TriggerJob{JobID: "j"}, nil, false},
		{"by a wildcard", nosy, "JobService", wire.TypeTriggerJob, wire.TriggerJob{JobID: "j"}, nil, false},
		{"from a user's session", desktop, "JobService", wire.TypeTriggerJob, wire.TriggerJob{JobID: "j"}, nil, false},
		{"says a plugin", bridge, "JobService", wire.TypeJobCompleted, wire.JobCompleted{}, nil, false},

		{"an unasked answer to the service", policy, toService, wire.TypePolicyResponse, wire.PolicyResponse{RequestID: evaluating, Decision: core.Allow}, answering("GUESS"), false},
		{"an unasked answer to a plugin", policy, "Replies/MyBridge/1", wire.TypePolicyResponse, wire.PolicyResponse{}, answering("GUESS"), false},
		{"a plugin answers", bridge, toService, wire.TypePolicyResponse, wire.PolicyResponse{RequestID: evaluating, Decision: core.Allow}, nil, false},
		{"a plugin writes to its own replies", bridge, "Replies/MyBridge/1", wire.TypePolicyResponse, wire.PolicyResponse{}, nil, false},
		{"Replies itself", nosy, "Replies", wire.TypeLog, wire.LogEntry{}, nil, false},
		{"below Replies", nosy, "Replies/Nosy/1/2/3", wire.TypeLog, wire.LogEntry{}, nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBus(t)
			b.withRequests()
			change := tc.change
			if change == nil {
				change = func(*wire.RequestMessage) {}
			}
			data := message(t, tc.message, tc.who.Principal, tc.payload, change)
			_, err := b.check(tc.who.speaker(), tc.topic, false, data)
			if (err == nil) != tc.ok {
				t.Errorf("got %v, permitted should be %v", err, tc.ok)
			}
			if _, err := b.check(tc.who.speaker(), tc.topic, true, data); err == nil {
				t.Error("permitted with the retain flag")
			}
		})
	}
}

func TestPublishOnOrdinaryTopics(t *testing.T) {
	b := newBus(t)
	for _, tc := range []struct {
		who   member
		topic string
		ok    bool
	}{
		{bridge, "KeeperLogger", true},
		{bridge, "MyBridge/Responses/1", true},
		{bridge, "MyBridge/Responses/1/2", false},
		{bridge, "MyBridge", false}, // subscribed to, not published
		{bridge, "", false},
		{logger, "KeeperLogger", false},
		{job, "Jobs/some-job/events", true},
		{job, "Jobs/other/events", false},
		{desktop, "KeeperClient/Status", true},
		{nosy, "anything/at/all", true},
		{nosy, "KeeperPolicy/secret", true}, // only KeeperPolicy itself is an authority topic
		{nosy, "$SYS/broker", false},
		{nosy, "$share/g/x", false},
		{nosy, "a/+", false},
		{nosy, "a/#", false},
		{nosy, "a\x1b[2J", false},
		{nosy, strings.Repeat("/", 1025), false},
		{alice, "KeeperLogger", false},
		{service, "MyBridge/Commands/x", true},
		{service, "$SYS/x", false},
	} {
		_, err := b.check(tc.who.speaker(), tc.topic, false, []byte("anything"))
		if (err == nil) != tc.ok {
			t.Errorf("%s on %.40q: got %v, permitted should be %v", tc.who.Principal, tc.topic, err, tc.ok)
		}
	}
}

// What may be subscribed to, and what may be received: one rule, for filters and
// for topics.
func TestRead(t *testing.T) {
	for _, tc := range []struct {
		who    member
		filter string
		ok     bool
	}{
		{policy, "KeeperPolicy", true},
		{bridge, "KeeperPolicy", false}, // declared, and still
		{nosy, "KeeperPolicy", false},
		{policy, "Replies/KeeperPolicy/#", true},
		{policy, "Replies/KeeperPrivilegeManager/#", false},
		{bridge, "Replies/MyBridge/#", true},
		{bridge, "Replies/MyBridge/1", true},
		{bridge, "Replies/MyBridge/+", true},
		{bridge, "Replies/+/1", false},
		{bridge, "Replies/#", false},
		{nosy, "Replies/#", false}, // declared, and still
		{nosy, "Replies/MyBridge/1", false},
		{nosy, "Replies", false},
		{desktop, "Replies/KeeperClient/#", true},
		{bridge, "EventMessages", true},
		{nosy, "EventMessages", false}, // # does not declare it
		{desktop, "EventMessages", false},
		{job, "EventMessages", false}, // jobs are started by events, they do not read them
		{bridge, "JobService", true},
		{job, "JobService", true},
		{script, "JobService", false},
		{nosy, "JobService", false},
		{nosy, "#", true}, // and receives nothing of the above through it
		{nosy, "+", true},
		{nosy, "+/+", true},
		{bridge, "#", false},
		{bridge, "MyBridge", true},
		{bridge, "MyBridge/Commands/1", true},
		{bridge, "MyBridge/Commands/+", true},
		{bridge, "MyBridge/Commands/#", false},
		{bridge, "MyBridge/#", false},
		{alice, "KeeperLogger", false},
	} {
		if got := tc.who.speaker().mayRead(tc.filter); got != tc.ok {
			t.Errorf("%s reads %q: got %v, want %v", tc.who.Principal, tc.filter, got, tc.ok)
		}
	}
}

// ask publishes the service's question about id and returns its MessageId.
func (b *bus) ask(t testing.TB, id core.RequestID) string {
	t.Helper()
	b.set(id, "Evaluating")
	m := envelope(t, wire.TypePolicyRequest, service.Principal, wire.PolicyRequest{RequestID: id},
		replyTo(wire.ReplyTopic(service.Principal, string(id))))
	if err := b.Publish(t.Context(), wire.TopicPolicy, m); err != nil {
		t.Fatal(err)
	}
	return m.MessageID
}

func (b *bus) answer(t testing.TB, who member, topic string, id core.RequestID, question string) error {
	t.Helper()
	data := message(t, wire.TypePolicyResponse, who.Principal, wire.PolicyResponse{RequestID: id, Decision: core.Allow}, answering(question))
	_, err := b.check(who.speaker(), topic, false, data)
	return err
}

func TestAnAnswerNeedsAQuestion(t *testing.T) {
	toService := wire.ReplyTopic(service.Principal, string(evaluating))
	for _, tc := range []struct {
		name  string
		try   func(b *bus, question string) error
		ok    bool
		after bool // the right answer may still come
	}{
		{"the answer", func(b *bus, q string) error { return b.answer(t, policy, toService, evaluating, q) }, true, false},
		{"to another question", func(b *bus, q string) error { return b.answer(t, policy, toService, evaluating, q+"x") }, false, true},
		{"about another request", func(b *bus, q string) error { return b.answer(t, policy, toService, pending, q) }, false, true},
		{"about no request", func(b *bus, q string) error { return b.answer(t, policy, toService, "", q) }, false, true},
		{"to a plugin", func(b *bus, q string) error { return b.answer(t, policy, "Replies/MyBridge/1", evaluating, q) }, false, true},
		{"from a plugin", func(b *bus, q string) error { return b.answer(t, nosy, toService, evaluating, q) }, false, true},
		{"from a job of that name", func(b *bus, q string) error {
			pretender := job
			pretender.Name = wire.PolicyPlugin
			return b.answer(t, pretender, toService, evaluating, q)
		}, false, true},
		{"from a user's session", func(b *bus, q string) error {
			pretender := policy
			pretender.InUserSession = true
			return b.answer(t, pretender, toService, evaluating, q)
		}, false, true},
		{"when it is decided", func(b *bus, q string) error {
			b.set(evaluating, "Allowed")
			defer b.set(evaluating, "Evaluating")
			return b.answer(t, policy, toService, evaluating, q)
		}, false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBus(t)
			question := b.ask(t, evaluating)
			if err := tc.try(b, question); (err == nil) != tc.ok {
				t.Errorf("got %v, permitted should be %v", err, tc.ok)
			}
			if err := b.answer(t, policy, toService, evaluating, question); (err == nil) != tc.after {
				t.Errorf("then the answer: got %v, permitted should be %v", err, tc.after)
			}
		})
	}
}

func TestAnAnswerWhereThePluginWantsIt(t *testing.T) {
	b := newBus(t)
	ask := func(topic string) string {
		m := envelope(t, wire.TypePolicyRequest, bridge.Principal, wire.PolicyRequest{}, replyTo(topic))
		data, _ := m.Encode()
		if _, err := b.check(bridge.speaker(), "KeeperPolicy", false, data); err != nil {
			t.Fatal(err)
		}
		return m.MessageID
	}
	for _, topic := range []string{"Replies/MyBridge/1", "MyBridge/Commands/answer"} {
		question := ask(topic)
		if err := b.answer(t, nosy, "Replies/MyBridge/1", "", question); err == nil {
			t.Errorf("%s: someone else may answer", topic)
		}
		if err := b.answer(t, policy, topic, "", question); err != nil {
			t.Errorf("%s: %v", topic, err)
		}
		if err := b.answer(t, policy, topic, "", question); err == nil {
			t.Errorf("%s: answered twice", topic)
		}
	}
}

func TestQuestionsAreBoundedAndExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ps := newPermits()
		for i := range maxOpenQuestions {
			if !ps.open(permit{"topic", fmt.Sprint(i)}) {
				t.Fatalf("question %d was refused", i)
			}
		}
		if ps.open(permit{"topic", "one more"}) {
			t.Error("one more than the limit")
		}
		time.Sleep(questionLife - 1)
		if !ps.use(permit{"topic", "0"}) {
			t.Error("expired too early")
		}
		time.Sleep(time.Nanosecond)
		if ps.use(permit{"topic", "1"}) {
			t.Error("did not expire")
		}
		time.Sleep(time.Second)
		if !ps.open(permit{"topic", "after the others expired"}) {
			t.Error("expired questions take up room")
		}
	})
}

// A plugin that asks and asks must not keep the service from asking.
func TestThePluginsQuestionsLeaveRoomForTheService(t *testing.T) {
	b := newBus(t)
	for i := range maxOpenQuestions {
		b.otherReplies.open(permit{"topic", fmt.Sprint(i)})
	}
	data := message(t, wire.TypePolicyRequest, bridge.Principal, wire.PolicyRequest{}, replyTo("Replies/MyBridge/1"))
	if _, err := b.check(bridge.speaker(), "KeeperPolicy", false, data); err == nil {
		t.Error("a plugin may ask without limit")
	}
	b.ask(t, evaluating)
}

// Two readers of one message must not understand it differently.
func TestAmbiguousMessagesAreRefused(t *testing.T) {
	for _, tc := range []struct {
		json string
		ok   bool
	}{
		{`{}`, true},
		{`[1,{"a":1},{"a":1}]`, true},
		{`{"a":1,"b":{"a":2},"c":[{"a":3},{"a":4}]}`, true},
		{`{"a":"a","b":"a"}`, true},
		{`{"a\"b":1,"a":2}`, true},
		{`{"a":"{\"b\":1,\"b\":2}"}`, true},
		{`{"a":1,"a":2}`, false},
		{`{"EventName":"x","eventname":"LaunchPrivilegeElevation"}`, false},
		{`{"a":1,"\u0061":2}`, false},
		{`{"Source":1,"ſource":2}`, false}, // encoding/json takes both for Source
		{`{"k":1,"K":2}`, false},
		{`{"x":{"y":[{"a":1,"b":2,"A":3}]}}`, false},
		{` { "a" : [ ] , "a" : { } } `, false},
	} {
		if err := unambiguous([]byte(tc.json)); (err == nil) != tc.ok || err != nil && !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", tc.json, err)
		}
	}

	b := newBus(t)
	data := strings.Replace(string(message(t, wire.TypeEvent, bridge.Principal, event("Custom", ""))),
		`"EventName"`, `"eventname":"LaunchPrivilegeElevation","EventName"`, 1)
	if _, err := b.check(bridge.speaker(), "EventMessages", false, []byte(data)); !errors.Is(err, errAmbiguous) {
		t.Errorf("%s: %v", data, err)
	}
}
