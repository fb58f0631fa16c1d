package policy

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kpm/core"
)

func TestAbsolutePaths(t *testing.T) {
	for _, tc := range []struct {
		path           string
		linux, windows bool
	}{
		{"/usr/bin/id", true, false},
		{"/", true, false},
		{"", false, false},
		{"usr/bin/id", false, false},
		{"/usr/bin/", false, false},
		{"/usr//bin", false, false},
		{"/usr/./bin", false, false},
		{"/usr/../bin", false, false},
		{"/..", false, false},
		{"c:/windows/notepad.exe", false, true},
		{"c:windows", false, false},
		{"c:/windows/../temp/x.exe", false, false},
		{"c:/windows/..", false, false},
		{"c:/./windows", false, false},
		{"//server/share/x.exe", false, true},
		{"//server/share/../x.exe", false, false},
		{"/windows/notepad.exe", true, false}, // of which drive?
	} {
		if got := (&Environment{}).absolute(tc.path); got != tc.linux {
			t.Errorf("Linux, %q: %v", tc.path, got)
		}
		if got := (&Environment{Platform: core.Windows}).absolute(tc.path); got != tc.windows {
			t.Errorf("Windows, %q: %v", tc.path, got)
		}
	}
}

func TestExpandNamesWhatItDoesNotKnow(t *testing.T) {
	env := linux()
	for _, tc := range []struct{ pattern, want, unknown string }{
		{"/usr/bin/id", "/usr/bin/id", ""},
		{"{bin}/id", "/bin/id", ""},
		{"{approot}/{usr}x", "/opt/KeeperPrivilegeManager//usrx", ""},
		{"{bin}{nosuch}{alsonot}", "", "nosuch"},
		{"{}/id", "", "{"},
		{"{bin", "", "{"},
		{"a}b", "a}b", ""},
	} {
		got, unknown := env.expand(tc.pattern)
		if got != tc.want || unknown != tc.unknown {
			t.Errorf("%q: got %q, unknown %q", tc.pattern, got, unknown)
		}
	}
}

func TestFollowReplacesALeadingLinkOnly(t *testing.T) {
	env := linux()
	for path, want := range map[string]string{
		"/bin/id": "/usr/bin/id", "/bin/": "/usr/bin/", "/bin": "/bin", "/binary/id": "/binary/id",
		"/usr/bin/id": "/usr/bin/id", "/opt/bin/id": "/opt/bin/id", "bin/id": "bin/id", "/": "/", "": "",
	} {
		if got := env.follow(path); got != want {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
	}
}

func TestDirectoriesOfTheSecurePathOnce(t *testing.T) {
	env := linux()
	want := []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"}
	if diff := cmp.Diff(want, env.directories()); diff != "" {
		t.Error(diff)
	}
}

// More directories than a decision keeps places for: refuse rather than overlook
// one.
func TestALongSecurePathDenies(t *testing.T) {
	env := linux()
	env.SecurePath = append(env.SecurePath, "/a", "/b", "/c", "/d")
	q := ask("/usr/bin/id", "id", "id")
	if got := compileSketches(t, env, sketch{controls: "ALLOW"}).Decide(q); got.Outcome != core.Allow {
		t.Errorf("eight: %+v", got)
	}
	env.SecurePath = append(env.SecurePath, "/e")
	if got := compileSketches(t, env, sketch{controls: "ALLOW"}).Decide(q); got.Outcome != core.Deny {
		t.Errorf("nine: %+v", got)
	}
}

// No variable differs by user, and every value is a place from the root.
func TestVariablesAreAbsolute(t *testing.T) {
	for _, platform := range core.Platforms() {
		env := Environment{Platform: platform}
		for name, value := range Variables(platform, env.slashes(platform.DefaultRoot())) {
			if name == "rootdir" || name == "systemdrive" { // written with a slash behind it
				value += "/x"
			}
			if !env.absolute(value) {
				t.Errorf("%s: {%s} is %q", platform, name, value)
			}
			if env.fold(name) != name {
				t.Errorf("%s: {%s} is never found", platform, name)
			}
		}
	}
}

// The values are those of docs/policies.md, "Filters", and of each system.
func TestVariables(t *testing.T) {
	unix := map[string]string{"rootdir": "", "bin": "/bin", "etc": "/etc", "tmp": "/tmp", "usr": "/usr", "var": "/var", "home": "/home",
		"approot": "/r", "pluginroot": "/r/Plugins", "jobroot": "/r/Jobs"}
	macOS := maps.Clone(unix)
	maps.Copy(macOS, map[string]string{"home": "/Users", "system": "/System", "library": "/Library", "applications": "/Applications",
		"volumes": "/Volumes", "launchdaemons": "/Library/LaunchDaemons", "launchagents": "/Library/LaunchAgents"})
	for platform, want := range map[core.Platform]map[string]string{
		core.Linux: unix,
		core.MacOS: macOS,
		core.Windows: {"rootdir": "c:", "systemdrive": "c:", "systemroot": "c:/windows", "windows": "c:/windows", "system32": "c:/windows/system32",
			"syswow64": "c:/windows/syswow64", "programfiles": "c:/program files", "programfilesx86": "c:/program files (x86)",
			"programdata": "c:/programdata", "approot": "/r", "pluginroot": "/r/Plugins", "jobroot": "/r/Jobs"},
	} {
		if diff := cmp.Diff(want, Variables(platform, "/r")); diff != "" {
			t.Errorf("%s: %s", platform, diff)
		}
	}
}

// Every top directory that a system makes a link is followed, in policies and in
// questions, if the caller found that it is one.
func TestEveryLinkCandidateIsFollowed(t *testing.T) {
	want := []string{"/bin", "/sbin", "/lib", "/lib64", "/tmp", "/etc", "/var"}
	if diff := cmp.Diff(want, LinkCandidates()); diff != "" {
		t.Error(diff)
	}
	env := linux()
	env.Links = map[string]string{}
	for _, link := range LinkCandidates() {
		env.Links[link] = "/private" + link
	}
	for _, link := range LinkCandidates() {
		for _, app := range []string{link + "/x", "/private" + link + "/x", link + "/*", "/private" + link + "/x*", "/private*"} {
			for _, path := range []string{link + "/x", "/private" + link + "/x"} {
				if got := meets(t, env, sketch{apps: []string{app}}, ask(path, path, "x")); got != full {
					t.Errorf("%s for %s: %v", app, path, got)
				}
			}
		}
	}
}

// A question names one place from the root; what does not is refused before any
// policy is looked at.
func TestWindowsPathsThatNameNoPlace(t *testing.T) {
	set := compileSketches(t, windows(), sketch{controls: "ALLOW"})
	for path, want := range map[string]core.Outcome{
		`C:\x.exe`: core.Allow, `c:/x.exe`: core.Allow, `\\server\x.exe`: core.Allow, `C:\a..b\.x.exe`: core.Allow,
		`C:x.exe`: core.Deny, `\x.exe`: core.Deny, `x.exe`: core.Deny, `C:`: core.Deny, ``: core.Deny, `CC:\x.exe`: core.Deny, `C;\x.exe`: core.Deny,
		`C:\a\..\x.exe`: core.Deny, `C:\a/..\x.exe`: core.Deny, `C:\..`: core.Deny, `C:\.`: core.Deny, `C:\a\.\x.exe`: core.Deny, `\\server\..\x.exe`: core.Deny,
		"C:\\x.exe\x00.txt": core.Deny, "\x00C:\\x.exe": core.Deny,
	} {
		if got := set.Decide(ask(path, path, path)); got.Outcome != want || (want == core.Deny) != (got.Message != "") {
			t.Errorf("%q: %+v", path, got)
		}
	}
}

func TestBareName(t *testing.T) {
	for name, want := range map[string]string{
		"alice": "alice", `CORP\alice`: "alice", "alice@corp": "alice", `CORP\alice@corp`: "alice", `A\B\c`: "c", `CORP\`: "", "": "",
	} {
		if got := bareName(name); got != want {
			t.Errorf("%q: got %q", name, got)
		}
	}
}

func TestLooksLikeUID(t *testing.T) {
	for s, want := range map[string]bool{
		"q83vEjRWeJCrze8SNFZ4kA": true, "q83vEjRWeJCrze8SNFZ4kA==": true, allAgents: true,
		"q83vEjRWeJCrze8SNFZ4k": false, "q83vEjRWeJCrze8SNFZ4kA=": false, "q83vEjRWeJ/rze8SNFZ4kA": false, "alice": false, "": false,
	} {
		if got := looksLikeUID(s); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
}

// has is a binary search and must agree with looking at each.
func TestHas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOf(rapid.SampledFrom([]string{"a", "b", "c", "ab", ""})).Draw(t, "names")
		name := rapid.SampledFrom([]string{"a", "b", "c", "ab", "", "d"}).Draw(t, "name")
		env := linux()
		c := &compiler{env: &env, policy: &Policy{}}
		w := c.compileWho(&Policy{Users: append([]string{"somebody"}, names...)})
		want := false
		for _, n := range names {
			want = want || n == name
		}
		if got := has(w.names, name); got != want {
			t.Fatalf("%q in %q: %v", name, w.names, got)
		}
	})
}
