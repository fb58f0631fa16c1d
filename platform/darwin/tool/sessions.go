package tool

import (
	"fmt"
	"strings"

	"kpm/core"
)

// AskSessions returns what asks for the graphical sessions, and the line that it
// is told on its standard input.
func AskSessions() (argv []string, input string) {
	return []string{Scutil}, "show State:/Users/ConsoleUser\nquit\n"
}

// noSessions is scutil's answer before anybody has logged in since the start.
const noSessions = "No such key"

// ParseSessions reads the graphical sessions out of scutil's answer. The session
// that somebody is looking at is active, unless the login window is there: the
// audit session is its id.
//
// Traps, known from other products: while a second user logs in (fast user
// switching), the top-level UID is the one before and the session's own is right;
// the login window has a session, of root or of whom it is about to log in
// (kCGSessionLoginDoneKey is FALSE).
func ParseSessions(answer string) ([]core.Session, error) {
	if strings.Contains(answer, noSessions) {
		return nil, nil
	}
	var all []core.Session
	var fields map[string]string // of one session; nil outside
	var path []string            // names of the containers that are open
	for line := range strings.Lines(answer) {
		line = strings.TrimSpace(line)
		key, value, isPair := strings.Cut(line, " : ")
		switch {
		case line == "}":
			if len(path) == 0 {
				return nil, fmt.Errorf("scutil answered %.200q: a bracket too many", answer)
			}
			if fields != nil && len(path) == 3 {
				if s, ok := session(fields); ok {
					all = append(all, s)
				}
				fields = nil
			}
			path = path[:len(path)-1]
		case strings.HasSuffix(line, "{"):
			path = append(path, key)
			if len(path) == 3 && path[1] == "SessionInfo" {
				fields = map[string]string{}
			}
		case isPair && fields != nil && len(path) == 3:
			fields[key] = value
		}
	}
	if len(path) != 0 || !strings.Contains(answer, "<dictionary>") {
		return nil, fmt.Errorf("scutil answered %.200q, expected a dictionary", answer)
	}
	return all, nil
}

// session reads one entry of SessionInfo, or reports false for the login window.
func session(fields map[string]string) (core.Session, bool) {
	s := core.Session{
		ID:        core.SessionID(fields["kCGSSessionAuditIDKey"]),
		User:      core.UserID(fields["kCGSSessionUserIDKey"]),
		Graphical: true,
		Active:    fields["kCGSSessionOnConsoleKey"] == "TRUE",
	}
	done := fields["kCGSessionLoginDoneKey"] == "TRUE"
	return s, done && s.User != "0" && Number(string(s.User)) && Number(string(s.ID))
}
