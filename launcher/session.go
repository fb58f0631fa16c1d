package launcher

import (
	"errors"

	"kpm/core"
)

// session is the login session that a request comes from, empty if it comes from
// none: where its caller is asked something. It is looked up when it is needed, and
// whoever starts something there asks again whose it is.
func (l *Launcher) session(e *elevation) core.SessionID {
	switch e.origin.By {
	case core.ByDesktop, core.ByService, core.ByAgent:
		return e.origin.Session // looked up for the same process, when the request was opened
	}
	processes := e.submitted.Peer.Processes
	if l.cfg.SessionOf == nil || len(processes) == 0 {
		return ""
	}
	session, err := l.cfg.SessionOf(processes[0])
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		l.cfg.Log.Warn("the session of a request is not known", "request", e.id, "process", processes[0], "error", err)
	}
	if err != nil {
		return ""
	}
	return session
}
