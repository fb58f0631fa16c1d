package service

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
)

// entrances are listeners that have nothing to be served with yet: who connects waits
// until they are opened.
type entrances struct {
	mu      sync.Mutex
	open    bool
	waiting []entrance
}

type entrance struct {
	listener interface{ Close() error }
	serve    func() error
}

// add serves a listener, once all are opened.
func (e *entrances) add(ln interface{ Close() error }, serve func() error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.open {
		return serve()
	}
	e.waiting = append(e.waiting, entrance{ln, serve})
	return nil
}

func (e *entrances) openAll() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open = true
	for len(e.waiting) > 0 {
		first := e.waiting[0]
		e.waiting = e.waiting[1:]
		if err := first.serve(); err != nil {
			return errors.Join(err, first.listener.Close())
		}
	}
	return nil
}

// close closes those that were not opened.
func (e *entrances) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, w := range e.waiting {
		w.listener.Close()
	}
	e.waiting = nil
}

// listen opens everything that callers reach; serve lets them in. The local sockets
// come first: they serve even when every port is taken.
func (s *service) listen(ctx context.Context, _ Options) error {
	s.onStop(func(context.Context) error { s.entrances.close(); return nil })
	later := func(serve func(net.Listener) error) func(net.Listener) error {
		return func(ln net.Listener) error { return s.entrances.add(ln, func() error { return serve(ln) }) }
	}
	for path, serve := range map[string]func(net.Listener) error{
		s.layout.MQTTSocket(): s.broker.ServeLocal,
		s.layout.APISocket():  func(ln net.Listener) error { return s.api.ServeLocal(ln) },
	} {
		ln, err := s.host.Transport.ListenLocal(path)
		if err != nil {
			return err
		}
		if err := later(serve)(ln); err != nil {
			return err
		}
	}
	door, err := s.host.Transport.ListenDoor(s.layout.Door())
	if err != nil {
		return err
	}
	if err := s.entrances.add(door, func() error { return s.api.ServeDoor(door) }); err != nil {
		return err
	}

	retrying, stop := context.WithCancel(context.WithoutCancel(ctx))
	new := func(name, key string, want int, serve func(net.Listener) error) *tcpPort {
		// Both ends are on this machine: what keeping alive would find out, the
		// kernel says at once.
		quiet := net.ListenConfig{KeepAlive: -1}
		return &tcpPort{name: name, key: key, want: want, listen: quiet, taken: s.host.Facts.PortTaken, owner: s.host.Peers.Listener, log: s.log, retry: retryPort, serve: later(serve), changed: s.acquired}
	}
	s.http = new("HTTP", "Settings:KestrelHttpPort", s.app.HTTPPort, func(ln net.Listener) error { return s.api.ServePlain(ln) })
	s.https = new("HTTPS", "Settings:KestrelHttpsPort", s.app.HTTPSPort, func(ln net.Listener) error { return s.api.ServeTLS(ln) })
	s.mqtt = new("MQTT", "MqttBrokerSettings:Port", s.app.MQTTPort, s.broker.ServeTLS)
	s.https.usable, s.mqtt.usable = s.certificate.Renew, s.certificate.Renew
	if s.app.MQTTAddress != netip.AddrFrom4([4]byte{127, 0, 0, 1}) {
		s.mqtt.only = s.app.MQTTAddress
	}
	s.giveUpPorts = func(context.Context) error {
		stop()
		for _, p := range []*tcpPort{s.http, s.https, s.mqtt} {
			p.wait()
		}
		return nil
	}
	s.onStop(s.giveUpPorts)
	for _, p := range []*tcpPort{s.http, s.https, s.mqtt} {
		if err := p.open(retrying); err != nil {
			return err
		}
	}
	s.effective.SetBroker(s.app.MQTTAddress.String(), s.mqtt.Held())
	return nil
}

// serve lets everybody in who has connected, or does from now on.
func (s *service) serve(context.Context, Options) error {
	if _, err := s.ahead.journal.take(); err != nil {
		return err
	}
	s.onStop(s.giveUpPorts) // before what serves them ends
	return s.entrances.openAll()
}
