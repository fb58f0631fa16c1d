package launcher

import (
	"context"
	"crypto/rand"
	"time"

	"kpm/launcher/request"
)

// How long the policy plugin may leave a question unanswered before it is
// probed, and then the probe; shorter where less time is given for a decision.
// Together they leave room within that time for another one to be started and
// asked.
const (
	longestDoubt = time.Second
	longestProbe = 2 * time.Second
)

func (l *Launcher) doubt() time.Duration { return min(longestDoubt, l.limits().Evaluate/5) }

func (l *Launcher) probeTime() time.Duration { return min(longestProbe, 2*l.limits().Evaluate/5) }

// newProbe begins a probe, and returns its id. The caller holds mu and sends it
// without. Whoever waits for one before it would wait for as long as new ones come.
func (l *Launcher) newProbe() string {
	l.settle()
	d := &l.decider
	d.probe, d.probed = rand.Text(), time.Now()
	l.lookBy(d.probed.Add(l.probeTime()))
	return d.probe
}

// send sends a probe. One that cannot be sent is not answered either.
func (l *Launcher) send(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), l.probeTime())
	defer cancel()
	if err := l.cfg.Bus.Probe(ctx, id); err != nil {
		l.cfg.Log.Warn("the policy plugin cannot be probed", "error", err)
	}
}

// confirmAfter is how old the policy plugin's last word may be for whoever asks
// whether it decides.
const confirmAfter = 2 * time.Second

// Confirm probes a policy plugin that has not been heard for a while, and returns
// when it has answered or will not: what Obstacles then says is true now, although
// an idle machine asks the plugin nothing.
func (l *Launcher) Confirm() {
	l.mu.Lock()
	d, probe := &l.decider, ""
	if l.closed || !d.listens || time.Since(d.heard) < confirmAfter {
		l.mu.Unlock()
		return
	}
	if d.probe == "" {
		probe = l.newProbe()
	}
	if d.settled == nil {
		d.settled = make(chan struct{})
	}
	settled := d.settled
	l.mu.Unlock()
	if probe != "" {
		l.send(probe)
	}
	<-settled // look sees to it, within probeTime of the probe
}

// settle lets go of those who wait for the answer to a probe. The caller holds mu.
func (l *Launcher) settle() {
	if d := &l.decider; d.settled != nil {
		close(d.settled)
		d.settled = nil
	}
}

// lookBy has look called at t at the latest. The caller holds mu.
func (l *Launcher) lookBy(t time.Time) {
	d := &l.decider
	switch {
	case l.closed:
	case d.timer == nil, !d.next.After(time.Now()), t.Before(d.next):
		l.lookAt(t)
	}
}

// lookAt has look called at t and not before. The caller holds mu.
func (l *Launcher) lookAt(t time.Time) {
	d := &l.decider
	if l.closed {
		return
	}
	// A new timer: Go's runtime takes those that were stopped out of its list when one is
	// added, and wakes for one that was put off at the time that it had before.
	if d.timer != nil {
		d.timer.Stop()
	}
	d.timer, d.next = time.AfterFunc(time.Until(t), l.look), t
}

// look probes a policy plugin that owes an answer, or has not been heard for a
// while, and reports one that does not answer the probe. A plugin that is busy
// with others' questions is not silent: whatever it answers counts.
func (l *Launcher) look() {
	l.mu.Lock()
	d, now := &l.decider, time.Now()
	if l.closed || !d.listens {
		l.mu.Unlock()
		return
	}
	probe, silent := "", false
	switch {
	case d.probe == "" && !l.due().After(now):
		probe = l.newProbe()
	case d.probe == "":
		l.lookBy(l.due())
	case d.heard.After(d.probed):
		d.probed = d.heard
		l.settle()
		l.lookBy(d.probed.Add(l.probeTime()))
	case now.Sub(d.probed) >= l.probeTime():
		// It stays on the list: if nobody replaces it, it may come to.
		silent, d.probe, d.probed = true, "", now
		l.settle()
		l.lose()
		l.lookBy(l.due())
	default:
		l.lookBy(d.probed.Add(l.probeTime()))
	}
	l.mu.Unlock()
	switch {
	case probe != "":
		l.send(probe)
	case silent:
		l.cfg.Log.Error("the policy plugin does not answer", "probe", l.probeTime())
		if l.cfg.Silent != nil {
			l.cfg.Silent()
		}
		l.changed()
	}
}

// due returns when the policy plugin is to be probed. The caller holds mu.
func (l *Launcher) due() time.Time {
	d := &l.decider
	at := later(d.heard, d.probed).Add(l.cfg.ProbeEvery)
	for _, e := range l.active {
		if e.asked.IsZero() || e.unheard {
			continue
		}
		if state, _, _ := e.req.View(); state != request.Evaluating {
			continue
		}
		if by := later(e.asked, d.heard).Add(l.doubt()); by.Before(at) {
			at = by
		}
	}
	return at
}

// heardPolicy notes that the policy plugin has answered something.
func (l *Launcher) heardPolicy() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.decider.heard = time.Now()
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
