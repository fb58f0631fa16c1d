package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kpm/core"
)

// commandLine is a CommandLine policy with an allow list, written as JSON strings.
func commandLine(list string) sketch {
	return sketch{kind: TypeCommandLine, controls: "ALLOW", apps: []string{}, extra: `, "Extension": {"AllowCommands": [` + list + `]}`}
}

// Attack: "/srv/web/*" is meant to stay below /srv/web.
func TestAWildcardMeetsNoPathThatClimbs(t *testing.T) {
	for _, tc := range []struct {
		list string
		argv string // separated by spaces
		want core.Outcome
	}{
		{`"chown web /srv/web/*"`, "chown web /srv/web/a", core.Allow},
		{`"chown web /srv/web/*"`, "chown web /srv/web/a/b.txt", core.Allow},
		{`"chown web /srv/web/*"`, "chown web /srv/web/../other", core.Deny},
		{`"chown web /srv/web/*"`, "chown web /srv/web/a/../../../etc/shadow", core.Deny},
		{`"chown web /srv/web/*"`, "chown web /srv/web/..", core.Deny},
		{`"chown web /srv/web/*"`, "chown web /srv/web/./a", core.Allow}, // goes nowhere else
		{`"chown web /srv/web/*"`, "chown web /srv/web//a", core.Allow},
		{`"chown web /srv/web/*"`, "chown web /srv/web/..a", core.Allow}, // a name
		{`"chown web /srv/web/*"`, "chown web /srv/web/a..", core.Allow},
		{`"chown web /srv/web/*"`, "chown web /srv/web/...", core.Allow},
		{`"chown web /srv/web/*"`, "chown web /srv/web/a..b", core.Allow},
		{`"chown web *"`, "chown web ../x", core.Deny},
		{`"chown web *"`, "chown web ..", core.Deny},
		{`"chown web *"`, "chown web a b ../c", core.Deny},
		{`"chown *"`, "chown -R web ../c", core.Deny},
		{`"cat --file=/a/*"`, "cat --file=/a/../b", core.Deny},
		{`"cat --file=*"`, "cat --file=../b", core.Deny},
		{`"cat --*"`, "cat --range=a..", core.Deny}, // of an option any ".." counts
		{`"cat -C*"`, "cat -C../b", core.Deny},
		{`"dd if=/srv/*"`, "dd if=/srv/../etc/shadow", core.Deny},
		{`"dd if=*"`, "dd if=../x", core.Deny},
		{`"scp * there"`, "scp host:../x there", core.Deny},
		{`"git log *"`, "git log v1..v2", core.Allow},
		{`"git log *"`, "git log HEAD..", core.Allow},
		// Word for word, and with any arguments, ".." is what it says.
		{`"cat ../x"`, "cat ../x", core.Allow},
		{`"cat"`, "cat ../x", core.Allow},
	} {
		argv := strings.Fields(tc.argv)
		q := ask("/usr/bin/"+argv[0], argv[0], argv...)
		if got := compileSketches(t, linux(), commandLine(tc.list)).Decide(q); got.Outcome != tc.want {
			t.Errorf("%s, %s: got %s", tc.list, tc.argv, got.Outcome)
		}
	}
}

func TestLintSaysWhatAWildcardOverPathsIs(t *testing.T) {
	for list, want := range map[string]string{
		`"chown web /srv/web/*"`:        `note: s.json:2: policy "p", $.Extension.AllowCommands[0]: found "/srv/web/*", a wildcard over paths, expected {path:/srv/web/*}; links in it lead`,
		`"cat --file=/srv/*"`:           `expected --file={path:/srv/*}; links`,
		`"tar -C/srv/* x"`:              `expected -C{path:/srv/*}; links`,
		`"cat {var}/log/*"`:             `expected {path:{var}/log/*}; links`,
		`"cat logs/*"`:                  `expected {path:/folder/*} with an absolute path; links`,
		`"cat *.log"`:                   `found "*.log", a wildcard that meets whole paths, expected {path:/folder/*} with an absolute path;`,
		`"cat --file=*"`:                `found "--file=*", a wildcard that meets whole paths, expected --file={path:/folder/*} with an absolute path;`,
		`"cat ./*"`:                     `expected {path:/folder/*} with an absolute path; links`,
		`"cat /srv/../x/*"`:             `grants nothing: s.json:2: policy "p", $.Extension.AllowCommands[0]: found "/srv/../x/*", expected a pattern without ".."`,
		`"chown web {path:/srv/web/*}"`: ``,
		`"systemctl restart ng*"`:       ``,
	} {
		s := commandLine(list)
		s.id = "p"
		if got := strings.Join(said(t, linux(), s), "\n"); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: lint says\n%s", list, got)
		}
	}
}

// An argument that is named as a path is decided on by where it leads.
func TestPathArguments(t *testing.T) {
	env := linux()
	env.Resolve = func(dir, path string) (string, bool) {
		to, ok := map[string]string{
			"/srv/web/a": "/srv/web/a", "/srv/web/link": "/etc/shadow", "/srv/web/../web/a": "/srv/web/a", "a": dir + "/a",
			"/etc/app/x": "/etc/app/x", "-rf": dir + "/-rf",
		}[path]
		return to, ok
	}
	at := func(argument, offset int, path string) []core.PathArgument {
		return []core.PathArgument{{Argument: argument, Offset: offset, Path: path}}
	}
	for _, tc := range []struct {
		list, argv, dir string
		want            []core.PathArgument // nil: denied
	}{
		{`"chown web {path:/srv/web/*}"`, "chown web /srv/web/a", "/", at(2, 0, "/srv/web/a")},
		{`"chown web {path:/srv/web/*}"`, "chown web /srv/web/link", "/", nil},
		{`"chown web {path:/srv/web/*}"`, "chown web /srv/web/missing", "/", nil},
		{`"chown web {path:/srv/web/*}"`, "chown web /srv/web/../web/a", "/", at(2, 0, "/srv/web/a")},
		{`"chown web {path:/srv/web/*}"`, "chown web a", "/srv/web", at(2, 0, "/srv/web/a")},
		{`"chown web {path:/srv/web/*}"`, "chown web a", "/home/alice", nil},
		{`"chown web {path:/srv/web/*}"`, "chown web -rf", "/srv/web", at(2, 0, "/srv/web/-rf")}, // no option: it becomes the path
		{`"chown web {path}"`, "chown web /srv/web/link", "/", at(2, 0, "/etc/shadow")},
		{`"cat --file={path:{etc}/app/*}"`, "cat --file=/etc/app/x", "/", at(1, 7, "/etc/app/x")},
		{`"cat --file={path:{etc}/app/*}"`, "cat --fil=/etc/app/x", "/", nil},
		{`"cat --file={path:{etc}/app/*}"`, "cat --file=", "/", nil},
		{`"chown web {path:/srv/web/*}"`, "chown root /srv/web/a", "/", nil},
		// These name no path that we can follow: nothing is granted.
		{`"cat {path:srv/*}"`, "cat a", "/srv/web", nil},
		{`"cat {path:/srv/../*}"`, "cat a", "/srv/web", nil},
		{`"cat {path:/}"`, "cat a", "/srv/web", nil},
		{`"cat {path:{nosuch}/*}"`, "cat a", "/srv/web", nil},
		{`"cat {paths}"`, "cat a", "/srv/web", nil},
		{`"cat {path:/srv/*"`, "cat a", "/srv/web", nil},
		{`"cat *{path:/srv/*}"`, "cat a", "/srv/web", nil},
		{`"cat {path} {path} {path} {path} {path} {path} {path} {path} {path}"`, "cat a a a a a a a a a", "/srv/web", nil},
	} {
		argv := strings.Fields(tc.argv)
		q := ask("/usr/bin/"+argv[0], argv[0], argv...)
		q.Directory = tc.dir
		got := compileSketches(t, env, commandLine(tc.list)).Decide(q)
		if diff := cmp.Diff(tc.want, got.Paths); diff != "" || (got.Outcome == core.Allow) != (tc.want != nil) {
			t.Errorf("%s, %s in %s: got %s %s", tc.list, tc.argv, tc.dir, got.Outcome, diff)
		}
	}
	// With nothing to resolve them, no argument is a path.
	if got := compileSketches(t, linux(), commandLine(`"cat {path}"`)).Decide(ask("/usr/bin/cat", "cat", "cat", "/srv/web/a")); got.Outcome != core.Deny {
		t.Errorf("without a resolver: %+v", got)
	}
}

// Attack: the path leads somewhere else each time that it is looked at. What is
// granted is what the answer says, or nothing.
func TestAPathArgumentThatChangesWhileItIsDecided(t *testing.T) {
	for first := range 8 {
		env, looks := linux(), 0
		env.Resolve = func(string, string) (string, bool) {
			looks++
			return map[bool]string{true: "/srv/web/a", false: "/etc/shadow"}[first>>(looks-1)&1 == 1], true
		}
		got := compileSketches(t, env, commandLine(`"cat {path:/srv/web/*}"`)).Decide(ask("/usr/bin/cat", "cat", "cat", "/srv/web/x"))
		if got.Outcome != core.Deny && (len(got.Paths) != 1 || got.Paths[0].Path != "/srv/web/a") {
			t.Errorf("%03b: %+v", first, got)
		}
	}
}

// Several policies grant the same command: a grant by the text alone needs no
// path, and controls change nothing about it.
func TestPathArgumentsOfSeveralPolicies(t *testing.T) {
	env := linux()
	env.Resolve = func(_, path string) (string, bool) { return path, true }
	q := ask("/usr/bin/cat", "cat", "cat", "/srv/a")
	path := commandLine(`"cat {path:/srv/*}"`)
	for _, tc := range []struct {
		name  string
		other sketch
		want  int
	}{
		{"asks for a reason", sketch{id: "z", controls: "JUSTIFY"}, 0},
		{"grants by the text", commandLine(`"cat /srv/a"`), 0},
		{"asks for a reason elsewhere", sketch{id: "z", controls: "JUSTIFY", apps: []string{"vi"}}, 1},
		{"grants by another path", commandLine(`"cat {path}"`), 1},
	} {
		if got := compileSketches(t, env, path, tc.other).Decide(q); len(got.Paths) != tc.want || got.Outcome == core.Deny {
			t.Errorf("another policy %s: %+v", tc.name, got)
		}
	}
}

// A DENY of a link is one of what it leads to (decision 38), under each of that
// program's names; a grant means the program itself.
func TestALinkRestrictsLikeItsProgram(t *testing.T) {
	q := ask("/usr/bin/mawk", "mawk", "mawk")
	q.Links = []string{"/etc/alternatives/awk", "/usr/bin/awk"}
	for app, want := range map[string]strength{
		"/usr/bin/awk": restricts, "/bin/awk": restricts, "/etc/alternatives/awk": restricts, "awk": restricts, "aw*": restricts,
		"/usr/bin/aw*": restricts, "/usr/bin/mawk": full, "/usr/bin/nawk": nothing, "nawk": nothing,
	} {
		if got := meets(t, linux(), sketch{apps: []string{app}}, q); got != want {
			t.Errorf("%s: got %v, want %v", app, got, want)
		}
	}
	// Of AllowCommands too.
	asks := commandLine(`"awk *"`)
	asks.id, asks.controls = "asks", "JUSTIFY"
	q = ask("/usr/bin/mawk", "mawk", "mawk", "x")
	q.Links = []string{"/usr/bin/awk"}
	if got := compileSketches(t, linux(), sketch{id: "all", controls: "ALLOW"}, asks).Decide(q); got.Outcome != core.Pending {
		t.Errorf("a control of a link: %+v", got)
	}
}

// What a decision has to look at: nothing that no policy names.
func TestWhichLinksMatter(t *testing.T) {
	for want, apps := range map[string][]string{
		"": {"*", strings.Repeat("ab", 32)}, "/usr/bin/awk": {"/bin/awk"}, "/opt/app/": {"/opt/app/v*"},
		"/usr/bin/ /usr/local/bin/ /usr/local/sbin/ /usr/sbin/": {"awk"}, "/usr/bin/ /usr/bin/vi /usr/local/bin/ /usr/local/sbin/ /usr/sbin/": {"*/awk", "/usr/bin/vi"},
	} {
		if got := strings.Join(compileSketches(t, linux(), sketch{controls: "DENY", apps: apps}).Paths(), " "); got != want {
			t.Errorf("%v: got %s", apps, got)
		}
	}
	asks := commandLine(`"/usr/bin/awk x"`)
	if got := compileSketches(t, linux(), asks).Paths(); len(got) != 1 || got[0] != "/usr/bin/awk" {
		t.Errorf("commands: got %v", got)
	}
}
