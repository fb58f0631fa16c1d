package launcher

import (
	"slices"
	"strings"

	"kpm/core"
	"kpm/core/wire"
)

// maxValue bounds a value kept from the caller, in bytes.
const maxValue = 64

// maxSudoCommand bounds SUDO_COMMAND, in bytes, as sudo does.
const maxSudoCommand = 4096

// kept are the caller's variables that an elevated command may see, and what
// their values may consist of (docs/settings.md, "Environment of elevated
// commands"). Everything else is dropped: no list of bad names is complete.
// Attacks: LD_PRELOAD and its kin, TZ naming a file (CVE-2014-9680), values
// that terminfo or locale code misreads.
var kept = []struct {
	name  string // with "*" at the end, a prefix
	check func(string) bool
}{
	{"TERM", terminal},
	{"COLORTERM", terminal},
	{"LANG", locale},
	{"LANGUAGE", locale},
	{"LC_*", locale},
	{"TZ", zone},
	{"NO_COLOR", func(v string) bool {
		return strings.IndexFunc(v, func(r rune) bool { return r < ' ' || r > '~' }) < 0
	}},
}

func terminal(v string) bool { return only(v, "-+._") }
func locale(v string) bool   { return only(v, "-_.@:=") }

// zone accepts the name of a zone below the system's own directory.
func zone(v string) bool {
	return only(v, "/_+-") && !strings.HasPrefix(v, "/")
}

// only reports whether v consists of ASCII letters, digits and some others.
func only(v, others string) bool {
	return strings.IndexFunc(v, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune(others, r)
	}) < 0
}

// keeps reports whether the caller's variable passes.
func keeps(name, value string) bool {
	if len(value) > maxValue {
		return false
	}
	for _, k := range kept {
		prefix, isPrefix := strings.CutSuffix(k.name, "*")
		matches := name == k.name
		if isPrefix {
			rest, ok := strings.CutPrefix(name, prefix)
			matches = ok && len(name) <= maxValue && rest != "" && only(rest, "_")
		}
		if matches {
			return k.check(value)
		}
	}
	return false
}

// environment is everything that the command of s sees, base first. Of a variable that the
// caller offers twice, the first counts. A script that runs from a copy does not
// know where it lies; what lies beside it is as much its caller's as the name.
func environment(base, offered []string, s core.Subject, id core.RequestID) []string {
	env := append(slices.Clone(base),
		"HOME="+s.Target.Home,
		"SHELL="+s.Target.Shell,
		"USER="+s.Target.Name,
		"LOGNAME="+s.Target.Name,
		"SUDO_USER="+s.Caller.Name,
		"SUDO_UID="+string(s.Caller.User),
		"SUDO_GID="+s.Caller.Group,
		"SUDO_COMMAND="+sudoCommand(s),
		"KEEPER_REQUEST_ID="+string(id),
		"KEEPER_REQUESTING_USER="+s.Caller.Name,
		"KEEPER_REQUESTING_USER_ID="+string(s.Caller.User),
	)
	if s.Executable.Interpreter != "" && !s.Executable.Protected {
		env = append(env, "KEEPER_SCRIPT="+s.Executable.Requested)
	}
	seen := map[string]bool{}
	for _, variable := range offered {
		name, value, ok := strings.Cut(variable, "=")
		if !ok || seen[name] || !keeps(name, value) {
			continue
		}
		seen[name] = true
		env = append(env, variable)
	}
	return env
}

// sudoCommand is the command line as sudo shows it: for people and scripts to
// look at, never to be taken apart again.
func sudoCommand(s core.Subject) string {
	line := s.Executable.Path
	for _, arg := range wire.Shown(s.Argv)[1:] {
		line += " " + arg
		if len(line) > maxSudoCommand {
			break
		}
	}
	line = wire.Printable(line)
	if len(line) > maxSudoCommand {
		line = strings.ToValidUTF8(line[:maxSudoCommand], "")
	}
	return line
}
