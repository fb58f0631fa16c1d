package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"kpm/core"
	"kpm/core/fair"
)

// Limits of the API and the door. Zero fields take the values of
// DefaultLimits.
type Limits struct {
	// Connections and ConnectionsPerUser bound open API connections;
	// administrators count in all only.
	Connections, ConnectionsPerUser int
	// RequestsPerSecond and Burst bound what one user may ask of the API;
	// tiers Plugin and Admin are not bounded.
	RequestsPerSecond, Burst float64
	// Callers and CallersPerUser bound who stands at the door at once.
	Callers, CallersPerUser int
	// Request is the time for the first frame at the door, descriptors
	// included; Write is the time a caller may take to accept a frame.
	Request, Write time.Duration
}

// DefaultLimits returns the limits of docs/wire.md and openapi.json.
func DefaultLimits() Limits {
	return Limits{
		Connections: 256, ConnectionsPerUser: 32,
		RequestsPerSecond: 100, Burst: 200,
		Callers: 256, CallersPerUser: 16,
		Request: 3 * time.Second, Write: 2 * time.Second,
	}
}

// HTTP limits that nobody needs to change.
const (
	maxBody       = 1 << 20
	maxHeader     = 16 << 10
	headerTimeout = 5 * time.Second
	readTimeout   = 30 * time.Second
	writeTimeout  = 60 * time.Second // a launch may take its 10 s, a control its answer
	idleTimeout   = 60 * time.Second
)

// Config is what a Server needs; every field without a stated default is
// required.
type Config struct {
	// Version is what /health reports.
	Version string
	// TLS holds the certificate of ServeTLS.
	TLS      *tls.Config
	Peers    Peers
	Identify Identifier
	// Administrators says what being root is not enough for.
	Administrators Administrators
	// Self is this process, whose connections are refused.
	Self     core.ProcessID
	Plugins  Plugins
	Jobs     Jobs
	Settings Settings
	Requests Requests
	Elevator Elevator
	Limits   Limits
	Log      *slog.Logger
}

// Server is the API on all its listeners, and the door.
type Server struct {
	cfg    Config
	routes []route
	rate   *fair.Rate[core.UserID]
	places *fair.Slots[core.UserID]
	bound  *boundListener

	plain, full *http.Server
	httpsPort   atomic.Int32
	serving     sync.WaitGroup

	door *doorway
}

// New returns a server that listens nowhere yet.
func New(cfg Config) (*Server, error) {
	switch {
	case cfg.Peers == nil, cfg.Identify == nil, cfg.Self.PID == 0, cfg.Plugins == nil, cfg.Jobs == nil,
		cfg.Settings == nil, cfg.Requests == nil, cfg.Elevator == nil, cfg.Log == nil:
		return nil, errors.New("api: incomplete configuration")
	}
	cfg.Limits = cfg.Limits.withDefaults()
	s := &Server{
		cfg:    cfg,
		routes: routes(),
		rate:   fair.NewRate[core.UserID](cfg.Limits.RequestsPerSecond, int(cfg.Limits.Burst)),
		places: fair.NewSlots[core.UserID](fair.Bounds{Each: int64(cfg.Limits.ConnectionsPerUser), All: int64(cfg.Limits.Connections)}),
		bound:  newBoundListener(),
		door:   newDoorway(cfg),
	}
	s.plain = s.newHTTP(s.servePlain)
	s.full = s.newHTTP(s.serveFull)
	s.serve(s.full, s.bound)
	return s, nil
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	l.Connections = positive(l.Connections, d.Connections)
	l.ConnectionsPerUser = positive(l.ConnectionsPerUser, d.ConnectionsPerUser)
	l.RequestsPerSecond = positive(l.RequestsPerSecond, d.RequestsPerSecond)
	l.Burst = positive(l.Burst, d.Burst)
	l.Callers = positive(l.Callers, d.Callers)
	l.CallersPerUser = positive(l.CallersPerUser, d.CallersPerUser)
	l.Request = positive(l.Request, d.Request)
	l.Write = positive(l.Write, d.Write)
	return l
}

func positive[N int | float64 | time.Duration](n, otherwise N) N {
	if n > 0 {
		return n
	}
	return otherwise
}

func (s *Server) newHTTP(handler http.HandlerFunc) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true) // one protocol, one parser
	return &http.Server{
		Handler:                      handler,
		Protocols:                    protocols,
		DisableGeneralOptionsHandler: true,
		ConnContext:                  withConn,
		ReadHeaderTimeout:            headerTimeout,
		ReadTimeout:                  readTimeout,
		WriteTimeout:                 writeTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeader,
		ErrorLog:                     slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
	}
}

// serve runs server on ln until Close.
func (s *Server) serve(server *http.Server, ln net.Listener) {
	s.serving.Go(func() {
		if err := server.Serve(ln); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			s.cfg.Log.Error("listener ended", "address", ln.Addr(), "error", err)
		}
	})
}

// ServePlain adds a loopback TCP listener for plain HTTP (decision 9). It does
// not block.
func (s *Server) ServePlain(ln net.Listener) error {
	port, err := loopbackPort(ln)
	if err != nil {
		return err
	}
	s.serve(s.plain, s.gate(ln, &entry{scheme: "http", port: port}))
	return nil
}

// ServeTLS adds a loopback TCP listener for HTTPS. It does not block. From now
// on plain HTTP redirects to its port.
func (s *Server) ServeTLS(ln net.Listener) error {
	port, err := loopbackPort(ln)
	if err != nil {
		return err
	}
	if s.cfg.TLS == nil {
		return errors.New("api: ServeTLS without a certificate")
	}
	secure := s.cfg.TLS.Clone()
	secure.NextProtos = []string{"http/1.1"}
	if clients := s.cfg.Administrators.Clients; clients != nil {
		clients.Ask(secure)
	}
	s.httpsPort.Store(int32(port))
	s.serve(s.full, tls.NewListener(s.gate(ln, &entry{scheme: "https", port: port}), secure))
	return nil
}

// ServeLocal adds a local socket, whose peers the kernel names. It does not
// block.
func (s *Server) ServeLocal(ln net.Listener) error {
	s.serve(s.full, s.gate(ln, &entry{local: true, https: s.heldHTTPS}))
	return nil
}

// Dial returns a connection to the API that is bound to one run of a job
// before its first byte: for that run's Http tasks (decision 16). It speaks
// plain HTTP/1.1.
func (s *Server) Dial(p core.Principal) (net.Conn, error) {
	if p.Kind != core.JobRun {
		return nil, fmt.Errorf("api: dial as %s: only a job run has Http tasks", p)
	}
	c, err := s.bound.dial(p, &entry{local: true, bound: true, https: s.heldHTTPS})
	if err != nil {
		return nil, fmt.Errorf("api: dial: %w", err)
	}
	return c, nil
}

// Close stops listening and waits for what is in flight: API requests, and
// callers at the door, whose commands run on until ctx is done. Then it cuts
// what remains. End the launcher first; it ends its Elevate calls.
func (s *Server) Close(ctx context.Context) error {
	var errs []error
	for _, server := range []*http.Server{s.plain, s.full} {
		if err := server.Shutdown(ctx); err != nil {
			errs = append(errs, server.Close())
		}
	}
	s.door.close(ctx)
	s.bound.Close()
	s.serving.Wait()
	return errors.Join(errs...)
}

func (s *Server) gate(ln net.Listener, e *entry) net.Listener {
	return newGate(ln, e, s.cfg.Peers, s.atAccept, s.places, s.cfg.Log)
}

func (s *Server) heldHTTPS() int { return int(s.httpsPort.Load()) }

// loopbackPort is the port of ln, which must not be reachable from elsewhere.
func loopbackPort(ln net.Listener) (int, error) {
	addr, ok := ln.Addr().(*net.TCPAddr)
	if !ok || !addr.IP.IsLoopback() {
		return 0, fmt.Errorf("api: %s is not a loopback TCP address", ln.Addr())
	}
	return addr.Port, nil
}
