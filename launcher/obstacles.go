package launcher

import (
	"fmt"
	"time"

	"kpm/core/wire"
)

// Obstacles says why an elevation could not succeed now, each in one sentence;
// nothing if one could. A policy plugin that is only just started again is none:
// callers wait for it.
func (l *Launcher) Obstacles() []string {
	l.mu.Lock()
	d := l.decider
	closed := l.closed
	l.mu.Unlock()
	var all []string
	switch {
	case closed:
		all = append(all, "the service is stopping")
	case d.standing == absent:
		all = append(all, fmt.Sprintf("nothing can be decided: %s %s", wire.PolicyPlugin, d.how))
	case d.standing == awaited && time.Since(d.since) >= l.doubt():
		all = append(all, fmt.Sprintf("nothing can be decided: %s has not answered since it was started", wire.PolicyPlugin))
	case d.fault != "":
		all = append(all, fmt.Sprintf("everything is denied: %s", d.fault))
	}
	if err := l.cfg.Journal.Room(); err != nil {
		all = append(all, err.Error())
	}
	return all
}

// changed tells that Obstacles may have other news.
func (l *Launcher) changed() {
	if l.cfg.Changed != nil {
		l.cfg.Changed()
	}
}
