package task

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"kpm/core"
	"kpm/core/fault"
	"kpm/core/port"
	"kpm/settings"
)

// maxPrograms bounds the programs that tasks have running.
const maxPrograms = 64

// Starter starts programs, as the service account or for a user. It checks that it is
// Protected and registers the process before it runs.
type Starter interface {
	StartService(ctx context.Context, s core.ServiceSpec) (port.Process, error)
	// StartUser does the same in a user's session. Errors wrap
	// errors.ErrUnsupported where there is no such thing.
	StartUser(ctx context.Context, s core.UserSpec) (port.Process, error)
}

// Program is the kind of task that runs an executable as the service account.
func Program(cfg Config) Kind { return newPrograms(cfg).kind(core.AsService) }

// Sessions are the kinds of task that run an executable in a user's session.
func Sessions(cfg Config) Kinds {
	host := newPrograms(cfg)
	return Kinds{
		host.kind(core.AsUser), Dialog(cfg), // before other programs: a dialog's name is its own
		host.kind(core.AsUserDesktop), host.kind(core.AsUserElevated),
	}
}

func newPrograms(cfg Config) *programs {
	return &programs{layout: cfg.Layout, platform: cfg.Platform, starter: cfg.Starter, slots: make(chan struct{}, maxPrograms)}
}

func (h *programs) kind(as core.RunAs) Kind {
	return Kind{Type: as.String(), Fields: programFields{}, Compile: func(s *Source) Task { return h.compile(s, as) }}
}

// programs is what every program task shares.
type programs struct {
	layout   settings.Layout
	platform core.Platform
	starter  Starter
	slots    chan struct{} // one element per running program
}

type program struct {
	host    *programs
	as      core.RunAs
	script  scriptType
	command string
	path    string // absolute; empty means: find the command
	args    []settings.Template
	merge   bool
}

type programFields struct {
	Command        string `json:"command" jsonschema_description:"A built-in, else the bare name of a program: Jobs/bin/{command}/{command}, then the system's own directories."`
	ExecutablePath string `json:"executablePath" jsonschema_description:"An absolute path, or one with path variables such as {approot} or {usr}, in place of looking for the command."`
	Arguments      string `json:"arguments" jsonschema_description:"Words, quoted with '...' or \"...\"; tokens are filled in after splitting. No shell."`
	ScriptType     string `json:"scriptType" jsonschema:"enum=Auto,enum=Shell,enum=Bash,enum=PowerShell,enum=Python" jsonschema_description:"Which interpreter runs the task's file. Auto: it is executed itself."`
}

func (h *programs) compile(s *Source, as core.RunAs) Task {
	var f programFields
	if !s.Decode(&f) {
		return nil
	}
	s.Expect(core.ValidName(f.Command) && f.Command != "." && f.Command != "..", "command", fault.Quote(f.Command), "the bare name of a program, without a path, or a built-in")
	script, known := findScriptType(f.ScriptType)
	if !known {
		s.Expect(false, "scriptType", fault.Quote(f.ScriptType), "one of "+scriptTypeNames())
	}
	p := &program{host: h, as: as, script: script, command: f.Command, args: s.Arguments(f.Arguments), merge: s.Merge}
	if f.ExecutablePath == "" {
		p.noScripts(s)
		return p
	}
	path, err := settings.ParseTemplate(f.ExecutablePath).Expand(func(token string) (string, error) {
		if path, ok := h.layout.Variable(token); ok {
			return path, nil
		}
		if path, ok := h.platform.Place(token); ok {
			return path, nil
		}
		return "", fmt.Errorf("{%s}", token)
	})
	if err != nil {
		s.Expect(false, "executablePath", err.Error(), "{approot}, {pluginroot}, {jobroot} or another path variable of this system")
	} else {
		s.Expect(filepath.IsAbs(path) && !strings.ContainsRune(path, 0), "executablePath", fault.Quote(f.ExecutablePath), "an absolute path")
	}
	p.path = path
	p.noScripts(s)
	return p
}

// noScripts refuses a token in text that the program would run as a script.
func (t *program) noScripts(s *Source) {
	args := argumentsOf(t.args)
	if !holdTokens(args) {
		return // and what the program is need not be looked up
	}
	names := []string{t.command, t.path}
	// A link to an interpreter is one.
	if found, err := t.find(); err == nil {
		if to, err := filepath.EvalSymlinks(found); err == nil {
			names = append(names, to)
		}
	}
	i, interpreter, found := inScript(names, args)
	if !found {
		return
	}
	variables := []string{}
	for _, part := range t.args[i].Parts() {
		if part.Token != "" {
			variables = append(variables, ContextVariable(part.Token))
		}
	}
	s.refuse("arguments", fault.Quote(args[i].text)+", a token in text that "+interpreter+" runs", "a script without tokens",
		"a value could be read as a command: give it as an argument of its own, or read it from the environment as "+strings.Join(variables, ", "))
}

// Path is the program that the task runs now; empty if there is none.
func (t *program) Path() string {
	path, err := t.find()
	if err != nil {
		return ""
	}
	return path
}

// Missing implements Installed.
func (t *program) Missing() error {
	_, err := t.find()
	return err
}

// find returns the task's file: Jobs/bin first, then the secure path. Whether it
// may be run is the Starter's check (decision 6).
func (t *program) find() (string, error) {
	candidates := []string{t.path}
	if t.path == "" {
		suffix := t.host.platform.ProgramSuffix()
		suffixes := t.script.suffixes
		if suffixes == nil {
			suffixes = []string{suffix}
		}
		candidates = nil
		for _, suffix := range suffixes {
			candidates = append(candidates, t.host.layout.JobBin(t.command, suffix))
		}
		if t.script.programs == nil {
			candidates = append(candidates, t.host.onSecurePath(t.command)...)
		}
	}
	if path, ok := firstFile(candidates); ok {
		return path, nil
	}
	return "", fmt.Errorf("there is no program %s: install it as %s", t.command, candidates[0])
}

// onSecurePath are the places where a program may be that is the system's.
func (h *programs) onSecurePath(name string) (list []string) {
	for _, dir := range h.platform.SecurePath() {
		list = append(list, filepath.Join(dir, name+h.platform.ProgramSuffix()))
	}
	return list
}

// commandLine is what runs path: path itself, or its interpreter with it.
func (t *program) commandLine(path string) (program, script string, argv []string, err error) {
	if t.script.programs == nil {
		return path, "", []string{path}, nil
	}
	for _, name := range t.script.programs {
		if found, ok := firstFile(t.host.onSecurePath(name)); ok {
			return found, path, append(append([]string{found}, t.script.options...), path), nil
		}
	}
	return "", "", nil, fmt.Errorf("scriptType %s: there is no %s on this machine", t.script.name, t.script.programs[0])
}

func firstFile(paths []string) (string, bool) {
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, true
		}
	}
	return "", false
}
