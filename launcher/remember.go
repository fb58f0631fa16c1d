package launcher

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"

	"kpm/core"
	"kpm/core/wire"
	"kpm/launcher/grant"
	"kpm/launcher/journal"
	"kpm/launcher/request"
)

// remembering is what may be remembered of one request.
type remembering struct {
	ask     grant.Request
	granted []core.Control // that grants stand for
}

// behind says who is behind a request. Where that cannot be told, it is nobody for
// whom anything is remembered, and no policy grants by it.
func (l *Launcher) behind(submitted *Submission) core.Origin {
	if l.cfg.Behind == nil || len(submitted.Peer.Processes) == 0 {
		return core.Origin{}
	}
	origin, err := l.cfg.Behind(submitted.Peer.Processes[0])
	if err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrNotExist) {
		l.cfg.Log.Warn("it is not known who is behind a request", "user", submitted.Peer.User, "process", submitted.Peer.Processes[0], "error", err)
	}
	if err != nil {
		return core.Origin{}
	}
	return origin
}

// known is what the journal says of an origin.
func known(o core.Origin) *core.Origin {
	if o == (core.Origin{}) {
		return nil
	}
	return &o
}

// useGrants finds what grants stand for among what policy asks for. A decision that
// denies never comes here: no grant stands for anything but controls.
func (l *Launcher) useGrants(e *elevation, demands []core.Demand, f *request.Fact) {
	length := e.submitted.For
	if state, _, _ := e.req.View(); state != request.Evaluating {
		return // a second answer, which changes nothing
	}
	if e.file {
		return // its length is that of the access
	}
	if f.Cause == request.Allow {
		if length > 0 {
			l.inform(e, "Policy asks for nothing here, so there is nothing to remember.")
		}
		return
	}
	if l.cfg.Grants == nil || len(demands) == 0 {
		if length > 0 {
			l.inform(e, "What policy asks for here is asked each time: it cannot be remembered.")
		}
		return
	}
	s := e.sealed.Subject
	r := &remembering{ask: grant.Request{
		ID: e.id, User: s.Caller.User, UserName: s.Caller.Name, Target: s.Target.User, As: s.Target.Name, Origin: e.origin,
		Seal: e.sealed.Digest, Command: shortCommand(l.cfg.Facts.Platform, s), Demands: demands,
	}}
	var standing grant.Standing
	if length > 0 {
		standing = l.cfg.Grants.Ask(&r.ask, length)
	} else {
		standing = l.cfg.Grants.Use(&r.ask)
	}
	if standing.Reason && l.verifier(core.ControlJustify) != nil {
		f.Controls = l.cfg.Table.Required(append(slices.Clone(f.Controls), core.ControlJustify))
	}
	f.Granted, f.Grants, r.granted = standing.Controls, standing.Grants, standing.Controls
	l.inform(e, standing.Notes...)
	l.mu.Lock()
	defer l.mu.Unlock()
	e.remembering = r
}

// maxShownCommand bounds what lists of grants show of a command, in bytes.
const maxShownCommand = 200

func shortCommand(p core.Platform, s core.Subject) string {
	text := wire.Printable(wire.Quoted(p, append([]string{s.Executable.Path}, wire.Shown(s.Argv[1:])...)))
	if len(text) <= maxShownCommand {
		return text
	}
	cut := maxShownCommand
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "..."
}

// give gives grants for the controls that have been satisfied, now that a request is
// allowed by that. What grants stood for is not given again by them.
func (l *Launcher) give(e *elevation, last request.Fact) {
	if last.Cause != request.Satisfied || l.cfg.Grants == nil {
		return
	}
	l.mu.Lock()
	r := e.remembering
	e.remembering = nil
	l.mu.Unlock()
	if r == nil {
		return
	}
	var satisfied []core.Control
	for _, d := range r.ask.Demands {
		for _, c := range d.Controls {
			if !slices.Contains(r.granted, c) {
				satisfied = append(satisfied, c)
			}
		}
	}
	l.cfg.Grants.Give(&r.ask, satisfied, e.submitted.For)
}

// inform notes what the person is to be told.
func (l *Launcher) inform(e *elevation, texts ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, text := range texts {
		e.notes = append(e.notes, core.Notice{Text: text})
	}
}

// monitored is the record of what policies that only watch would have done.
func monitored(id core.RequestID, f request.Fact) journal.Record {
	m := f.Monitored
	texts := make([]string, len(m.Notices))
	for i, n := range m.Notices {
		texts[i] = n.Text
	}
	return journal.Record{
		Type: journal.Monitored, Request: id, By: f.By.String(), Policies: m.Policies, Outcome: m.Outcome, Controls: m.Controls, FilterJobs: m.FilterJobs,
		Message: wire.Printable(strings.Join(texts, " ")),
	}
}

// monitoredCost is about how many bytes each policy adds to a record of monitoring.
const monitoredCost = 256

// watched keeps what the person is told of monitoring policies.
func (l *Launcher) watched(e *elevation, m *core.Monitored) {
	if m == nil {
		return
	}
	l.quota.Spend(l.cfg.People.Of(e.submitted.Peer.Payer()), monitoredCost*(1+len(m.Policies)))
	l.mu.Lock()
	defer l.mu.Unlock()
	e.notes = append(e.notes, m.Notices...)
}
