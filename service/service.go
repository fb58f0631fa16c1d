package service

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"kpm/api"
	"kpm/broker"
	"kpm/core"
	"kpm/core/idle"
	"kpm/core/port"
	"kpm/core/reserve"
	"kpm/jobs"
	"kpm/launcher"
	"kpm/launcher/approval"
	"kpm/launcher/execution"
	"kpm/launcher/fileaccess"
	"kpm/launcher/grant"
	"kpm/launcher/journal"
	"kpm/launcher/mfa"
	"kpm/launcher/prompts"
	"kpm/launcher/seal"
	"kpm/launcher/start"
	"kpm/launcher/transient"
	"kpm/launcher/tries"
	"kpm/plugins"
	"kpm/plugins/store"
	"kpm/settings"
	"kpm/trust"
	"kpm/trust/provenance"
)

// stopWithin bounds an orderly stop.
const stopWithin = 10 * time.Second

// Options are what a main passes on.
type Options struct {
	Root string // agent root, absolute
	// Files is for what comes before Ports have been opened.
	Files port.Files
	// Ports opens this machine's ports, beside the first steps of a start. They are
	// closed when the service has ended.
	Ports   func() (port.Host, error)
	Version string
	Log     io.Writer // text lines
	// Reload has files read again; nil never does.
	Reload <-chan os.Signal
	// SessionsChanged says that somebody may have logged in or out; nil never does.
	SessionsChanged <-chan struct{}
	// Notice, if not nil, is told in one sentence when the service is ready: it
	// is for a person who started it by hand.
	Notice io.Writer
	// SystemLog, if not nil, opens the system's own log, for lines about elevations.
	SystemLog func() (SystemLog, error)
	// Served, if not nil, is called once people are served, and may take its time.
	Served func()
	// Pace, if not nil, rests while nobody asks for anything.
	Pace idle.Pace
	// Sparing has the process use one processor once the service is ready and while few
	// people ask, and has its heap collected often. It is for a process that is a service
	// and nothing else.
	Sparing bool
}

// service is everything that runs, in the order in which it was started.
type service struct {
	layout settings.Layout
	app    settings.App
	host   port.Host
	log    *slog.Logger
	// version is what this service calls itself.
	version string
	level   slog.LevelVar // of log
	ship    *shipper
	health  *health

	inForce   settings.App // app, as reloaded since, under what is stored
	identity  sync.Mutex   // held while the machine key is used
	settings  sync.Mutex   // held while application settings are read or written
	fromFile  settings.App // as last read
	effective *settings.Effective
	kept      *store.Store // nil if it cannot be opened
	values    *store.Values
	lastGood  *store.LastGood // nil if it is not kept
	guarding  sync.Mutex      // held while it is compared, and while the API writes what it accepts
	written   []string        // default files, at this start
	refusals  refusals        // of the API
	ahead     opening
	journal   *journal.Journal
	replay    journal.Replay // what an earlier service left in it
	registry  *start.Registry
	starter   *start.Starter
	factors   *mfa.Factors
	tries     *tries.Counter
	logins    *mfa.Steps
	launcher  *launcher.Launcher
	// processors is how many processors the process uses.
	processors *processors
	grants     *grant.Store
	files      *fileaccess.Keeper
	rules      *said[core.FileRules]
	changes    *said[core.FileChanges]
	policies   policyReloads
	reloading  sync.Mutex // held while files are read again
	execution  *execution.Server
	rights     rightsBook
	transient  *transient.Pool     // nil where no accounts can be made
	told       func(launcher.Told) // nil if nobody is to be told
	sealer     *seal.Sealer
	approvals  *approval.Book
	codes      *approval.Codes
	news       *approvalNews
	notices    *notices
	prompts    *prompts.Desk
	desktops   *approverDesktops
	broker     *broker.Broker
	jobs       *jobs.Service
	past       past // openPast
	plugins    *plugins.Orchestrator
	// pluginsStarted is closed when every plugin has had its turn; nil before the first
	// has. endPlugins ends them.
	pluginsStarted <-chan struct{}
	endPlugins     func(context.Context) error
	api            *api.Server

	certificate       *trust.ServerCertificate
	clients           *trust.ClientAuthority // nil: administrators need no client certificate
	verifier          *provenance.Verifier
	signatures        core.Signatures // the verifier; nil if there is nobody to trust: then nobody needs to look
	http, https, mqtt *tcpPort
	giveUpPorts       func(context.Context) error // that somebody else holds
	entrances         entrances
	started           time.Time
	isReady           atomic.Bool
	advertising       sync.Mutex

	// stops are undone in reverse by stop.
	stops []func(context.Context) error
}

// Run serves the agent root until ctx is done. What cannot be served at all is an
// error; a busy port, a broken plugin or a broken job is reported and left out.
func Run(ctx context.Context, o Options) error {
	reserve.Stack()
	s := &service{layout: settings.At(o.Root, ""), started: time.Now(), ship: newShipper(), version: o.Version}
	err := s.start(ctx, o)
	if err == nil {
		<-ctx.Done()
		s.log.Info("stopping")
		s.tellManager("stopping", s.host.Service.Stopping)
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	return errors.Join(err, s.stop(stopping))
}

func (s *service) onStop(stop func(context.Context) error) { s.stops = append(s.stops, stop) }

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
	s.beginPorts(o)
	lock, err := settings.Open(s.layout, settings.Guards{Protected: o.Files.ProtectedRoot, Lock: o.Files.Lock})
	if err != nil {
		return err
	}
	s.onStop(func(context.Context) error { return lock.Close() })
	if err := settings.ClaimState(s.layout, o.Version, o.Files.WriteAtomic); err != nil {
		return err
	}
	if s.app, err = settings.LoadApp(s.layout.AppSettings(), o.Files.ReadProtected); err != nil {
		return err
	}
	s.layout = settings.At(o.Root, s.app.PluginPath)
	s.inForce, s.fromFile = s.app, s.app
	s.level.Set(s.app.LogLevel)
	s.log = newLog(o.Log, &s.level, s.ship.handler(&s.level))
	s.warnUnknown(s.app.Unknown)
	s.effective = settings.NewEffective(s.layout)

	for _, room := range []func(context.Context, Options) error{
		s.hurry, s.beginAhead, s.writeDefaults, s.takePorts, s.startTrust, s.startJournal, s.startSystemLog, s.startFactors, s.startApprovals, s.startLauncher, s.startCertificates, s.startBroker,
		s.listen, s.readPlugins, s.startSettings, s.watchPolicies, s.startPlugins, s.startJobs, s.startLastGood, s.startAPI, s.serve, s.awaitPlugins, s.watchPlugins, s.ready, s.readJobs, s.settle, s.reserveThreads, s.compareGood, s.serveRights, s.serveJobs, s.serveApprovals, s.serveExecutions, s.serveElevations, s.watchFiles, s.startHealth, s.startReload, s.startIdentity,
	} {
		if err := room(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// warnUnknown names settings that nothing reads.
func (s *service) warnUnknown(keys []string) {
	for _, key := range keys {
		s.log.Warn("unknown setting is ignored", "file", s.layout.AppSettings(), "key", key)
	}
}
