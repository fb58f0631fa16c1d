package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"kpm/broker/packet"
	"kpm/core"
	"kpm/core/fair"
)

// Errors of the service's own end of the bus.
var (
	// ErrRefused is wrapped by every refusal of the authority check.
	ErrRefused = errors.New("refused")
	// ErrBusy means that some subscriber's queue was full: that subscriber
	// missed the message, and was cut if it is a connection.
	ErrBusy = core.NewError(core.Unavailable, "a subscriber's queue is full")
	// ErrClosed means that the broker has been closed.
	ErrClosed = errors.New("the broker is closed")
)

// Peers names the other end of a connection (port.Peers).
type Peers interface {
	User(conn net.Conn) (core.UserID, error)
	Peer(conn net.Conn) (core.Peer, error)
}

// prompter is Peers of a system on which the acknowledgement of what has come on a
// connection can be had at once.
type prompter interface {
	AcknowledgeNow(conn net.Conn)
}

// Registry knows every process that the service launched.
type Registry interface {
	// Identify says who is at the other end, and the root of the launch group
	// it lives in (zero if none). It must be safe for concurrent use.
	Identify(peer core.Peer) (core.Principal, core.ProcessID)
}

// Topics knows what plugins and jobs declared in their own files.
type Topics interface {
	// Declared returns the topic filters p may publish to and subscribe to; a
	// plugin's primary Subscription.Topic is one of the latter. It is asked
	// once per connection, and again by SetPlugins. It must not call the broker.
	Declared(p core.Principal) (publish, subscribe []string)
	// Token returns the secret that a job run's client id must carry when
	// RequireJobToken is on; empty means that none would do.
	Token(p core.Principal) string
}

// Requests knows the state of requests by the names of docs/wire.md.
type Requests interface {
	// State is called while a message is checked, on the publisher's
	// goroutine: it must not wait for the bus.
	State(id core.RequestID) (string, bool)
}

// Config is what a Broker needs. TLS may be nil if ServeTLS is not used, the
// callbacks and Log may be nil; the rest is required.
type Config struct {
	TLS      *tls.Config
	Peers    Peers
	Registry Registry
	Topics   Topics
	Requests Requests
	// Self is the service's own process; it never connects to itself.
	Self            core.ProcessID
	RequireJobToken bool
	// People are who connections are counted for before it is known what they
	// are.
	People fair.People
	// Logged, if not nil, rewrites what somebody publishes on KeeperLogger, so
	// that it names the publisher.
	Logged func(publisher string, payload []byte) []byte

	// OnConnected is called when the first connection of a launch group is
	// accepted, OnDisconnected when the last one has ended, OnSubscribed for
	// each granted filter. Arrivals and departures are reported one at a time
	// and in order, on a connection's own goroutine: the callbacks must not
	// wait for another connection.
	OnConnected    func(p core.Principal, root core.ProcessID)
	OnSubscribed   func(p core.Principal, filter string)
	OnDisconnected func(p core.Principal, root core.ProcessID)
	// Turn, if not nil, is asked about each client before it is accepted: it waits until
	// the channel is closed; nil is at once.
	Turn func(p core.Principal) <-chan struct{}
	// OnPublished is called for each message that is permitted, before it is
	// delivered, on its publisher's goroutine. It must not wait for anything.
	OnPublished func(from core.Principal, topic string)

	// OnWanted is called for each message on the primary topic of a plugin that
	// is not connected and that SetPlugins said to Wake, on the publisher's
	// goroutine: it must not wait for the bus. The message, if its QoS is 1 or
	// 2, is kept for the plugin.
	OnWanted func(p core.Principal, topic string)

	Log *slog.Logger
}

// Broker is a running bus. Make one with New; it serves nothing before
// ServeTLS or ServeLocal.
type Broker struct {
	cfg    Config
	stats  counters
	routes *routes

	buffers  buffers
	declared atomic.Pointer[[]Plugin]
	recent   recent

	// Questions that may still be answered. The service's own have a table of
	// their own, so that no plugin can use up its room by asking.
	serviceReplies, otherReplies *permits

	local atomic.Pointer[[]*ownSubscription] // the service's own, copied on write

	mu        sync.Mutex
	closed    bool
	done      chan struct{} // closed by Close
	listeners []net.Listener
	conns     map[*conn]struct{}
	ids       map[string]*conn // live client ids
	wg        sync.WaitGroup

	waiting *fair.Revocable[core.UserID] // connections before CONNECT
	owned   *fair.Slots[core.Principal]  // connections with a client id

	presence sync.Mutex // held while arrivals and departures are reported
	present  map[group]int

	refusals  *logLimit[core.Principal] // of admitted connections
	strangers *logLimit[core.UserID]    // of the others
}

// registered reports whether connections of p come first: a machine's plugins
// are not kept out by whatever jobs run.
func registered(p core.Principal) bool { return p.Kind == core.Plugin && !p.InUserSession }

// group is what OnConnected and OnDisconnected speak of.
type group struct {
	principal core.Principal
	root      core.ProcessID
}

// New returns a broker without listeners.
func New(cfg Config) (*Broker, error) {
	if cfg.Peers == nil || cfg.Registry == nil || cfg.Topics == nil || cfg.Requests == nil {
		return nil, errors.New("broker: Peers, Registry, Topics and Requests are required")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	b := &Broker{
		cfg:            cfg,
		routes:         newRoutes(),
		serviceReplies: newPermits(),
		otherReplies:   newPermits(),
		stats:          counters{drops: newDrops()},
		done:           make(chan struct{}),
		conns:          map[*conn]struct{}{},
		ids:            map[string]*conn{},
		waiting:        fair.NewRevocable[core.UserID](fair.Bounds{Each: maxWaitingPerUser, All: maxWaiting, Aside: asideWaiting}, cfg.People.First),
		owned:          fair.NewSlotsFor[core.Principal](fair.Bounds{Each: maxPerPrincipal, All: maxConnections, Aside: asideConnections}, registered),
		present:        map[group]int{},
		refusals:       newLogLimit[core.Principal](),
		strangers:      newLogLimit[core.UserID](),
	}
	b.local.Store(&[]*ownSubscription{})
	b.declared.Store(&[]Plugin{})
	if cfg.TLS != nil {
		// A large message is written as fast as it is read.
		b.cfg.TLS = cfg.TLS.Clone()
		b.cfg.TLS.DynamicRecordSizingDisabled = true
		// Without ML-KEM, an eighth of a connection's start. It protects a
		// recording from computers to come, and on loopback only root records.
		b.cfg.TLS.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384}
	}
	return b, nil
}

// ServeTLS adds a listener whose clients speak TLS. It does not block. The
// listener belongs to the broker from now on.
func (b *Broker) ServeTLS(ln net.Listener) error {
	if b.cfg.TLS == nil {
		return errors.New("broker: ServeTLS: no TLS configuration")
	}
	return b.serveOn(ln, b.cfg.TLS)
}

// ServeLocal adds a listener whose clients the kernel names and who need no
// TLS. Otherwise as ServeTLS.
func (b *Broker) ServeLocal(ln net.Listener) error { return b.serveOn(ln, nil) }

func (b *Broker) serveOn(ln net.Listener, config *tls.Config) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return fmt.Errorf("broker: serve: %w", ErrClosed)
	}
	b.listeners = append(b.listeners, ln)
	b.wg.Go(func() { b.accept(ln, config) })
	return nil
}

// Disconnect cuts every connection of p. Whoever ends a principal first makes
// Registry.Identify stop naming it, then calls Disconnect: then none is left
// and none can follow.
func (b *Broker) Disconnect(p core.Principal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.ids {
		if c.principal == p {
			c.cut()
		}
	}
}

// Close ends all listeners and connections and waits, at most until ctx is
// done, for everything that the broker started. Version 5 clients are told.
func (b *Broker) Close(ctx context.Context) error {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		close(b.done)
		for _, ln := range b.listeners {
			ln.Close()
		}
		for c := range b.conns {
			if b.ids[c.id] == c {
				c.dismiss(packet.ShuttingDown, "the service is stopping")
			} else {
				c.cut()
			}
		}
	}
	b.mu.Unlock()

	ended := make(chan struct{})
	go func() {
		b.wg.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("broker: close: %w", ctx.Err())
	}
}
