package launcher

import (
	"os"

	"kpm/core"
	"kpm/launcher/journal"
	"kpm/launcher/request"
)

// Told is one request as the system's own log is to have it: a command that runs
// now, or what was not carried out.
type Told struct {
	Request   core.RequestID
	UserID    core.UserID
	User      string
	Terminal  string // the caller's, such as "pts/3"; empty if they have none
	Directory string
	Target    string
	Program   string   // its path
	Argv      []string // without the values that the journal masks
	// Outcome is journal.Launched, Denied, Expired or Failed.
	Outcome journal.Type
}

// outcomes are the states that are told.
var outcomes = map[request.State]journal.Type{
	request.Running: journal.Launched, request.Denied: journal.Denied, request.Expired: journal.Expired, request.Failed: journal.Failed,
}

// report has Config.Told hear of e in a state.
func (l *Launcher) report(e *elevation, state request.State) {
	outcome, worth := outcomes[state]
	if l.cfg.Told == nil || !worth || e.submitted == nil {
		return
	}
	s := e.sealed.Subject
	told := Told{
		Request: e.id, UserID: s.Caller.User, User: s.Caller.Name, Directory: s.Dir, Target: s.Target.Name,
		Program: s.Executable.Path, Argv: l.cfg.Journal.Masked(s.Argv), Outcome: outcome,
	}
	for _, f := range []*os.File{e.submitted.Streams.Input, e.submitted.Streams.Output, e.submitted.Streams.Error} {
		if f != nil && told.Terminal == "" && l.cfg.Terminals.IsTerminal(f) {
			told.Terminal = l.cfg.Terminals.Name(f)
		}
	}
	l.cfg.Told(told)
}
