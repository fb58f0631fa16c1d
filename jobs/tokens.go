package jobs

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"kpm/settings"
)

// Tokens that the agent itself answers, whatever the context says; an event
// that carries one of these names cannot send a task elsewhere.
const (
	tokenBaseURL = "keeperapibaseurl"
	tokenJobID   = "jobid"
	tokenRunID   = "runid"
	tokenVersion = "version"
	tokenDesktop = "hasdesktop"
	tokenSystem  = "platform"
)

// reserved reports whether the agent answers this token.
func reserved(token string) bool {
	switch strings.ToLower(token) {
	case tokenBaseURL, tokenJobID, tokenRunID, tokenVersion, tokenDesktop, tokenSystem, "approot", "pluginroot", "jobroot":
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

// Value returns what a token stands for in this run.
func (r *run) Value(token string) (string, error) {
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
	case tokenVersion:
		return r.service.cfg.Version, nil
	case tokenSystem:
		return string(r.service.cfg.Platform), nil
	case tokenDesktop:
		user, _ := r.vars.get("UserName")
		name, _ := user.(string) // nobody's: anybody's
		return strconv.FormatBool(r.service.cfg.HasDesktop(name)), nil
	}
	if path, ok := r.service.cfg.Layout.Variable(token); ok {
		return path, nil
	}
	// Attack: an event with a "bin" of its own, for a job that runs {bin}/tool.
	if path, ok := r.service.cfg.Platform.Place(token); ok && !r.job.declares(token) {
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

// Masked implements task.Run.
func (r *run) Masked(text string) string { return r.mask.text(text) }

// Held implements task.Run.
func (r *run) Held() (held []string) {
	for _, base := range []string{r.service.cfg.APIBaseURL(), r.service.cfg.HTTPBaseURL()} {
		if base != "" {
			held = append(held, base)
		}
	}
	return held
}

// declares reports whether name is that of one of the job's parameters.
func (j *job) declares(name string) bool {
	return slices.ContainsFunc(j.parameters, func(p parameter) bool { return p.name == name })
}

// Environment is docs/settings.md, "Environment of launched processes".
func (r *run) Environment() []string {
	env := append(r.service.cfg.Layout.Environment(r.service.cfg.BaseEnvironment, r.service.cfg.APIBaseURL()),
		"KEEPER_RUN_ID="+r.principal.Run, "KEEPER_JOB_TOKEN="+r.token)
	if len(r.job.publish)+len(r.job.subscribe) > 0 {
		env = append(env, "KEEPER_JOB_ID="+r.job.id, "KEEPER_JOB_NAME="+r.job.name)
	}
	return append(env, r.vars.environment()...)
}
