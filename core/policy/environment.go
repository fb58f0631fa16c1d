package policy

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"

	"kpm/core"
)

// Environment is what the engine knows about the machine. None of it comes
// from a user's environment: a variable that a user can set would be a policy
// that the user can write (CVE-2020-12612).
type Environment struct {
	// Platform is the machine's. On Windows paths and names are compared
	// without regard to case, and "\" is read as "/".
	Platform core.Platform
	// Variables are the values of {name} in paths, as Variables returns them.
	Variables map[string]string
	// Links are directories that are links to others, such as /bin to
	// /usr/bin: policies and questions may name either.
	Links map[string]string
	// SecurePath is where the service finds bare names, in its order; with
	// more than eight directories every question is denied.
	SecurePath []string
	// MissingGroup reports that there is no group of that name now, for a note to
	// the policy's author; nil knows nothing. Decisions go by the question.
	MissingGroup func(name string) bool
	// Resolve follows a path from dir, with every link, to something that exists
	// on a local file system; nil finds nothing. It does not block.
	Resolve func(dir, path string) (string, bool)
	// Collections by UID, from the collections files.
	Collections map[string]Collection
	// EnforceForAdministrators makes administrators subject to policy. If it
	// is false they are allowed everything.
	EnforceForAdministrators bool
}

// LinkCandidates are the top directories that Unix systems make links; the
// caller looks which of them are, and fills Environment.Links.
func LinkCandidates() []string {
	return []string{"/bin", "/sbin", "/lib", "/lib64", "/tmp", "/etc", "/var"}
}

// Variables returns the path variables that mean the same for every user of a
// machine on platform whose agent is installed at root. Those that differ by user, such as
// {userdesktop}, are missing: a policy that uses them grants nothing.
func Variables(platform core.Platform, root string) map[string]string {
	v := platform.Places()
	maps.Copy(v, map[string]string{"approot": root, "pluginroot": root + "/Plugins", "jobroot": root + "/Jobs"})
	return v
}

// expand replaces {name} in pattern. It reports the first name that it does
// not know, or "{" for a brace that nothing closes or that holds nothing.
func (e *Environment) expand(pattern string) (string, string) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(pattern, "{")
		b.WriteString(before)
		if !found {
			return b.String(), ""
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", "{"
		}
		value, known := e.Variables[e.fold(name)]
		if !known {
			return "", cmp.Or(name, "{")
		}
		b.WriteString(value)
		pattern = after
	}
}

// fold brings a name into the form in which the system compares names.
func (e *Environment) fold(s string) string {
	if e.Platform == core.Windows {
		return strings.ToLower(s)
	}
	return s
}

// foldAll is fold for each of list, which stays as it is.
func (e *Environment) foldAll(list []string) []string {
	if e.Platform != core.Windows {
		return list
	}
	folded := make([]string, len(list))
	for i, s := range list {
		folded[i] = strings.ToLower(s)
	}
	return folded
}

// slashes brings a path or pattern into the form in which paths are compared.
func (e *Environment) slashes(s string) string {
	return e.Platform.PathKey(s)
}

// follow replaces a leading directory that is a link.
func (e *Environment) follow(s string) string {
	if !strings.HasPrefix(s, "/") {
		return s
	}
	second := strings.IndexByte(s[1:], '/')
	if second < 0 {
		return s
	}
	if target, linked := e.Links[s[:second+1]]; linked {
		return target + s[second+1:]
	}
	return s
}

// absolute reports whether s, after slashes, names one place from the root.
func (e *Environment) absolute(s string) bool {
	if e.Platform == core.Windows {
		drive := len(s) > 2 && s[1] == ':' && s[2] == '/'
		return (drive || strings.HasPrefix(s, "//")) && !strings.Contains(s+"/", "/../") && !strings.Contains(s+"/", "/./")
	}
	return strings.HasPrefix(s, "/") && isClean(s)
}

// isClean reports whether path.Clean(s) == s for an s that begins with "/". A
// decision asks this of every path, so the ones that have nothing to clean are
// told without walking them byte by byte.
func isClean(s string) bool {
	if len(s) > 1 && s[len(s)-1] != '/' && !strings.Contains(s, "/.") && !strings.Contains(s, "//") {
		return true
	}
	return path.Clean(s) == s
}

// rooted reports whether the literal beginning of a pattern, after follow, leads
// to paths from the root as questions have them. Attack: a DENY of "temp/*" or
// "/bin*", which would meet nothing where /bin is a link that questions follow.
func (e *Environment) rooted(prefix string) bool {
	if e.Platform == core.Windows {
		return strings.HasPrefix(prefix, "//") || len(prefix) > 1 && strings.HasPrefix(prefix[1:]+"/", ":/")
	}
	for link := range e.Links {
		if len(prefix) > 1 && strings.HasPrefix(link, prefix) {
			return false
		}
	}
	return strings.HasPrefix(prefix, "/")
}

// collapse makes one slash of several, which variables that end in one leave. On
// Windows two at the beginning are a server's.
func (e *Environment) collapse(s string) string {
	server := ""
	if e.Platform == core.Windows && strings.HasPrefix(s, "//") {
		server = "/"
	}
	for strings.Contains(s, "//") {
		s = strings.ReplaceAll(s, "//", "/")
	}
	return server + s
}

// clean is path.Clean for a path after slashes.
func (e *Environment) clean(s string) string {
	clean := path.Clean(s)
	if e.Platform == core.Windows && strings.HasPrefix(s, "//") {
		clean = "/" + clean
	}
	return clean
}

// directories returns the secure path with links followed, each once.
func (e *Environment) directories() []string {
	var list []string
	for _, dir := range e.SecurePath {
		dir = strings.TrimSuffix(e.follow(e.slashes(dir)+"/"), "/")
		if !slices.Contains(list, dir) {
			list = append(list, dir)
		}
	}
	return list
}
