package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"kpm/api"
	"kpm/broker"
	"kpm/core"
	"kpm/core/controls"
	"kpm/core/port"
	"kpm/core/wire"
	"kpm/jobs"
	"kpm/jobs/task"
	"kpm/launcher"
	"kpm/launcher/control"
	"kpm/launcher/journal"
	"kpm/launcher/request"
	"kpm/launcher/seal"
	"kpm/launcher/start"
	"kpm/platform"
	"kpm/plugins"
	"kpm/settings"
	"kpm/trust"
	"kpm/trust/provenance"
)

const (
	// spareChildren are held ready, so that two people who ask at once, and a
	// plugin that is restarted meanwhile, wait for no fork.
	spareChildren = 2
	// pluginsWithin is how long the service waits for its plugins before it
	// says that it is ready without them.
	pluginsWithin = 5 * time.Second
	// stopWithin bounds an orderly stop, drainWithin the part of it in which
	// commands that are about to end still may.
	stopWithin  = 10 * time.Second
	drainWithin = time.Second
)

// Options are what a main passes on.
type Options struct {
	Root    string // agent root, absolute
	Version string
	Log     io.Writer // text lines
}

// service is everything that runs, in the order in which it was started.
type service struct {
	layout settings.Layout
	app    settings.App
	host   port.Host
	log    *slog.Logger

	effective *settings.Effective
	journal   *journal.Journal
	registry  *start.Registry
	starter   *start.Starter
	launcher  *launcher.Launcher
	broker    *broker.Broker
	jobs      *jobs.Service
	plugins   *plugins.Orchestrator
	api       *api.Server

	certificate       *trust.ServerCertificate
	clients           *trust.ClientAuthority // nil: administrators need no client certificate
	verifier          *provenance.Verifier
	signatures        core.Signatures // the verifier; nil if there is nobody to trust: then nobody needs to look
	http, https, mqtt *tcpPort
	started           time.Time
	isReady           atomic.Bool
	advertising       sync.Mutex

	// stops are undone in reverse by stop.
	stops []func(context.Context) error
}

// Run serves the agent root until ctx is done. What cannot be served at all is
// an error; a busy port, a broken plugin or a broken job is reported and left
// out.
func Run(ctx context.Context, o Options) error {
	host, err := platform.New(platform.Options{
		AgentRoot: o.Root,
		Helper:    settings.At(o.Root, "").Helper(),
		Spare:     spareChildren,
	})
	if err != nil {
		return fmt.Errorf("service: %w", err)
	}
	s := &service{host: host, layout: settings.At(o.Root, ""), started: time.Now()}
	s.defer_(func(context.Context) error { return host.Close() })
	err = s.start(ctx, o)
	if err == nil {
		<-ctx.Done()
		s.log.Info("stopping")
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	return errors.Join(err, s.stop(stopping))
}

func (s *service) defer_(stop func(context.Context) error) { s.stops = append(s.stops, stop) }

func (s *service) stop(ctx context.Context) error {
	var errs []error
	for len(s.stops) > 0 {
		last := s.stops[len(s.stops)-1]
		s.stops = s.stops[:len(s.stops)-1]
		errs = append(errs, last(ctx))
	}
	return errors.Join(errs...)
}

// start brings the rooms up from the ground. Whoever can be asked is up before
// whoever asks: nobody is let in before the launcher has dealt with what an
// earlier service left.
func (s *service) start(ctx context.Context, o Options) error {
	lock, err := settings.Open(s.layout, settings.Guards{Protected: s.host.Files.ProtectedRoot, Lock: s.host.Files.Lock})
	if err != nil {
		return err
	}
	s.defer_(func(context.Context) error { return lock.Close() })
	if s.app, err = settings.LoadApp(s.layout.AppSettings(), s.host.Files.ReadProtected); err != nil {
		return err
	}
	s.layout = settings.At(o.Root, s.app.PluginPath)
	s.log = newLog(o.Log, s.app.LogLevel)
	for _, key := range s.app.Unknown {
		s.log.Warn("unknown setting is ignored", "file", s.layout.AppSettings(), "key", key)
	}
	if _, err := WriteDefaults(o.Root); err != nil {
		return err
	}
	s.effective = settings.NewEffective(s.layout)

	for _, room := range []func(context.Context, Options) error{
		s.startTrust, s.startLauncher, s.startCertificates, s.startBroker, s.startJobsAndPlugins, s.startAPI, s.listen, s.startPlugins, s.ready, s.startIdentity,
	} {
		if err := room(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

func (s *service) startLauncher(ctx context.Context, _ Options) error {
	log, replay, err := journal.Open(journal.Config{
		AuditDir: s.layout.Audit(), StateDir: s.layout.State(),
		SegmentBytes: s.app.Journal.SegmentBytes, KeepSegments: s.app.Journal.KeepSegments,
		Mask: s.app.Journal.Mask, WriteAtomic: s.host.Files.WriteAtomic,
	})
	if err != nil {
		return err
	}
	s.journal = log
	s.defer_(func(context.Context) error { return log.Close() })
	machine, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("service: machine name: %w", err)
	}
	s.registry = start.NewRegistry(s.host.Tree, s.host.Tree.Self())
	rooms := s.log.With("room", "launcher")
	s.starter = start.New(start.Config{
		Facts: s.host.Facts, Files: s.host.Files, Accounts: s.host.Accounts, Launcher: s.host.Launcher, Tree: s.host.Tree,
		Registry: s.registry, Admission: s.admission(), Dir: s.layout.Children(), Log: rooms,
	})
	sealer, err := seal.New(seal.Config{
		Facts: s.host.Facts, Files: s.host.Files, Accounts: s.host.Accounts, Administrator: s.registry.Administrator,
		Signatures: s.signatures, Dir: s.layout.Exec(), Log: rooms,
	})
	if err != nil {
		return err
	}
	s.launcher = launcher.New(launcher.Config{
		Facts: s.host.Facts, Launcher: s.host.Launcher, Tree: s.host.Tree, Terminals: s.host.Terminals,
		Sealer: sealer, Registry: s.registry, Journal: log, Bus: &bus{s},
		Table: controls.Standard(), Controls: control.Bundled(), Machine: machine,
		Limits: request.Limits{
			Evaluate: s.app.Requests.Evaluate, Prompt: s.app.Requests.Prompt, Launch: s.app.Requests.Launch,
			MaxOpen: s.app.Requests.MaxOpen, MaxOpenPerUser: s.app.Requests.MaxOpenPerUser,
		},
		Log: rooms,
	})
	s.starter.Recover()
	return s.launcher.Recover(replay)
}

func (s *service) startBroker(ctx context.Context, _ Options) error {
	var err error
	s.broker, err = broker.New(broker.Config{
		TLS: s.certificate.TLS(), Peers: s.host.Peers, Registry: s.registry,
		Topics: topics{s}, Requests: states{s}, Self: s.host.Tree.Self(),
		RequireJobToken: s.app.RequireJobToken,
		OnConnected:     func(p core.Principal, _ core.ProcessID) { s.plugins.Connected(p) },
		OnSubscribed:    s.subscribed,
		OnDisconnected:  func(p core.Principal, _ core.ProcessID) { s.plugins.Disconnected(p) },
		Log:             s.log.With("room", "broker"),
	})
	if err != nil {
		return err
	}
	s.defer_(s.broker.Close)
	err = s.broker.Subscribe(wire.TopicReplies+"/"+core.ServicePrincipal().String()+"/#", s.answered)
	if err != nil {
		return err
	}
	return s.broker.Subscribe(wire.TopicEvents, s.happened)
}

func (s *service) startJobsAndPlugins(context.Context, Options) error {
	var err error
	s.plugins, err = plugins.New(plugins.Config{
		Layout: s.layout, Platform: s.host.Facts.Platform, Monitoring: s.app.Monitoring,
		Read: s.host.Files.ReadProtected, Effective: s.effective, Starter: s.starter,
		APIBaseURL: s.apiBaseURL, Exited: s.exited, Log: s.log.With("room", "plugins"),
	})
	if err != nil {
		return err
	}
	s.jobs, err = jobs.New(jobs.Config{
		Layout: s.layout, Platform: s.host.Facts.Platform,
		Kinds: task.Bundled(task.Config{
			Layout: s.layout, Platform: s.host.Facts.Platform, Starter: s.starter,
			Commands: task.BundledCommands(s.log.With("room", "jobs"), s.broker.PublishAs, commandsOf(control.Bundled()), s.launcher.Satisfy),
		}),
		Read: s.host.Files.ReadProtected, Taken: s.plugins.Has, Setting: s.effective.Get,
		APIBaseURL: s.apiBaseURL, LocalTransport: jobs.Transport(s.dial),
		Facts: s.launcher, Completed: s.completed, Log: s.log.With("room", "jobs"),
	})
	if err != nil {
		return err
	}
	s.defer_(s.jobs.Close)
	return nil
}

// commandsOf returns the task commands by which jobs have controls collected.
func commandsOf(list []control.Control) map[string]core.Control {
	commands := map[string]core.Control{}
	for _, c := range list {
		commands[c.Command()] = c.Name()
	}
	return commands
}

func (s *service) startAPI(_ context.Context, o Options) error {
	var err error
	s.api, err = api.New(api.Config{
		Version: o.Version, TLS: s.certificate.TLS(),
		Administrators: api.Administrators{
			Clients: s.clients, Signed: s.app.RequireSignedAdmin, Programs: newVouched(s.host.Peers, s.signatures),
		},
		Peers: s.host.Peers, Identify: s.registry, Self: s.host.Tree.Self(),
		Plugins: s.plugins, Jobs: s.jobs, Settings: s.effective,
		Requests: s.launcher, Elevator: s.launcher,
		Limits: api.Limits{CallersPerUser: s.app.Requests.MaxOpenPerUser},
		Log:    s.log.With("room", "api"),
	})
	if err != nil {
		return err
	}
	s.defer_(s.api.Close)
	// First: it ends the callers that the API waits for. Commands that go on
	// are left to themselves soon, or nobody else had time to stop.
	s.defer_(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, drainWithin)
		defer cancel()
		return s.launcher.Close(ctx)
	})
	return nil
}

func (s *service) startPlugins(ctx context.Context, _ Options) error {
	s.defer_(s.plugins.Stop)
	waiting, cancel := context.WithTimeout(ctx, pluginsWithin)
	defer cancel()
	if err := s.plugins.Start(waiting); err != nil {
		s.log.Error("not every plugin was started", "error", err)
	}
	if err := s.plugins.Healthy(waiting); err != nil {
		s.log.Error("not every plugin is healthy", "error", err)
	}
	return nil
}

// ready tells the machine and the jobs.
func (s *service) ready(ctx context.Context, _ Options) error {
	s.defer_(func(context.Context) error { return settings.RemovePorts(s.layout) })
	s.isReady.Store(true)
	if err := s.advertise(); err != nil {
		return err
	}
	s.log.Info("ready", "http", s.http.Held(), "https", s.https.Held(), "mqtt", s.mqtt.Held(), "door", s.layout.Door())
	if err := (&bus{s}).Raise(ctx, wire.Event{Name: wire.EventStartup}); err != nil {
		s.log.Error("the startup event was not published", "error", err)
	}
	return nil
}

func (s *service) apiBaseURL() string {
	if s.https == nil || s.https.Held() == 0 {
		return ""
	}
	return fmt.Sprintf("https://127.0.0.1:%d", s.https.Held())
}
