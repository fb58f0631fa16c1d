package api

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"kpm/api/local"
	"kpm/core"
	"kpm/core/fair"
	"kpm/core/port"
)

// Server is the API on all its listeners, and the local door.
type Server struct {
	cfg        Config
	operations []operation
	document   func() (json.RawMessage, error) // openapi.json, made when somebody asks for it
	rate       *fair.Rate[core.UserID]
	connLimits *connLimits
	bound      *boundRequests

	plain, full *http.Server
	httpsPort   atomic.Int32
	serving     sync.WaitGroup
	// closing is closed when streams have to end.
	closing chan struct{}
	close   sync.Once

	door *local.Server
}

// New returns a server that listens nowhere yet.
func New(cfg Config) (*Server, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	return newServer(cfg, operations(cfg)), nil
}

// newServer serves groups.
func newServer(cfg Config, groups []group) *Server {
	cfg.Limits = cfg.Limits.withDefaults()
	l := cfg.Limits
	s := &Server{
		cfg:      cfg,
		document: sync.OnceValues(func() (json.RawMessage, error) { return openAPI(groups) }),
		closing:  make(chan struct{}),
		rate:     fair.NewRate[core.UserID](cfg.Limits.RequestsPerSecond, int(cfg.Limits.Burst)),
		bound:    newBoundRequests(),
		door: local.New(local.Config{
			Elevator: cfg.Elevator, People: cfg.People,
			Silent:  fair.Bounds{Each: int64(l.SilentPerUser), All: int64(l.Silent), Aside: int64(l.Silent / asidePart)},
			Callers: fair.Bounds{Each: int64(l.CallersPerUser), All: int64(l.Callers), Aside: int64(l.Callers / asidePart)},
			Turn:    l.Turn, Request: l.Request, Write: l.Write, Log: cfg.Log,
		}),
	}
	s.connLimits = newConnLimits(cfg)
	for _, g := range groups {
		s.operations = append(s.operations, g.operations...)
	}
	s.plain = s.newHTTP(s.servePlain)
	s.full = s.newHTTP(s.serveFull)
	return s
}

// ServePlain adds a loopback TCP listener for plain HTTP (decision 9). It does
// not block.
func (s *Server) ServePlain(ln net.Listener) error {
	port, err := loopbackPort(ln)
	if err != nil {
		return err
	}
	s.serve(s.plain, s.identified(ln, &entry{scheme: "http", port: port}))
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
	s.serve(s.full, tls.NewListener(s.identified(ln, &entry{scheme: "https", port: port}), secure))
	return nil
}

// ServeLocal adds a local socket, whose peers the kernel names. It does not
// block.
func (s *Server) ServeLocal(ln net.Listener) error {
	s.serve(s.full, s.identified(ln, &entry{local: true, https: s.heldHTTPS}))
	return nil
}

// ServeDoor adds a local door, at which people ask for elevation. It does not
// block.
func (s *Server) ServeDoor(ln port.DoorListener) error { return s.door.Serve(ln) }

// Close stops listening and waits for what is in flight: API requests, and
// callers of the local door, whose commands run on until ctx is done. Then it cuts
// what remains. Streams of events end at once. End the launcher first; it ends its Elevate calls.
func (s *Server) Close(ctx context.Context) error {
	s.close.Do(func() { close(s.closing) })
	var errs []error
	for _, server := range []*http.Server{s.plain, s.full} {
		if err := server.Shutdown(ctx); err != nil {
			errs = append(errs, server.Close())
		}
	}
	s.door.Close(ctx)
	s.bound.close(ctx)
	s.serving.Wait()
	return errors.Join(errs...)
}

// identified makes ln say who connects.
func (s *Server) identified(ln net.Listener, e *entry) net.Listener {
	return newIdentifyingListener(ln, e, s.cfg.Peers, s.atAccept, s.connLimits, s.cfg.Log)
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
