package service

import (
	"context"
	"net"
	"net/netip"
)

// listen opens everything that callers reach. The local sockets come first:
// they serve even when every port is taken.
func (s *service) listen(ctx context.Context, _ Options) error {
	for path, serve := range map[string]func(net.Listener) error{
		s.layout.MQTTSocket(): s.broker.ServeLocal,
		s.layout.APISocket():  s.api.ServeLocal,
	} {
		ln, err := s.host.Transport.ListenLocal(path)
		if err != nil {
			return err
		}
		if err := serve(ln); err != nil {
			return err
		}
	}
	door, err := s.host.Transport.ListenDoor(s.layout.Door())
	if err != nil {
		return err
	}
	if err := s.api.ServeDoor(door); err != nil {
		return err
	}

	retrying, stop := context.WithCancel(context.WithoutCancel(ctx))
	new := func(name, key string, want int, serve func(net.Listener) error) *tcpPort {
		// Both ends are on this machine: what keeping alive would find out, the
		// kernel says at once.
		quiet := net.ListenConfig{KeepAlive: -1}
		return &tcpPort{name: name, key: key, want: want, listen: quiet, taken: s.host.Facts.PortTaken, owner: s.host.Peers.Listener, log: s.log, retry: retryPort, serve: serve, changed: s.acquired}
	}
	s.http = new("HTTP", "Settings:KestrelHttpPort", s.app.HTTPPort, s.api.ServePlain)
	s.https = new("HTTPS", "Settings:KestrelHttpsPort", s.app.HTTPSPort, s.api.ServeTLS)
	s.mqtt = new("MQTT", "MqttBrokerSettings:Port", s.app.MQTTPort, s.broker.ServeTLS)
	s.https.usable, s.mqtt.usable = s.certificate.Renew, s.certificate.Renew
	if s.app.MQTTAddress != netip.AddrFrom4([4]byte{127, 0, 0, 1}) {
		s.mqtt.only = s.app.MQTTAddress
	}
	s.onStop(func(context.Context) error {
		stop()
		for _, p := range []*tcpPort{s.http, s.https, s.mqtt} {
			p.wait()
		}
		return nil
	})
	for _, p := range []*tcpPort{s.http, s.https, s.mqtt} {
		if err := p.open(retrying); err != nil {
			return err
		}
	}
	s.effective.SetBroker(s.app.MQTTAddress.String(), s.mqtt.Held())
	return nil
}
