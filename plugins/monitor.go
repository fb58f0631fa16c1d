package plugins

import (
	"context"
	"errors"
	"time"

	"kpm/core"
	"kpm/core/view"
	"kpm/core/wire"
)

// errNoSign is why a plugin that does not answer its ping is ended.
var errNoSign = errors.New("it published nothing since it was asked to")

// sessionsWithin is how long a user who has logged in may wait for plugins.
const sessionsWithin = 5 * time.Second

// Monitor looks after the plugins until ctx is done: those that ask for it are asked at
// intervals (PluginMonitoring:IntervalSeconds) whether they live, and those that run in
// users' sessions follow them. An exit needs no looking for: it is noticed when it
// happens. So where there is nobody to ask and nobody to follow, nothing wakes up.
func (o *Orchestrator) Monitor(ctx context.Context) {
	sessions, check := newPulse(), newPulse()
	defer sessions.timer.Stop()
	defer check.timer.Stop()
	for {
		o.mu.Lock()
		asks, interval, changed := o.asks(), o.cfg.Monitoring.Interval, o.changed
		o.mu.Unlock()
		check.run(asks, interval)
		sessions.run(len(o.followers()) > 0, sessionsWithin)
		select {
		case <-sessions.timer.C:
			sessions.runs = false
			o.follow()
		case <-o.cfg.SessionsChanged:
			o.follow()
		case <-check.timer.C:
			check.runs = false
			o.check()
		case <-changed: // there may be others to ask or to follow
		case <-ctx.Done():
			return
		}
	}
}

// pulse is a timer that runs while somebody needs it.
type pulse struct {
	timer *time.Timer
	runs  bool
}

func newPulse() *pulse {
	p := &pulse{timer: time.NewTimer(time.Hour)}
	p.timer.Stop()
	return p
}

func (p *pulse) run(needed bool, in time.Duration) {
	switch {
	case needed && !p.runs:
		p.timer.Reset(in)
	case !needed && p.runs:
		p.timer.Stop()
	}
	p.runs = needed
}

// asks reports whether any plugin is to be asked whether it lives. The caller holds mu.
func (o *Orchestrator) asks() bool {
	for _, p := range o.plugins {
		if p.runnable() && p.manifest.Ping {
			return true
		}
	}
	return false
}

// check looks at every plugin once.
func (o *Orchestrator) check() {
	type question struct{ id, topic string }
	var ask []question
	o.change(func() {
		o.checks++
		o.checked = time.Now()
		for _, parent := range o.sorted() {
			for _, p := range parent.all() {
				if p.cut == nil || p.pid == 0 || !p.manifest.Ping {
					continue
				}
				if p.heard.Swap(false) {
					p.asked, p.silent = false, false
					o.judge(p)
					continue
				}
				if p.asked && p.state == view.Healthy {
					p.silent, p.state, p.lastError = true, view.Unhealthy, errNoSign.Error()
					if p.manifest.AutoRestart {
						p.cut(errNoSign)
						continue
					}
				}
				p.asked = true
				ask = append(ask, question{p.id, p.manifest.Topic})
			}
		}
	})
	for _, q := range ask {
		if err := o.cfg.Ping(q.id, q.topic); err != nil {
			o.cfg.Log.Warn("the plugin was not asked whether it lives", "plugin", q.id, "error", err)
		}
	}
}

// watched is what Published looks at for every message on the bus: it takes no
// lock and is replaced whole.
type watched struct {
	by map[string][]*plugin // that can run, by id
}

// watchTopics is called whenever files were read. The caller holds mu, or nobody
// else has o yet.
func (o *Orchestrator) watchTopics() {
	w := &watched{by: map[string][]*plugin{}}
	for _, p := range o.plugins {
		if p.runnable() {
			w.by[p.id] = p.all()
		}
	}
	o.topics.Store(w)
}

// Published is told of every message that the bus has taken. It takes no lock.
func (o *Orchestrator) Published(from core.Principal, topic string) {
	if from.Kind != core.Plugin {
		return
	}
	for _, p := range o.topics.Load().by[from.Name] {
		if p.session.User != from.User && p.session.ID != "" {
			continue
		}
		p.heard.Store(true)
		if topic == wire.TopicLogger {
			p.logged.Store(true)
		}
	}
}

// Wanted is told of a message for a plugin that starts by messages and is not
// connected. It starts it, unless somebody has stopped it, and does not wait for
// it.
func (o *Orchestrator) Wanted(id string) {
	woken := false
	o.change(func() {
		p, ok := o.find(id)
		if woken = ok && !p.down && p.state != view.Failed && o.mayBegin(p) == nil; woken {
			o.launch(p)
		}
	})
	if woken {
		o.cfg.Log.Info("plugin starts: a message has arrived for it", "plugin", id)
	}
}
