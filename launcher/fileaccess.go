package launcher

import (
	"context"
	"fmt"
	"time"

	"kpm/core"
	"kpm/core/wire"
	"kpm/launcher/fileaccess"
	"kpm/launcher/journal"
	"kpm/launcher/request"
	"kpm/launcher/seal"
)

// FileAccess gives access to files. fileaccess.Keeper is one.
type FileAccess interface {
	Give(fileaccess.Want) (fileaccess.Grant, error)
	// Held returns the grant that a user holds for the file at path.
	Held(user core.UserID, path string) (fileaccess.Shown, bool)
}

// The jobs of requests for access to a file.
const (
	fileLaunchJob  = wire.EventLaunchFileAccess
	fileControlJob = "file-access-policy-controls"
)

// controlJob is the job whose end without result fails request id.
func (l *Launcher) controlJob(id core.RequestID) string {
	if e, err := l.find(id); err == nil && e.file {
		return fileControlJob
	}
	return l.cfg.ControlJob
}

// eventType is what policies and jobs know the request as.
func (e *elevation) eventType() string {
	if e.file {
		return wire.EventFileAccess
	}
	return wire.EventPrivilegeElevation
}

// launchEvent is what wakes the job that carries the request out.
func (e *elevation) launchEvent() string {
	if e.file {
		return wire.EventLaunchFileAccess
	}
	return wire.EventLaunch
}

// undone says what was not done for the caller.
func (e *elevation) undone() string {
	if e.file {
		return "was not opened to you"
	}
	return "was not run"
}

// seal fixes what is asked for.
func (l *Launcher) seal(ctx context.Context, submitted *Submission) (*seal.Sealed, error) {
	if submitted.FileAccess {
		return l.cfg.Sealer.SealFile(&submitted.Request)
	}
	return l.cfg.Sealer.Seal(ctx, &submitted.Request)
}

// shy is how much less than was asked for is as good: it passes between an approval and
// the question after it.
const shy = time.Minute

// held says that the caller has access already, for as long as they ask for.
func (l *Launcher) held(submitted *Submission, s *seal.Sealed) (text string, held bool) {
	if !submitted.FileAccess || l.cfg.Files == nil {
		return "", false
	}
	g, held := l.cfg.Files.Held(s.Subject.Caller.User, s.Subject.Executable.Path)
	if !held || g.Left+shy < submitted.For {
		return "", false
	}
	return fmt.Sprintf("%s: %s\n", wire.PrintableLine(s.Subject.Executable.Path), g.InWords()), true
}

// noteLongest notes how long policies let access last: the shortest that any of them
// says.
func (l *Launcher) noteLongest(e *elevation, demands []core.Demand) {
	if state, _, _ := e.req.View(); !e.file || state != request.Evaluating {
		return // a second answer changes nothing
	}
	l.note(e, func() {
		for _, d := range demands {
			if d.Grant != nil && (e.longest == 0 || time.Duration(d.Grant.For) < e.longest) {
				e.longest = time.Duration(d.Grant.For)
			}
		}
	})
}

// GrantFile gives access to the file that an allowed request is about, for at most
// length, on behalf of the job run that was started for it. The first GrantFile
// consumes the request, whatever becomes of it; later ones are conflicts. Errors wrap
// request.ErrUnknown, request.ErrConflict, ErrNotPermitted, or say why no access could
// be given.
func (l *Launcher) GrantFile(from core.Principal, id core.RequestID, length time.Duration) (fileaccess.Grant, error) {
	e, err := l.find(id)
	if err == nil && (from.Kind != core.JobRun || from.Request != id || from.Name != fileLaunchJob || !e.file) {
		err = fmt.Errorf("by %s, only %s of a request for access to a file may: %w", from, fileLaunchJob, ErrNotPermitted)
	}
	if err == nil {
		err = e.req.Apply(request.Fact{Cause: request.Launch, By: from})
	}
	if err != nil {
		return fileaccess.Grant{}, fmt.Errorf("launcher: grant: %w", err)
	}
	g, err := l.giveAccess(e, length)
	if err != nil {
		l.cfg.Log.Error("no access was given to a file", "request", id, "error", err)
		l.apply(e, fact(request.Fault, err.Error()))
		return g, fmt.Errorf("launcher: grant: %w", err)
	}
	l.note(e, func() {
		e.access = fmt.Sprintf("%s: %s\n", wire.PrintableLine(g.Ref.Path), fileaccess.Shown{Grant: g, Left: time.Until(g.Until)}.InWords())
	})
	l.apply(e, fact(request.Granted, "access was given until "+g.Until.Format(time.RFC3339)))
	return g, nil
}

func (l *Launcher) giveAccess(e *elevation, length time.Duration) (fileaccess.Grant, error) {
	if l.cfg.Files == nil {
		return fileaccess.Grant{}, fmt.Errorf("access to files is not given on this machine")
	}
	if length <= 0 {
		length = fileaccess.DefaultLength
	}
	var longest time.Duration
	l.note(e, func() { longest = e.longest })
	for _, limit := range []time.Duration{e.submitted.For, longest} {
		if limit > 0 {
			length = min(length, limit)
		}
	}
	_, last, _ := e.req.View()
	device, inode := e.sealed.Identity()
	return l.cfg.Files.Give(fileaccess.Want{
		User: e.sealed.Subject.Caller, Path: e.sealed.Subject.Executable.Path, Device: device, Inode: inode,
		Length: length, Request: e.id, Policies: last.Policies, By: core.ServicePrincipal(),
	})
}

// accessGiven is what the caller is told whose request was carried out.
func (l *Launcher) accessGiven(e *elevation) (r Result) {
	l.note(e, func() { r.Listing = e.access })
	return r
}

// whatFile is what a request wants to open, as prompts have it.
func (l *Launcher) whatFile(e *elevation) string {
	path := wire.Quoted(l.cfg.Facts.Platform, []string{wire.Escaped(e.sealed.Subject.Executable.Path)})
	return fmt.Sprintf("%s (request %s)", path, e.id.Code())
}

// RecordFileAccess writes what happened to files and grants of access into the journal.
func RecordFileAccess(j *journal.Journal) func(fileaccess.Event) error {
	return func(e fileaccess.Event) error {
		r := journal.Record{
			Type: journal.FileAccess, By: e.By.String(), Cause: string(e.What), Message: wire.PrintableLine(e.Message), Policies: e.Policies,
			File: wire.PrintableLine(e.File), Users: e.Users,
		}
		if g := e.Grant; g != nil {
			r.Type, r.Cause, r.Request, r.UserID, r.User, r.Users = journal.Granted, string(g.Kind), g.Request, g.User, g.UserName, nil
			r.Grant = &journal.Grant{ID: g.ID, Seconds: int64(g.Until.Sub(g.Given) / time.Second)}
			if e.What == fileaccess.Ended {
				r.Type = journal.GrantEnded
			}
		}
		if err := j.Append(r); err != nil {
			return fmt.Errorf("launcher: %w", err)
		}
		return nil
	}
}
