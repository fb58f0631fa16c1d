package plugins

import (
	"context"
	"sync/atomic"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/view"
)

// plugin is one file, or one of its instances in users' sessions. What follows
// manifest is guarded by Orchestrator.mu.
type plugin struct {
	id       string
	manifest *Manifest // nil when the file cannot be used

	// instances are those of a plugin that runs in sessions; itself it has no
	// process then.
	instances map[core.SessionID]*plugin
	session   core.Session // of an instance
	userName  string

	state       view.PluginState
	pid         int
	process     port.Process // nil while there is none
	started     time.Time
	lastError   string
	lastExit    string
	lastStderr  []string
	restarts    int
	connections int
	subscribed  bool
	responds    bool // it has answered a probe since its process was started
	worked      bool // the process before had, when it ended
	// heard is set when the plugin publishes. asked says that it has been asked
	// whether it lives since, and silent that it has said nothing until the next
	// check.
	heard         atomic.Bool
	logged        atomic.Bool // it has published on KeeperLogger
	asked, silent bool
	// wanted says that it is to run in every session that comes.
	wanted bool
	// noProgram says that it has Failed since there was no program to start.
	noProgram bool
	// down says that somebody has stopped it: no message starts it again.
	down bool
	// resigned says that waiting for it any longer is of no use: it has had its
	// time, or is to be started again much later.
	resigned bool
	// turn is closed when it comes; nil once it has, and before the process starts.
	turn chan struct{}
	// stop ends the supervisor; nil while there is none.
	stop context.CancelFunc
	// cut ends the present process, and says why; nil while there is none.
	cut      context.CancelCauseFunc
	patience *time.Timer
}

// take has p be what a file says. The caller holds Orchestrator.mu, and p has no
// supervisor.
func (p *plugin) take(l loaded) {
	p.manifest, p.lastError = l.manifest, l.fault
	p.state = view.Stopped
	switch {
	case l.manifest == nil:
		p.state = view.Failed
	case l.manifest.Disabled != "":
		p.lastError = l.manifest.Disabled
	}
	if p.manifest != nil && p.manifest.perSession() {
		p.instances = map[core.SessionID]*plugin{}
	}
}

// runnable reports whether p may have a process.
func (p *plugin) runnable() bool { return p.manifest != nil && p.manifest.Disabled == "" }

// principal is who p's process and its connections are.
func (p *plugin) principal() core.Principal {
	who := core.Principal{Kind: core.Plugin, Name: p.id}
	if p.session.ID != "" {
		who.User, who.InUserSession = p.session.User, true
	}
	return who
}

// all are p and its instances.
func (p *plugin) all() []*plugin {
	list := []*plugin{p}
	for _, instance := range p.instances {
		list = append(list, instance)
	}
	return list
}
