package sdk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/logentry"
	"kpm/core/wire"
)

// Config says who the process is. Only ID is required.
type Config struct {
	// ID is the plugin's or job's id.
	ID string
	// SessionUser is the user's name if the plugin runs in a user's session.
	SessionUser string
	// Network is the way to the agent; nil is Local.
	Network Network
	// LogLevel is the least level that Logger sends; the zero value is Info.
	LogLevel slog.Level
	// AskSettings has the plugin's settings asked for while it is being connected. The
	// first call of Agent.Settings gets them: it is for plugins that begin with it.
	AskSettings bool
	// GiveUp is how long to try to reach a broker that is gone; 0 is 10 s.
	// The agent starts its plugins anew, so nothing is gained by more.
	GiveUp time.Duration
}

// ErrGone is wrapped by the error of an agent whose broker is gone for good.
var ErrGone = errors.New("the agent is gone")

// queueLength bounds the messages that wait for a handler.
const queueLength = 256

// Message is one message as it came.
type Message struct {
	Topic   string
	Payload []byte
}

// Decode reads the payload as the bus's envelope.
func (m Message) Decode() (wire.RequestMessage, error) { return wire.Decode(m.Payload) }

// Agent is the connection to the agent that started this process. It connects
// again by itself, with every subscription, when the connection is lost. Its
// methods may be called from many goroutines.
type Agent struct {
	cfg     Config
	log     *shipper
	logger  *slog.Logger
	end     context.CancelFunc // stops connecting
	done    chan struct{}      // closed when there is no connection and will be none
	err     error              // why; to be read after done
	workers sync.WaitGroup     // of queued subscriptions
	asked   *asked             // with AskSettings

	delivering sync.Mutex // held while handlers are found and called

	mu            sync.Mutex
	conn          *connection // nil while disconnected
	subscriptions []*subscription
	closing       bool
}

type subscription struct {
	filter string
	handle func(Message)
	queue  chan Message // nil if handled on the reader's goroutine
}

// Start connects. It tries for as long as GiveUp says, or until ctx is done;
// ctx has no meaning afterwards. The caller calls Close.
func Start(ctx context.Context, cfg Config) (*Agent, error) {
	if !core.ValidName(cfg.ID) {
		return nil, fmt.Errorf("sdk: %q is no plugin or job id: letters, digits, dots, underscores and hyphens, at most 64", cfg.ID)
	}
	if cfg.Network == nil {
		cfg.Network = Local()
	}
	if cfg.GiveUp == 0 {
		cfg.GiveUp = 10 * time.Second
	}
	life, end := context.WithCancel(context.Background())
	a := &Agent{cfg: cfg, end: end, done: make(chan struct{})}
	a.log = newShipper(a)
	a.logger = slog.New(logentry.New(cfg.LogLevel, a.log.add))
	if cfg.AskSettings {
		a.asked = ask(life, cfg)
	}
	stop := context.AfterFunc(ctx, end)
	c, err := a.reach(life)
	if !stop() && err == nil {
		c.close()
		err = ctx.Err()
	}
	if err != nil {
		end()
		a.asked.wait()
		return nil, err
	}
	a.conn = c
	go a.keep(life, c)
	go a.log.run()
	return a, nil
}

// ClientID is the MQTT client id that the published guide prescribes: {Plugin}_{Pid},
// {Plugin}_{User}_{Pid} in a user's session, {Job}_{Token}_{Pid} for a task.
func (c Config) clientID() string {
	pid := strconv.Itoa(os.Getpid())
	switch token := os.Getenv("KEEPER_JOB_TOKEN"); {
	case token != "":
		return c.ID + "_" + token + "_" + pid
	case c.SessionUser != "":
		return c.ID + "_" + c.SessionUser + "_" + pid
	}
	return c.ID + "_" + pid
}

// reach connects, with growing pauses, until GiveUp is over.
func (a *Agent) reach(ctx context.Context) (*connection, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, a.cfg.GiveUp, ErrGone)
	defer cancel()
	var last error
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		c, err := connect(ctx, a.cfg.Network, a.cfg.clientID(), a.deliver)
		if err == nil {
			return c, nil
		}
		if errors.Is(err, ErrNoSocket) {
			return nil, err
		}
		// That the time ran out says less than what was wrong before. A connection's own
		// deadline may pass a moment before the context is done.
		var timeout net.Error
		if last == nil || ctx.Err() == nil && !(errors.As(err, &timeout) && timeout.Timeout()) {
			last = err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, fmt.Errorf("sdk: %w: %w", context.Cause(ctx), last)
		}
	}
}

// keep holds a connection until the agent is closed or gone.
func (a *Agent) keep(ctx context.Context, c *connection) {
	defer close(a.done)
	for {
		<-c.ended
		a.mu.Lock()
		a.conn = nil
		closing := a.closing
		a.mu.Unlock()
		if closing {
			return
		}
		next, err := a.reach(ctx)
		if err == nil {
			c = next
			err = a.resume(ctx, c)
		}
		if err != nil {
			a.mu.Lock()
			if !a.closing {
				a.err = err
			}
			a.mu.Unlock()
			return
		}
	}
}

// resume subscribes anew. Losing the connection meanwhile is no error: keep
// sees it. Being refused what was granted before is.
func (a *Agent) resume(ctx context.Context, c *connection) error {
	a.mu.Lock()
	if a.closing {
		a.mu.Unlock()
		c.close()
		return nil
	}
	a.conn = c
	all := slices.Clone(a.subscriptions)
	a.mu.Unlock()
	for _, s := range all {
		if err := c.subscribe(ctx, s.filter); errors.Is(err, ErrRefused) {
			c.close()
			return err
		}
	}
	return nil
}

// deliver hands a message to its handlers. A full queue makes the reader wait,
// and if that lasts the broker cuts the connection: it is never hidden that a
// handler does not keep up.
func (a *Agent) deliver(m Message) {
	a.delivering.Lock()
	defer a.delivering.Unlock()
	a.mu.Lock()
	all := a.subscriptions
	a.mu.Unlock()
	for _, s := range all {
		switch {
		case !wire.Match(s.filter, m.Topic):
		case s.queue == nil:
			s.handle(m)
		default:
			s.queue <- m
		}
	}
}

// Subscribe calls handle for every message that filter covers, one at a time,
// in their order, on a goroutine of its own. It returns when the broker has
// agreed; the error wraps ErrRefused if it has not. The subscription is kept
// through reconnections. handle may publish and take its time, and must not
// subscribe.
func (a *Agent) Subscribe(ctx context.Context, filter string, handle func(Message)) error {
	return a.subscribe(ctx, &subscription{filter: filter, handle: handle, queue: make(chan Message, queueLength)})
}

// SubscribeDirect is Subscribe with handle called by the connection's reader:
// it saves a wake-up where every microsecond is someone's wait. handle must
// not block and must not subscribe; it may publish.
func (a *Agent) SubscribeDirect(ctx context.Context, filter string, handle func(Message)) error {
	return a.subscribe(ctx, &subscription{filter: filter, handle: handle})
}

func (a *Agent) subscribe(ctx context.Context, s *subscription) error {
	a.mu.Lock()
	if a.closing {
		a.mu.Unlock()
		return fmt.Errorf("sdk: subscribe to %q: %w", s.filter, ErrGone)
	}
	if s.queue != nil {
		a.workers.Go(func() {
			for m := range s.queue {
				s.handle(m)
			}
		})
	}
	c := a.conn
	// A new slice: deliver reads the old one without the lock.
	a.subscriptions = append(slices.Clip(a.subscriptions), s)
	a.mu.Unlock()
	if c == nil {
		return nil // resume will do it
	}
	err := c.subscribe(ctx, s.filter)
	if err == nil || errors.Is(err, ErrDisconnected) {
		return nil // in the second case too resume will do it
	}
	a.mu.Lock()
	mine := slices.Contains(a.subscriptions, s) // else Close has it
	a.subscriptions = slices.DeleteFunc(slices.Clone(a.subscriptions), func(other *subscription) bool { return other == s })
	a.mu.Unlock()
	if mine {
		a.dismiss(s)
	}
	return err
}

// Resubscribe sends the broker a subscription that there is already, once more: whoever
// is told of a plugin's subscriptions hears that it has something new to say. It changes
// nothing of what is delivered. After ErrDisconnected the next connection does it.
func (a *Agent) Resubscribe(ctx context.Context, filter string) error {
	a.mu.Lock()
	c := a.conn
	there := slices.ContainsFunc(a.subscriptions, func(s *subscription) bool { return s.filter == filter })
	a.mu.Unlock()
	switch {
	case !there:
		return fmt.Errorf("sdk: subscribe again to %q: it was not subscribed to", filter)
	case c == nil:
		return nil
	}
	if err := c.subscribe(ctx, filter); err != nil && !errors.Is(err, ErrDisconnected) {
		return err
	}
	return nil
}

// dismiss ends the workers of subscriptions that deliver cannot find any more.
func (a *Agent) dismiss(all ...*subscription) {
	// A delivery that began before they were taken off the list may be
	// waiting for room in a queue.
	a.delivering.Lock()
	defer a.delivering.Unlock()
	for _, s := range all {
		if s.queue != nil {
			close(s.queue)
		}
	}
}

// Publish sends m to topic. An error wraps ErrDisconnected, and then the
// message is lost, or wire.ErrMalformed. Whether the broker lets it pass is
// not told (docs/wire.md).
func (a *Agent) Publish(topic string, m wire.RequestMessage) error {
	if m.Source == "" {
		m.Source = a.cfg.ID
	}
	data, err := m.Encode()
	if err != nil {
		return err
	}
	a.mu.Lock()
	c := a.conn
	a.mu.Unlock()
	if c == nil {
		return fmt.Errorf("sdk: publish to %s: %w", topic, ErrDisconnected)
	}
	return c.publish(topic, data)
}

// Reply answers question where it asks to be answered. Errors as for Publish;
// a question without RespondToTopic is wire.ErrMalformed.
func (a *Agent) Reply(question wire.RequestMessage, messageType string, payload any) error {
	if !wire.ValidTopic(question.ReplyTopic) {
		return fmt.Errorf("sdk: reply: RespondToTopic %.80q is no topic: %w", question.ReplyTopic, wire.ErrMalformed)
	}
	m, err := wire.New(messageType, a.cfg.ID, payload)
	if err != nil {
		return err
	}
	m.CorrelationID = question.MessageID
	return a.Publish(question.ReplyTopic, m)
}

// Settings fetches this plugin's own settings.
func (a *Agent) Settings(ctx context.Context) (map[string]string, error) {
	if values, ok := a.asked.take(); ok {
		return values, nil
	}
	return Settings(ctx, a.cfg.Network, a.cfg.ID)
}

// Logger sends to KeeperLogger, which must be declared as a topic to publish
// to. Records are sent together and up to a tenth of a second late, so that
// logging a request does not compete with it.
func (a *Agent) Logger() *slog.Logger { return a.logger }

// Done is closed when the agent has given up or has been closed; Err then says
// why, and is nil after Close.
func (a *Agent) Done() <-chan struct{} { return a.done }

// Err returns why Done is closed.
func (a *Agent) Err() error { return a.err }

// Drain ends all subscriptions and returns when handlers have seen what had
// arrived. A plugin calls it before it closes what its handlers use; it must
// not be called from a handler.
func (a *Agent) Drain() {
	a.mu.Lock()
	a.closing = true
	all := a.subscriptions
	a.subscriptions = nil
	a.mu.Unlock()
	a.end()
	a.dismiss(all...)
	a.workers.Wait()
}

// Close drains, sends what is left of the log and ends the connection. It must
// not be called from a handler, and once only.
func (a *Agent) Close() {
	a.Drain()
	a.log.stop()
	a.mu.Lock()
	c := a.conn
	a.mu.Unlock()
	if c != nil {
		c.close()
	}
	<-a.done
	a.asked.wait()
}
