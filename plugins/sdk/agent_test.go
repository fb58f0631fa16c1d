package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kpm/core/wire"
	"kpm/plugins/sdk"
	"kpm/plugins/sdk/sdktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, bus *sdktest.Bus) *sdk.Agent {
	t.Helper()
	a, err := sdk.Start(t.Context(), sdk.Config{ID: "MyBridge", Network: bus.Network()})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// collect subscribes and returns what the handler saw.
func collect(t *testing.T, a *sdk.Agent, filter string, direct bool) <-chan sdk.Message {
	t.Helper()
	seen := make(chan sdk.Message, 4096)
	subscribe := a.Subscribe
	if direct {
		subscribe = a.SubscribeDirect
	}
	if err := subscribe(t.Context(), filter, func(m sdk.Message) { seen <- m }); err != nil {
		t.Fatal(err)
	}
	return seen
}

func TestMessagesArriveInOrder(t *testing.T) {
	for _, direct := range []bool{false, true} {
		t.Run(fmt.Sprintf("direct=%v", direct), func(t *testing.T) {
			bus := sdktest.New(t)
			a := start(t, bus)
			defer a.Close()
			seen := collect(t, a, "MyBridge/+", direct)
			const many = 3 * 256 // more than the queue holds
			for i := range many {
				bus.Publish("MyBridge/x", fmt.Append(nil, i))
			}
			for i := range many {
				if m := bus.Next(seen); m.Topic != "MyBridge/x" || string(m.Payload) != fmt.Sprint(i) {
					t.Fatalf("message %d is %s on %s", i, m.Payload, m.Topic)
				}
			}
		})
	}
}

func TestPublishAndReply(t *testing.T) {
	bus := sdktest.New(t)
	a := start(t, bus)
	defer a.Close()
	answers := bus.Listen("Replies/Asker/+")
	question, err := wire.New(wire.TypePolicyRequest, "Asker", map[string]any{})
	if err != nil {
		t.Fatal(err)
	}
	question.ReplyTopic = "Replies/Asker/1"
	err = a.SubscribeDirect(t.Context(), "MyBridge", func(m sdk.Message) {
		q, err := m.Decode()
		if err == nil {
			err = a.Reply(q, wire.TypePolicyResponse, wire.PolicyResponse{Decision: "DENY"})
		}
		if err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	bus.Send("MyBridge", question)
	answer, err := bus.Next(answers).Decode()
	if err != nil || answer.CorrelationID != question.MessageID || answer.Source != "MyBridge" || answer.Type != wire.TypePolicyResponse {
		t.Errorf("got %+v, %v", answer, err)
	}
	for _, topic := range []string{"", "Replies/#", "$SYS"} {
		question.ReplyTopic = topic
		if err := a.Reply(question, wire.TypePolicyResponse, nil); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("a reply to %q: %v", topic, err)
		}
	}
}

func TestClientIDs(t *testing.T) {
	pid := fmt.Sprint(os.Getpid())
	for _, tc := range []struct{ token, user, want string }{
		{"", "", "MyBridge_" + pid},
		{"", "alice", "MyBridge_alice_" + pid},
		{"SECRET", "", "MyBridge_SECRET_" + pid},
	} {
		t.Run(tc.want, func(t *testing.T) {
			t.Setenv("KEEPER_JOB_TOKEN", tc.token)
			bus := sdktest.New(t)
			a, err := sdk.Start(t.Context(), sdk.Config{ID: "MyBridge", SessionUser: tc.user, Network: bus.Network()})
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			if got := bus.Clients(); !slices.Equal(got, []string{tc.want}) {
				t.Errorf("got %v, want %s", got, tc.want)
			}
		})
	}
	if _, err := sdk.Start(t.Context(), sdk.Config{ID: "My/Bridge"}); err == nil {
		t.Error("an id with a topic separator was taken")
	}
}

func TestARefusedSubscriptionIsAnError(t *testing.T) {
	bus := sdktest.New(t)
	a := start(t, bus)
	defer a.Close()
	bus.Refuse("Others")
	err := a.Subscribe(t.Context(), "Others", func(sdk.Message) { t.Error("called") })
	if !errors.Is(err, sdk.ErrRefused) || !strings.Contains(err.Error(), `"Others"`) {
		t.Errorf("got %v", err)
	}
	bus.Publish("Others", []byte("x"))
	seen := collect(t, a, "Mine", false)
	bus.Publish("Mine", []byte("y"))
	bus.Next(seen)
}

// A plugin that has something new to say subscribes again: the broker hears of it, and
// what is delivered comes once, as before.
func TestSubscribingAgain(t *testing.T) {
	bus := sdktest.New(t)
	a := start(t, bus)
	defer a.Close()
	seen := collect(t, a, "Mine", true)
	bus.Subscribed("Mine")
	if err := a.Resubscribe(t.Context(), "Mine"); err != nil {
		t.Fatal(err)
	}
	bus.Subscribed("Mine")
	if err := a.Resubscribe(t.Context(), "Others"); err == nil {
		t.Error("what was never subscribed to was subscribed to again")
	}
	for _, payload := range []string{"1", "2"} {
		bus.Publish("Mine", []byte(payload))
		if got := bus.Next(seen); string(got.Payload) != payload {
			t.Errorf("got %q, want %q", got.Payload, payload)
		}
	}
}

func TestSubscriptionsOutliveConnections(t *testing.T) {
	bus := sdktest.New(t)
	a := start(t, bus)
	defer a.Close()
	one, two := collect(t, a, "One", false), collect(t, a, "Two", true)
	for range 3 {
		bus.Cut()
		// Both are made again, in the order in which they were made.
		bus.Subscribed("Two")
		bus.Publish("One", []byte("1"))
		bus.Publish("Two", []byte("2"))
		bus.Next(one)
		bus.Next(two)
	}
	bus.Stop()
	for a.Publish("Two", wire.RequestMessage{Type: "x"}) == nil { // until it has noticed
		time.Sleep(time.Millisecond)
	}
	if err := a.Publish("Two", wire.RequestMessage{Type: "x"}); !errors.Is(err, sdk.ErrDisconnected) {
		t.Errorf("publishing without a broker: %v", err)
	}
	bus.Restart()
	bus.Subscribed("Two")
	bus.Publish("Two", []byte("3"))
	bus.Next(two)
}

// A plugin whose agent has gone ends; it does not haunt the machine.
func TestABrokerThatIsGoneEndsTheAgent(t *testing.T) {
	bus := sdktest.New(t)
	a, err := sdk.Start(t.Context(), sdk.Config{ID: "MyBridge", Network: bus.Network(), GiveUp: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	bus.Stop()
	select {
	case <-a.Done():
	case <-time.After(sdktest.Patience):
		t.Fatal("it goes on")
	}
	if !errors.Is(a.Err(), sdk.ErrGone) {
		t.Errorf("got %v", a.Err())
	}
	a.Close()
}

// So does one that is refused after a reconnection what it was granted before.
func TestARefusalAfterReconnectingEndsTheAgent(t *testing.T) {
	bus := sdktest.New(t)
	a := start(t, bus)
	collect(t, a, "One", false)
	bus.Refuse("One")
	bus.Cut()
	select {
	case <-a.Done():
	case <-time.After(sdktest.Patience):
		t.Fatal("it goes on")
	}
	if !errors.Is(a.Err(), sdk.ErrRefused) {
		t.Errorf("got %v", a.Err())
	}
	a.Close()
}

// failing is a network whose broker is reached with each of errs, and then not in time.
type failing struct{ errs []error }

func (f *failing) DialBroker(context.Context) (net.Conn, error) {
	if len(f.errs) == 0 {
		return nil, &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}
	}
	err := f.errs[0]
	f.errs = f.errs[1:]
	return nil, err
}

func (f *failing) DialAPI(ctx context.Context) (net.Conn, error) { return f.DialBroker(ctx) }

func TestStartFails(t *testing.T) {
	t.Setenv("KEEPER_MQTT_SOCKET", "")
	if _, err := sdk.Start(t.Context(), sdk.Config{ID: "x"}); !errors.Is(err, sdk.ErrNoSocket) {
		t.Errorf("no environment: %v", err)
	}
	t.Setenv("KEEPER_MQTT_SOCKET", t.TempDir()+"/nobody")
	if _, err := sdk.Start(t.Context(), sdk.Config{ID: "x", GiveUp: 30 * time.Millisecond}); !errors.Is(err, sdk.ErrGone) || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("nobody listens: %v", err)
	}
	refused := errors.New("somebody refuses")
	if _, err := sdk.Start(t.Context(), sdk.Config{ID: "x", Network: &failing{errs: []error{refused}}, GiveUp: 200 * time.Millisecond}); !errors.Is(err, refused) || !errors.Is(err, sdk.ErrGone) {
		t.Errorf("refused, and then no answer: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sdk.Start(ctx, sdk.Config{ID: "x"}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// Close lets handlers see what had arrived.
func TestCloseDrains(t *testing.T) {
	bus := sdktest.New(t)
	a := start(t, bus)
	var mu sync.Mutex
	var seen int
	first, hold := make(chan struct{}, 1), make(chan struct{})
	err := a.Subscribe(t.Context(), "One", func(sdk.Message) {
		select {
		case first <- struct{}{}:
			<-hold
		default:
		}
		mu.Lock()
		defer mu.Unlock()
		seen++
	})
	if err != nil {
		t.Fatal(err)
	}
	last := collect(t, a, "Last", true)
	for range 100 {
		bus.Publish("One", []byte("1"))
	}
	bus.Publish("Last", nil)
	bus.Next(last) // all have arrived, and one is being handled
	<-first
	close(hold)
	a.Close()
	if seen != 100 {
		t.Errorf("handled %d of 100", seen)
	}
	if err := a.Subscribe(t.Context(), "One", nil); !errors.Is(err, sdk.ErrGone) {
		t.Errorf("subscribing afterwards: %v", err)
	}
}

func TestMainEndsOnSIGTERM(t *testing.T) {
	bus := sdktest.New(t)
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	running := make(chan struct{})
	go func() {
		<-running
		self.Signal(syscall.SIGTERM)
	}()
	code := sdk.Main(sdk.Config{ID: "MyBridge", Network: bus.Network()}, func(ctx context.Context, a *sdk.Agent) error {
		close(running)
		<-ctx.Done()
		return ctx.Err()
	})
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestMainReportsFailure(t *testing.T) {
	t.Run("run fails", func(t *testing.T) {
		cfg := sdk.Config{ID: "x", Network: sdktest.New(t).Network()}
		if code := sdk.Main(cfg, func(context.Context, *sdk.Agent) error { return errors.New("no") }); code != 1 {
			t.Errorf("exit code %d", code)
		}
	})
	t.Run("no broker", func(t *testing.T) {
		if code := sdk.Main(sdk.Config{ID: "x"}, nil); code != 1 {
			t.Errorf("exit code %d", code)
		}
	})
	t.Run("the broker goes", func(t *testing.T) {
		bus := sdktest.New(t)
		ran := false
		// The first connection has to be made within the same time.
		cfg := sdk.Config{ID: "z", Network: bus.Network(), GiveUp: 2 * time.Second}
		code := sdk.Main(cfg, func(ctx context.Context, _ *sdk.Agent) error {
			ran = true
			bus.Stop()
			<-ctx.Done()
			return nil
		})
		if code != 1 || !ran {
			t.Errorf("exit code %d, connected %v", code, ran)
		}
	})
}
