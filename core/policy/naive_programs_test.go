package policy

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func hour(v any, otherwise int) int {
	text, _ := v.(string)
	if n, err := strconv.Atoi(text); err == nil {
		return n
	}
	return otherwise
}

// follow replaces a top directory that is a link.
func (n *naive) follow(p string) string {
	for from, to := range n.links {
		if strings.HasPrefix(p, from+"/") {
			return to + p[len(from):]
		}
	}
	return p
}

// directories of the secure path, links followed.
func (n *naive) directories() (list []string) {
	for _, dir := range n.securePath {
		if dir = strings.TrimSuffix(n.follow(dir+"/"), "/"); !slices.Contains(list, dir) {
			list = append(list, dir)
		}
	}
	return list
}

// called are the paths and the file names that the caller may have meant.
func (n *naive) called(q Question) (paths, names []string) {
	add := func(name string) {
		names = append(names, name)
		for _, dir := range n.directories() {
			paths = append(paths, dir+"/"+name)
		}
	}
	switch {
	case q.Requested == q.Path:
	case strings.Contains(q.Requested, "/"):
		named := n.follow(path.Clean(q.Requested))
		paths, names = append(paths, named), append(names, path.Base(named))
	case q.Requested != "":
		add(q.Requested)
	}
	if len(q.Arguments) > 0 {
		// What was typed alone is one of those already.
		if name := q.Arguments[0][strings.LastIndexByte(q.Arguments[0], '/')+1:]; name != "" && name != path.Base(n.follow(q.Path)) && name != q.Requested {
			add(name)
		}
	}
	for _, link := range q.Links {
		paths, names = append(paths, link), append(names, path.Base(link))
	}
	return paths, names
}

func (n *naive) programs(v any, everyIfEmpty bool, q Question) heard {
	list, ok := entries(v)
	if ok {
		list, ok = n.unfold(list, OfApplications)
	}
	if !ok {
		return half
	}
	if isEmpty(v) {
		return heard{true, everyIfEmpty}
	}
	met := never
	for _, entry := range list {
		one, ok := n.program(entry, q)
		if !ok {
			return half
		}
		met = met.or(one)
	}
	return met
}

var hexHash = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)

// program holds one entry against the question; false if it cannot be resolved.
func (n *naive) program(entry string, q Question) (heard, bool) {
	resolved := n.follow(q.Path)
	paths, names := n.called(q)
	if hexHash.MatchString(entry) {
		return yes(strings.EqualFold(entry, q.Hash)), true
	}
	for name, value := range map[string]string{"usr": "/usr", "bin": "/bin", "etc": "/etc"} {
		entry = strings.ReplaceAll(entry, "{"+name+"}", value)
	}
	if strings.ContainsAny(entry, "{}") {
		return never, false
	}
	parts := strings.Split(entry, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	if entry == "*" {
		return all, true
	}
	if !strings.Contains(entry, "/") {
		meets := regexp.MustCompile("^" + strings.Join(parts, ".*") + "$").MatchString
		own := meets(path.Base(resolved))
		return heard{own || slices.ContainsFunc(names, meets), own && slices.Contains(n.directories(), path.Dir(resolved))}, true
	}
	if !strings.HasPrefix(entry, "/") && !strings.HasPrefix(entry, "*") {
		return never, false
	}
	if !strings.Contains(entry, "*") {
		entry = n.follow(entry)
		return heard{entry == resolved || slices.Contains(paths, entry), entry == resolved}, true
	}
	if strings.Contains(entry+"/", "/../") || strings.Contains(entry+"/", "/./") {
		return never, false
	}
	parts[0] = regexp.QuoteMeta(n.follow(strings.Split(entry, "*")[0]))
	meets := regexp.MustCompile("(?s)^" + strings.Join(parts, ".*") + "$").MatchString
	return heard{meets(resolved) || slices.ContainsFunc(paths, meets), meets(resolved)}, true
}

// commands holds AllowCommands against the command line.
func (n *naive) commands(v any, commandLine, denies bool, q Question) heard {
	extension, _ := v.(map[string]any)
	if v != nil && extension == nil {
		return half
	}
	written, given := extension["AllowCommands"]
	for key := range extension {
		if !slices.Contains([]string{"AllowCommands", "RequestedBy", "CustomFilterJobId", "Grant", "ChildProcesses", "EphemeralAccount", "UserSession", "AutomaticApproval"}, key) {
			return half.and(n.commandList(written, given, commandLine, denies, q))
		}
	}
	return n.commandList(written, given, commandLine, denies, q)
}

func (n *naive) commandList(written any, given, commandLine, denies bool, q Question) heard {
	if !given {
		return all
	}
	list, ok := entries(written)
	if !ok || len(list) == 0 || !commandLine {
		return half // it narrows nothing, and costs the grant
	}
	met := only(denies)
	for _, entry := range list {
		if strings.ContainsAny(entry, "\"'\\`$;|&<>()\n") {
			return half
		}
		words := strings.Fields(entry)
		program, ok := n.program(words[0], q)
		if !ok || slices.ContainsFunc(words[1:max(1, len(words)-1)], func(word string) bool { return strings.Trim(word, "*") == "" }) {
			return half
		}
		if n.fits(words[1:], q) {
			met = met.or(program)
		}
	}
	return met
}

var climbing = regexp.MustCompile(`(^|[^A-Za-z0-9_.\x80-\xff-])\.\.([^A-Za-z0-9_.\x80-\xff-]|$)`)

// fits compares the words of an entry with the arguments.
func (n *naive) fits(words []string, q Question) bool {
	if len(words) == 0 {
		return true
	}
	if len(words) > 1 || words[0] != "*" {
		if len(q.Arguments) == 0 || path.Base(q.Arguments[0]) != path.Base(n.follow(q.Path)) {
			return false
		}
	}
	arguments := q.Arguments[min(1, len(q.Arguments)):]
	if words[len(words)-1] == "*" {
		words = words[:len(words)-1]
		if len(arguments) < len(words) {
			return false
		}
		for _, rest := range arguments[len(words):] {
			if climbing.MatchString(rest) {
				return false
			}
		}
		arguments = arguments[:len(words)]
	}
	if len(arguments) != len(words) {
		return false
	}
	for i, word := range words {
		parts := strings.Split(word, "*")
		for j := range parts {
			parts[j] = regexp.QuoteMeta(parts[j])
		}
		if !regexp.MustCompile("(?s)^" + strings.Join(parts, ".*") + "$").MatchString(arguments[i]) {
			return false
		}
		if len(parts) > 1 && climbing.MatchString(arguments[i]) {
			return false
		}
	}
	return true
}
