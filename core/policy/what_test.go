package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Which program is meant by an entry. The program is called by its own file name,
// so that only the path and what was requested count.
func TestWhat(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	env := linux()
	env.Collections["uid-of-nested"] = Collection{OfApplications, []string{"/usr/bin/vi", "uid-of-editors"}}
	env.Collections["uid-of-bad"] = Collection{OfApplications, []string{"/usr/bin/id", "{nosuch}"}}
	env.Variables["etc"] = "/etc/" // as somebody may have it
	for _, tc := range []struct {
		name            string
		app             string
		path, requested string
		want            strength
	}{
		// What was requested restricts, and never grants.
		{"a link by its path", "/usr/bin/vi", "/usr/bin/vim.basic", "/usr/bin/vi", restricts},
		{"a link by its file name", "vi", "/usr/bin/vim.basic", "/usr/bin/vi", restricts},
		{"a link elsewhere, by its file name", "vi", "/usr/bin/vim.basic", "/home/alice/vi", restricts},
		{"a link elsewhere is not the one on the secure path", "/usr/bin/vi", "/usr/bin/vim.basic", "/home/alice/vi", nothing},
		{"a bare name, by a pattern of file names", "v?", "/usr/bin/vim.basic", "vi", nothing},
		{"a bare name in every place", "/usr/local/sbin/vi", "/usr/bin/vim.basic", "vi", restricts},
		{"a bare name in the last place, linked", "/sbin/vi", "/usr/bin/vim.basic", "vi", restricts},
		{"a bare name off the secure path", "/opt/bin/vi", "/usr/bin/vim.basic", "vi", nothing},
		{"nothing requested", "/usr/bin/", "/usr/bin/vim.basic", "", restricts},
		{"requested with many slashes", "/usr/bin/vi", "/usr/bin/vim.basic", "//usr///bin/vi", restricts},
		{"requested by a relative path", "vi", "/usr/bin/vim.basic", "../bin/vi", restricts},
		{"requested through a linked folder", "/usr/bin/v*i", "/usr/bin/vim.basic", "/bin/v-i", restricts},
		// Attack: a program of one's own under a good name.
		{"a good name in one's own folder", "apt", "/home/alice/apt", "/home/alice/apt", restricts},
		{"a good name below the secure path", "apt", "/usr/bin/sub/apt", "/usr/bin/sub/apt", restricts},
		{"a folder that begins like the secure path", "apt", "/usr/binary/apt", "/usr/binary/apt", restricts},
		{"a pattern of good names in one's own folder", "ap*", "/home/alice/apt", "/home/alice/apt", restricts},
		{"a good name on the secure path", "apt", "/usr/bin/apt", "apt", full},
		{"a good name in a linked folder of it", "apt", "/bin/apt", "apt", full},
		{"a file name with a folder in it", "bin*apt", "/usr/bin/apt", "apt", nothing},
		// Patterns.
		{"a star for nothing", "/usr/bin/apt*", "/usr/bin/apt", "apt", full},
		{"a star for folders", "/opt/*/tool", "/opt/a/b/tool", "", full},
		{"stars that take the same text", "/opt/*ab*ab/tool", "/opt/xab/tool", "", nothing},
		{"stars beside each other", "/opt/**/tool", "/opt/a/tool", "", full},
		{"a text between stars", "*b*", "/usr/bin/id", "id", nothing},
		{"a folder between stars", "*/sub/*", "/usr/bin/id", "id", nothing},
		{"only stars", "**", "/opt/a/tool", "", full},
		{"a star at the beginning", "*/tool", "/home/alice/tool", "", full},
		{"a star at the beginning of an end", "*tool", "/opt/mytool", "", restricts}, // a file name, not on the secure path
		{"a folder that is as long", "/opt/x/*", "/opt/y/tool", "", nothing},
		{"the folder itself", "/opt/tool/*", "/opt/tool", "", nothing},
		{"a path as long as the beginning", "/opt/tool*", "/opt/tool", "", full},
		{"a path shorter than the beginning", "/opt/tools*", "/opt/tool", "", nothing},
		// Paths that mean no place, or another than it seems.
		{"a pattern with dots", "/opt/../home/*", "/opt/x", "", restricts},
		{"a pattern with a dot", "/opt/./*", "/opt/x", "", restricts},
		{"a pattern that ends in dots", "/opt/*/..", "/opt/x", "", restricts},
		{"a name that begins with dots", "/opt/..x*", "/opt/..xy", "", full},
		{"a relative pattern", "opt/*", "/opt/x", "", restricts},
		{"a pattern without a folder's slash", "o*t/x", "/opt/x", "", restricts},
		{"a path of slashes", "///", "/opt/x", "", restricts},
		{"a path that leads up", "/..", "/opt/x", "", restricts},
		{"two slashes are one", "/opt//x", "/opt/x", "", full},
		{"many slashes in a pattern", "/opt///x*", "/opt/xy", "", full},
		{"a variable that ends in a slash", "{etc}/x", "/etc/x", "", full},
		{"two slashes before a name with a colon", "//opt/a:b", "/opt/a:b", "", full},
		{"two slashes before a pattern with a colon", "//opt/a:*", "/opt/a:b", "", full},
		// Attack: a DENY of a linked folder that meets nothing, since questions
		// follow the link.
		{"a pattern of part of a linked folder", "/b*", "/bin/id", "id", restricts},
		{"a pattern of a linked folder without its slash", "/bin*", "/bin/id", "id", restricts},
		{"a pattern of another folder", "/opt*", "/opt/x", "", full},
		{"a pattern of more than a linked folder", "/binary*", "/binary/x", "", full},
		{"a pattern of everything from the root", "/*", "/bin/id", "id", full},
		// Hashes and collections.
		{"a file name of the digits of a hash", "dd", "/usr/bin/dd", "dd", full},
		{"a hash with a letter that is none", strings.Repeat("ag", 32), "/usr/bin/id", "id", nothing},
		{"a file name as long as a hash", strings.Repeat("z", 64), "/usr/bin/" + strings.Repeat("z", 64), "", full},
		{"a hash without a digit", hash[1:], "/usr/bin/id", "id", nothing},
		{"a collection in a collection", "uid-of-nested", "/usr/bin/id", "id", nothing},
		{"a collection with one bad value", "uid-of-bad", "/usr/bin/vi", "vi", restricts},
		{"a file name of a collection", "uid-of-editors", "/usr/bin/nano", "nano", full},
		{"an unknown collection", "q83vEjRWeJCrze8SNFZ4kA", "/usr/bin/id", "id", restricts},
		{"a path that looks like a collection", "/opt/q83vEjRWeJCrze8SNFZ4kA", "/opt/q83vEjRWeJCrze8SNFZ4kA", "", full},
	} {
		t.Run(tc.name, func(t *testing.T) {
			q := ask(tc.path, tc.requested, tc.path)
			q.Hash = strings.ToUpper(hash)
			if got := meets(t, env, sketch{apps: []string{tc.app}}, q); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
			// One entry that is met is enough; one that cannot be resolved spoils the others.
			if got := meets(t, env, sketch{apps: []string{"/nowhere", hash, tc.app}}, q); got != full && tc.want != restricts {
				t.Errorf("beside its hash: %v", got)
			}
		})
	}
	q := ask("/usr/bin/id", "id", "id")
	if got := meets(t, env, sketch{apps: []string{"/usr/bin/id", "{nosuch}"}}, q); got != restricts {
		t.Errorf("beside an entry that cannot be resolved: %v", got)
	}
}

func TestWhatOnWindows(t *testing.T) {
	for _, tc := range []struct {
		app, path, requested string
		want                 strength
	}{
		{`C:\WINDOWS\System32\ID.exe`, `c:\windows\system32\id.exe`, "", full},
		{`c:/windows/system32/id.exe`, `C:\Windows\System32\id.exe`, "", full},
		{"ID.EXE", `C:\Windows\System32\id.exe`, "id.exe", full},
		{"ID.EXE", `C:\Users\alice\id.exe`, "", restricts},
		{`{SYSTEM32}\id.exe`, `C:\Windows\System32\id.exe`, "", full},
		{`{rootdir}\x\id.exe`, `C:\X\id.exe`, "", full},
		{`C:\Tools\*`, `c:\tools\A\id.exe`, "", full},
		{`D:\Tools\*`, `c:\tools\A\id.exe`, "", nothing},
		{`C:*`, `c:\tools\id.exe`, "", full},
		{`*\id.exe`, `\\server\share\id.exe`, "", full},
		{`C:\Tools\vi.exe`, `C:\Tools\vim.exe`, `C:/Tools/./VI.exe`, restricts},
		{`C:\Windows\System32\vi.exe`, `C:\Tools\vim.exe`, `VI.exe`, restricts},
		{`C:\Tools\vi.exe`, `C:\Tools\vim.exe`, `VI.exe`, nothing},
		// A server's folder.
		{`\\Server\share\id.exe`, `\\server\share\id.exe`, "", full},
		{`\\server\share\\id.exe`, `\\server\share\id.exe`, "", full},
		{`\\server\share\*`, `\\server\share\id.exe`, "", full},
		{`\\server\share\*`, `C:\share\id.exe`, "", nothing},
		{`\\server\share\vi.exe`, `C:\Tools\vim.exe`, `\\server\share\x\..\vi.exe`, restricts},
		// Attack: a DENY that meets nothing.
		{`Tools\*`, `C:\Tools\id.exe`, "", restricts},
		{`\Tools\*`, `C:\Tools\id.exe`, "", restricts},
		{`C*\id.exe`, `C:\Tools\id.exe`, "", restricts},
		{`C:Tools\*`, `C:\Tools\id.exe`, "", restricts},
		{`C:\Windows\..\Tools\*`, `C:\Tools\id.exe`, "", restricts},
		{`C:\.\Tools\*`, `C:\Tools\id.exe`, "", restricts},
		{`C:id.exe`, `C:\Tools\id.exe`, "", restricts}, // of the folder that one is in
		{`C:Tools\id.exe`, `C:\Tools\id.exe`, "", restricts},
		{`\Tools\id.exe`, `C:\Tools\id.exe`, "", restricts},
		{`C:\Windows\..\Tools\id.exe`, `C:\Tools\id.exe`, "", restricts},
	} {
		if got := meets(t, windows(), sketch{apps: []string{tc.app}}, ask(tc.path, tc.requested, tc.path)); got != tc.want {
			t.Errorf("%s for %s, requested %q: %v, want %v", tc.app, tc.path, tc.requested, got, tc.want)
		}
	}
}

func TestWhatIsSaidAboutPrograms(t *testing.T) {
	got := said(t, linux(), sketch{id: "a", controls: "ALLOW", apps: []string{
		"{nosuch}/x", "{bin", "bin/x", "/usr/bin/", "/bin*", "q83vEjRWeJCrze8SNFZ4kA", "uid-of-web",
	}},
		sketch{id: "b", controls: "ALLOW", apps: []string{"*/bash", "/usr/*", "*sh"}},
		sketch{id: "c", controls: "DENY", apps: []string{"*/bash"}},
		sketch{id: "d", controls: "ALLOW", apps: []string{}},
		sketch{id: "e", controls: "ALLOW", apps: []string{}, kind: TypeCommandLine})
	const place = `expected an absolute path to a program, a file name, a SHA-256, or a pattern; write a folder as "/folder/*"`
	want := []string{
		`note: s.json: policy "d", $.ApplicationCheck: found no applications, expected applications, or "*"; as it stands the policy restricts every program and grants nothing`,
		`grants nothing: s.json:2: policy "a", $.ApplicationCheck[0]: found "{nosuch}", expected a variable that means the same for every user; write the path itself`,
		`grants nothing: s.json:2: policy "a", $.ApplicationCheck[1]: found "{bin", expected a variable that means the same for every user; write the path itself`,
		`grants nothing: s.json:2: policy "a", $.ApplicationCheck[2]: found "bin/x", ` + place,
		`grants nothing: s.json:2: policy "a", $.ApplicationCheck[3]: found "/usr/bin/", ` + place,
		`grants nothing: s.json:2: policy "a", $.ApplicationCheck[4]: found "/bin*", ` + place,
		`grants nothing: s.json:2: policy "a", $.ApplicationCheck[5]: found "q83vEjRWeJCrze8SNFZ4kA", which looks like a collection, expected a collection of the collections file; write a program that is really called so with its path`,
		`grants nothing: s.json:2: policy "a", $.ApplicationCheck[6]: found "uid-of-web", a collection of type "machine", expected one of type "application"`,
		`note: s.json:4: policy "b", $.ApplicationCheck: found a pattern that begins with "*", expected a folder that only administrators can write to; users can put a program of that name into a folder of their own, and it will be granted`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Administrators' own machines have other secure paths and links.
func TestFileNamesGrantOnTheSecurePathOfTheMachine(t *testing.T) {
	env := linux()
	env.SecurePath, env.Links = []string{"/tools/bin"}, map[string]string{"/tools": "/opt/tools"}
	for path, want := range map[string]strength{"/opt/tools/bin/x": full, "/tools/bin/x": full, "/usr/bin/x": restricts} {
		if got := meets(t, env, sketch{apps: []string{"x"}}, ask(path, path, "x")); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	win := windows()
	win.SecurePath = []string{`C:\Tools`}
	if got := meets(t, win, sketch{apps: []string{"x.exe"}}, ask(`c:\TOOLS\x.exe`, "x.exe")); got != full {
		t.Errorf("Windows: %v", got)
	}
}
