package jobs

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"kpm/settings"
)

// Tokens that the agent itself answers, whatever the context says; an event
// that carries one of these names cannot send a task elsewhere.
const (
	tokenBaseURL = "keeperapibaseurl"
	tokenJobID   = "jobid"
	tokenRunID   = "runid"
)

// reserved reports whether the agent answers this token.
func reserved(token string) bool {
	switch strings.ToLower(token) {
	case tokenBaseURL, tokenJobID, tokenRunID, "approot", "pluginroot", "jobroot":
		return true
	}
	return false
}

// validToken reports whether name can stand between braces.
func validToken(name string) bool {
	parts := settings.ParseTemplate("{" + name + "}").Parts()
	return len(parts) == 1 && parts[0].Token == name
}

var errNoBaseURL = errors.New("{KeeperApiBaseUrl}: the HTTPS port is not held")

// value returns what a token stands for in this run.
func (r *run) value(token string) (string, error) {
	switch strings.ToLower(token) {
	case tokenBaseURL:
		if base := r.service.cfg.APIBaseURL(); base != "" {
			return base, nil
		}
		return "", errNoBaseURL
	case tokenJobID:
		return r.job.id, nil
	case tokenRunID:
		return r.principal.Run, nil
	}
	if path, ok := r.service.cfg.Layout.Variable(token); ok {
		return path, nil
	}
	value, ok := r.vars.get(token)
	if !ok {
		return "", fmt.Errorf("unknown token {%s}: neither the event, a parameter nor an earlier task gave it", token)
	}
	s, err := text(value)
	if err != nil {
		return "", fmt.Errorf("{%s}: %w", token, err)
	}
	return s, nil
}

// argument is value for a place in argv, which cannot hold a NUL.
func (r *run) argument(token string) (string, error) {
	s, err := r.value(token)
	if err == nil && strings.ContainsRune(s, 0) {
		err = fmt.Errorf("{%s} holds a NUL character", token)
	}
	return s, err
}

// inJSON is value for a place inside a JSON string: whatever it holds, it
// stays inside its quotes.
func (r *run) inJSON(token string) (string, error) {
	s, err := r.value(token)
	if err != nil {
		return "", err
	}
	quoted, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	return string(quoted[1 : len(quoted)-1]), nil
}
