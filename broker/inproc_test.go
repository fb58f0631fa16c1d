package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"kpm/core"
	"kpm/core/wire"
)

// The way of one question: the service asks, KeeperPolicy reads and answers, the
// service hears who answered.
func TestQuestionAndAnswer(t *testing.T) {
	type heardAnswer struct {
		from  core.Principal
		topic string
		m     wire.RequestMessage
	}
	for _, version := range bothVersions {
		b := newBus(t)
		heard := make(chan heardAnswer, 1)
		if err := b.Subscribe("Replies/KeeperPrivilegeManager/#", func(from core.Principal, topic string, m wire.RequestMessage) {
			heard <- heardAnswer{from, topic, m}
		}); err != nil {
			t.Fatal(err)
		}
		r := b.admitted(policy, version)
		r.subscribe("KeeperPolicy", 2)
		id := b.ask(t, evaluating)
		_, payload := r.delivered("KeeperPolicy")
		m, err := wire.Decode([]byte(payload))
		if err != nil || m.MessageID != id || m.Source != "KeeperPrivilegeManager" {
			t.Fatalf("%v %+v", err, m)
		}
		r.publish(m.ReplyTopic, 1, 1, message(t, wire.TypePolicyResponse, policy.Principal,
			wire.PolicyResponse{RequestID: evaluating, Decision: core.Allow}, answering(id)))
		got := receive(t, "the answer", heard)
		if got.from != policy.Principal || got.topic != m.ReplyTopic || got.m.CorrelationID != id {
			t.Errorf("%+v", got)
		}
	}
}

func TestTheServiceIsRefusedLikeAnyone(t *testing.T) {
	b := newBus(t)
	b.withRequests()
	for name, err := range map[string]error{
		"a launch that is not allowed": b.Publish(t.Context(), wire.TopicEvents, envelope(t, wire.TypeEvent, service.Principal, event("LaunchPrivilegeElevation", pending))),
		"someone else's name":          b.Publish(t.Context(), wire.TopicEvents, envelope(t, wire.TypeEvent, bridge.Principal, event("Startup", ""))),
		"its own answer":               b.Publish(t.Context(), wire.ReplyTopic(service.Principal, string(evaluating)), envelope(t, wire.TypePolicyResponse, service.Principal, wire.PolicyResponse{RequestID: evaluating})),
		"a $ topic":                    b.Publish(t.Context(), "$SYS/x", envelope(t, wire.TypeLog, service.Principal, wire.LogEntry{})),
		"a plugin's launch":            b.PublishAs(t.Context(), bridge.Principal, wire.TopicEvents, message(t, wire.TypeEvent, bridge.Principal, event("LaunchPrivilegeElevation", allowed))),
		"a job's undeclared topic":     b.PublishAs(t.Context(), job.Principal, "Nosy/x", []byte("x")),
		"too much":                     b.PublishAs(t.Context(), job.Principal, "KeeperLogger", make([]byte, wire.MaxMessage+1)),
	} {
		if !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := b.Stats().RefusedPublishes; got != 7 {
		t.Errorf("%d counted", got)
	}
	if err := b.Publish(t.Context(), "x", wire.RequestMessage{Payload: []byte(`"` + strings.Repeat("x", wire.MaxMessage) + `"`)}); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("too much: %v", err)
	}
}

// What the service publishes for a job has the job's rights and name.
func TestPublishForAJob(t *testing.T) {
	b := newBus(t)
	heard := make(chan core.Principal, 1)
	if err := b.Subscribe(wire.TopicEvents, func(from core.Principal, _ string, _ wire.RequestMessage) { heard <- from }); err != nil {
		t.Fatal(err)
	}
	sub := b.admitted(bridge, 4)
	sub.subscribe(wire.TopicEvents, 1)
	if err := b.PublishAs(t.Context(), job.Principal, wire.TopicEvents, message(t, wire.TypeEvent, job.Principal, event("Custom", ""))); err != nil {
		t.Fatal(err)
	}
	if from := receive(t, "the event", heard); from != job.Principal {
		t.Errorf("from %v", from)
	}
	sub.expect("the event", 0x30)
}

func TestHandlersHearInOrderAndOnlyMessages(t *testing.T) {
	b := newBus(t)
	heard := b.listenTo("KeeperLogger")
	r := b.admitted(bridge, 4)
	for i := range 200 {
		r.publish("KeeperLogger", 0, 0, []byte("no message at all"))
		r.publish("KeeperLogger", byte(i%2), uint16(i%2), line(t, bridge, fmt.Sprint(i)))
	}
	for i := range 200 {
		expectHeard(t, heard, fmt.Sprint("MyBridge KeeperLogger ", i))
	}
	if got := b.Stats().Malformed; got != 200 {
		t.Errorf("%d malformed counted", got)
	}
}

// A handler that hangs loses messages, and holds up neither the publisher nor
// other handlers.
func TestAHandlerThatHangs(t *testing.T) {
	for _, tc := range []struct {
		name    string
		payload []byte
		room    int
	}{
		{"messages", []byte("x"), maxLocal},
		{"bytes", make([]byte, 1<<19), maxQueuedBytes/(1<<19) - 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBus(t)
			release, entered := make(chan struct{}), make(chan struct{}, 8)
			free := sync.OnceFunc(func() { close(release) })
			t.Cleanup(free) // before Close waits for the handler
			if err := b.Subscribe("#", func(core.Principal, string, wire.RequestMessage) {
				entered <- struct{}{}
				<-release
			}); err != nil {
				t.Fatal(err)
			}
			other := b.listenTo("KeeperLogger")
			publish := func(payload []byte) error {
				return b.PublishAs(t.Context(), bridge.Principal, "KeeperLogger", payload)
			}
			if err := publish(line(t, bridge, "first")); err != nil {
				t.Fatal(err)
			}
			receive(t, "the first message", entered)
			for i := range tc.room {
				// The other handler has read this one, which is no message,
				// when it has counted it.
				if err := publish(tc.payload); err != nil {
					t.Fatalf("message %d: %v", i, err)
				}
				eventually(t, "the other handler", func() bool { return b.Stats().Malformed == uint64(i+1) })
			}
			if err := publish(tc.payload); !errors.Is(err, ErrBusy) {
				t.Errorf("one too many: %v", err)
			}
			r := b.admitted(bridge, 4)
			r.publish("KeeperLogger", 1, 1, line(t, bridge, strings.Repeat("x", len(tc.payload))))
			r.expect("PUBACK", 0x40)
			expectHeard(t, other, "MyBridge KeeperLogger first")
			expectHeard(t, other, "MyBridge KeeperLogger "+strings.Repeat("x", len(tc.payload)))
			if got := b.Stats().Dropped[ServiceBehind]; got != 2 {
				t.Errorf("%d dropped", got)
			}
			free()
			eventually(t, "room again", func() bool { return publish(line(t, bridge, "last")) == nil })
			receive(t, "the last message", entered)
		})
	}
}

// A handler may use the bus.
func TestAHandlerMayPublish(t *testing.T) {
	b := newBus(t)
	heard := b.listenTo("pong")
	if err := b.Subscribe("ping", func(core.Principal, string, wire.RequestMessage) {
		if err := b.Publish(context.Background(), "pong", envelope(t, wire.TypeLog, service.Principal, wire.LogEntry{Message: "back"})); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := b.Publish(t.Context(), "ping", envelope(t, wire.TypeLog, service.Principal, wire.LogEntry{})); err != nil {
		t.Fatal(err)
	}
	expectHeard(t, heard, "KeeperPrivilegeManager pong back")
}

func TestAClosedBroker(t *testing.T) {
	b := newBus(t)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	m := envelope(t, wire.TypeLog, service.Principal, wire.LogEntry{})
	if err := b.Publish(cancelled, "x", m); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Publish(t.Context(), "x", m); !errors.Is(err, ErrClosed) {
		t.Errorf("publish: %v", err)
	}
	if err := b.Subscribe("x", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("subscribe: %v", err)
	}
	for _, filter := range []string{"$SYS/#", "", "a/#/b"} {
		if err := b.Subscribe(filter, nil); err == nil {
			t.Errorf("subscribed to %q", filter)
		}
	}
}

func TestNewNeedsItsPorts(t *testing.T) {
	w := newWorld()
	whole := Config{Peers: w, Registry: w, Topics: w, Requests: w}
	for name, remove := range map[string]func(*Config){
		"Peers":    func(c *Config) { c.Peers = nil },
		"Registry": func(c *Config) { c.Registry = nil },
		"Topics":   func(c *Config) { c.Topics = nil },
		"Requests": func(c *Config) { c.Requests = nil },
	} {
		cfg := whole
		remove(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("a broker without %s", name)
		}
	}
	if b, err := New(whole); err != nil || b.ServeTLS(newPipes()) == nil {
		t.Errorf("%v, or TLS without a certificate", err)
	}
}

// Attack: a plugin that shows notices runs in each user's session, as that user, who
// reads there what was said to others. One that names nobody is everybody's.
func TestANoticeReachesNobodyElsesSession(t *testing.T) {
	b := newBus(t)
	own, all := b.admitted(desktop, 5), b.admitted(nosy, 5)
	own.subscribe(wire.TopicClient, 1)
	all.subscribe("#", 1)
	for _, n := range []wire.Notice{{Message: "bob's", UserID: "1001"}, {Message: "alice's", UserID: "1000"}, {Message: "anybody's"}} {
		if err := b.Publish(t.Context(), wire.TopicClient, envelope(t, wire.TypeNotice, service.Principal, n)); err != nil {
			t.Fatal(err)
		}
	}
	for r, want := range map[*raw][]string{own: {"alice's", "anybody's"}, all: {"bob's", "alice's", "anybody's"}} {
		for _, text := range want {
			if _, payload := r.delivered(wire.TopicClient); !strings.Contains(payload, text) {
				t.Errorf("expected %s, heard %s", text, payload)
			}
		}
	}
}
