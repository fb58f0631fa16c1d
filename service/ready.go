package service

import (
	"context"
	"fmt"

	"kpm/core/reserve"
	"kpm/core/wire"
	"kpm/settings"
)

// ready tells the machine, its service manager and the jobs that requests are
// served.
func (s *service) ready(ctx context.Context, o Options) error {
	s.onStop(func(context.Context) error { return settings.RemovePorts(s.layout) })
	s.isReady.Store(true)
	if err := s.advertise(); err != nil {
		return err
	}
	s.log.Info("ready", "http", s.http.Held(), "https", s.https.Held(), "mqtt", s.mqtt.Held(), "door", s.layout.Door())
	if o.Notice != nil {
		fmt.Fprintf(o.Notice, "KeeperPrivilegeManager is ready: people ask for elevation with keepersudo --root %s; Ctrl-C stops it.\n", s.layout.Root())
	}
	s.tellManager("ready", s.host.Service.Ready)
	if err := (&bus{s}).Raise(ctx, wire.Event{Name: wire.EventStartup}); err != nil {
		s.log.Error("the startup event was not published", "error", err)
	}
	return nil
}

// spareThreads are made for the time when no more can be had.
const spareThreads = 24

// reserveThreads makes them once people are served, who would wait for it, and has done
// what else can wait until then.
func (s *service) reserveThreads(ctx context.Context, o Options) error {
	reserve.Threads(spareThreads)
	if o.Served != nil {
		s.background(ctx, func(context.Context) { o.Served() })
	}
	return nil
}

// tellManager tells the service manager a state. One that cannot be told does
// not keep the service from its work.
func (s *service) tellManager(state string, tell func() error) {
	if err := tell(); err != nil {
		s.log.Error("the service manager was not told", "state", state, "error", err)
	}
}

// acquired is called when a busy port has become free after the start.
func (s *service) acquired() {
	s.advertising.Lock()
	defer s.advertising.Unlock()
	s.effective.SetBroker(s.app.MQTTAddress.String(), s.mqtt.Held())
	if !s.isReady.Load() {
		return // ready will write it
	}
	if err := s.writePorts(); err != nil {
		s.log.Error("run/ports.json is out of date", "error", err)
	}
}

// advertise writes what is really held, once everything is ready.
func (s *service) advertise() error {
	s.advertising.Lock()
	defer s.advertising.Unlock()
	return s.writePorts()
}

// writePorts is called with advertising held: two ports may be acquired at
// once, and whoever writes last must have looked last.
func (s *service) writePorts() error {
	return settings.WritePorts(s.layout, settings.Ports{
		HTTP: s.http.Held(), HTTPS: s.https.Held(), MQTT: s.mqtt.Held(),
		Door: s.layout.Door(), MQTTLocal: s.layout.MQTTSocket(),
		PID: s.host.Tree.Self().PID, StartTime: s.started,
	}, s.host.Files.Replace)
}
