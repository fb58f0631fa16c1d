package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"kpm/core"
)

// What an entry of an allow list says about a command line: it grants, or has
// nothing to say, or cannot be read and restricts all.
func TestAllowListWordForWord(t *testing.T) {
	for _, tc := range []struct {
		name string
		list string
		argv []string
		want strength
	}{
		{"another word", `"systemctl restart nginx"`, []string{"systemctl", "restart", "sshd"}, nothing},
		{"the first word another", `"systemctl restart nginx"`, []string{"systemctl", "stop", "nginx"}, nothing},
		{"words in another order", `"systemctl restart nginx"`, []string{"systemctl", "nginx", "restart"}, nothing},
		{"an option before the words", `"systemctl restart nginx"`, []string{"systemctl", "-H", "restart", "nginx"}, nothing},
		{"an empty argument", `"systemctl restart nginx"`, []string{"systemctl", "restart", "nginx", ""}, nothing},
		{"letter case counts", `"systemctl restart nginx"`, []string{"systemctl", "Restart", "nginx"}, nothing},
		{"many spaces in the list", `"systemctl   restart \t nginx"`, []string{"systemctl", "restart", "nginx"}, full},
		{"a star for an argument with spaces", `"systemctl r* nginx"`, []string{"systemctl", "r b", "nginx"}, full},
		{"a star for nothing", `"systemctl restart* nginx"`, []string{"systemctl", "restart", "nginx"}, full},
		{"a star in a word", `"systemctl restart ng*x"`, []string{"systemctl", "restart", "nginx"}, full},
		{"another end after a star", `"systemctl restart ng*x"`, []string{"systemctl", "restart", "nginx2"}, nothing},
		{"a word before the last star", `"systemctl status *"`, []string{"systemctl", "stop", "nginx"}, nothing},
		{"without the word before the last star", `"systemctl status *"`, []string{"systemctl"}, nothing},
		{"two stars in the last word, one argument", `"systemctl **"`, []string{"systemctl", "a"}, full},
		{"two stars in the last word, none", `"systemctl **"`, []string{"systemctl"}, nothing},
		{"a star alone after the program", `"systemctl *"`, []string{"systemctl"}, full},
		{"no argv at all, any allowed", `"systemctl"`, nil, full},
		{"no argv at all, words wanted", `"systemctl restart"`, nil, nothing},
		{"every program", `"* restart"`, []string{"systemctl", "restart"}, full},
		{"a program of a pattern", `"/usr/bin/sys* restart"`, []string{"systemctl", "restart"}, full},
		{"a program of a collection's name", `"uid-of-editors"`, []string{"systemctl"}, nothing},
		{"an entry after one that does not fit", `"systemctl stop", "systemctl restart"`, []string{"systemctl", "restart"}, full},
		// Attack: argv[0] makes it another program, for which the words mean
		// something else.
		{"argv[0] begins like its own name", `"systemctl status"`, []string{"systemctl2", "status"}, nothing},
		{"argv[0] ends in a slash", `"systemctl status"`, []string{"systemctl/", "status"}, nothing},
		{"argv[0] in capitals", `"systemctl status"`, []string{"SYSTEMCTL", "status"}, nothing},
		{"argv[0] with another separator", `"systemctl status"`, []string{`a\systemctl`, "status"}, nothing},
		{"argv[0] in somebody's folder, its own name", `"systemctl status"`, []string{"/home/alice/systemctl", "status"}, full},
		{"argv[0] another, a star for any arguments", `"systemctl *"`, []string{"reboot", "status"}, full},
		// An entry that cannot be read may mean this command.
		{"a star for a word before the last", `"systemctl * nginx"`, []string{"systemctl", "restart", "nginx"}, restricts},
		{"two of them", `"systemctl * *"`, []string{"systemctl", "restart"}, restricts},
		{"two stars for such a word", `"systemctl ** nginx"`, []string{"systemctl", "edit", "nginx"}, restricts},
		{"quotes", `"systemctl 'a b'"`, []string{"systemctl", "restart"}, restricts},
		{"a shell's variable", `"systemctl $UNIT"`, []string{"systemctl", "restart"}, restricts},
		{"a shell's line end", `"systemctl\nid"`, []string{"systemctl", "restart"}, restricts},
		{"an unknown variable", `"{nosuch}/systemctl restart"`, []string{"systemctl", "restart"}, restricts},
		{"a relative path", `"bin/systemctl restart"`, []string{"systemctl", "restart"}, restricts},
		{"beside one that fits", `"systemctl restart", "systemctl; id"`, []string{"systemctl", "restart"}, restricts},
		{"an empty entry", `" "`, []string{"systemctl", "restart"}, restricts},
		{"no entries", ``, []string{"systemctl", "restart"}, restricts},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, q := commandLine(tc.list), ask("/usr/bin/systemctl", "systemctl", tc.argv...)
			everything := sketch{id: "all", controls: "ALLOW"}
			decide := func(controls string, others ...sketch) core.Outcome {
				s.id, s.controls = "p", controls
				return compileSketches(t, linux(), append(others, s)...).Decide(q).Outcome
			}
			if got := decide("ALLOW"); (got == core.Allow) != (tc.want == full) {
				t.Errorf("ALLOW: %s", got)
			}
			if got := decide("JUSTIFY", everything); (got == core.Pending) != (tc.want != nothing) {
				t.Errorf("JUSTIFY: %s", got)
			}
			if got := decide("DENY", everything); got != core.Deny { // on its list or off it
				t.Errorf("DENY: %s", got)
			}
		})
	}
}

// In a policy of another type an allow list is a mistake: it narrows nothing that
// restricts, and there is no grant.
func TestAllowListWhereItDoesNotBelong(t *testing.T) {
	s := commandLine(`"systemctl"`)
	s.kind, s.apps = TypePrivilegeElevation, nil
	if got := meets(t, linux(), s, ask("/usr/bin/id", "id", "id")); got != restricts {
		t.Errorf("off the list: %v", got)
	}
	if got := meets(t, linux(), s, ask("/usr/bin/systemctl", "systemctl", "systemctl")); got != restricts {
		t.Errorf("on the list: %v", got)
	}
	s = commandLine("")
	s.extra = `, "Extension": {"AllowCommands": null}`
	if got := meets(t, linux(), s, ask("/usr/bin/id", "id", "id")); got != full {
		t.Errorf("no list: %v", got)
	}
}

// On Windows a path has the character that escapes elsewhere, and few programs
// look at what they are called.
func TestAllowListOnWindows(t *testing.T) {
	for _, tc := range []struct {
		list string
		argv []string
		want strength
	}{
		{`"C:\\Windows\\System32\\net.exe start *"`, []string{"net", "start", "spooler"}, full},
		{`"NET.EXE start"`, []string{`C:\Windows\System32\net.exe`, "start"}, full},
		{`"net.exe start"`, []string{"other", "start"}, full},
		{`"net.exe start"`, []string{"net.exe", "START"}, nothing},
		{`"net.exe share a=C:\\x"`, []string{"net.exe", "share", `a=C:\x`}, full},
		{`"\"C:\\Program Files\\x.exe\" start"`, []string{"net.exe", "start"}, restricts},
	} {
		s, q := commandLine(tc.list), ask(`C:\Windows\System32\net.exe`, "net.exe", tc.argv...)
		s.controls = "ALLOW"
		if got := compileSketches(t, windows(), s).Decide(q).Outcome; (got == core.Allow) != (tc.want == full) {
			t.Errorf("%s, %q: ALLOW: %s", tc.list, tc.argv, got)
		}
		s.controls = "JUSTIFY"
		if got := compileSketches(t, windows(), s, sketch{id: "all", controls: "ALLOW"}).Decide(q).Outcome; (got == core.Pending) != (tc.want != nothing) {
			t.Errorf("%s, %q: JUSTIFY: %s", tc.list, tc.argv, got)
		}
	}
}

// argv[0] is a name for what the program is to be: it restricts like one.
func TestArgvZeroIsAName(t *testing.T) {
	for _, tc := range []struct {
		name                 string
		app, requested, argv string
		want                 strength
	}{
		{"a file name", "reboot", "systemctl", "reboot", restricts},
		{"every place on the secure path", "/usr/local/bin/reboot", "systemctl", "/tmp/reboot", restricts},
		{"no place off it", "/tmp/reboot", "systemctl", "/tmp/reboot", nothing},
		{"beside the path that was requested", "/opt/systemctl", "/opt/systemctl", "reboot", restricts},
		{"beside the bare name that was requested", "/usr/sbin/ctl", "ctl", "reboot", restricts},
		{"the last place of both", "/bin/reboot", "ctl", "reboot", restricts},
		{"the bare name that was requested is one still", "ctl", "ctl", "reboot", restricts},
		{"the file name of the path that was requested is one still", "ctl", "/home/alice/ctl", "reboot", restricts},
		{"a bare name that was requested, called by its own", "ctl", "ctl", "systemctl", restricts},
		{"no name is no folder", "/usr/sbin/*", "/usr/bin/systemctl", "", nothing},
		{"its own name adds none", "/usr/sbin/systemctl", "/usr/bin/ctl", "systemctl", nothing},
		{"a name that is a folder", "reboot", "systemctl", "reboot/", nothing},
		{"a login shell", "reboot", "systemctl", "-reboot", nothing},
		{"the program itself is still met", "/usr/bin/systemctl", "systemctl", "reboot", full},
	} {
		if got := meets(t, linux(), sketch{apps: []string{tc.app}}, ask("/usr/bin/systemctl", tc.requested, tc.argv)); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
	// On Windows it never makes another program of it.
	if got := meets(t, windows(), sketch{apps: []string{"vi.exe"}}, ask(`C:\Tools\vim.exe`, `C:\Tools\vim.exe`, `C:\x\VI.exe`)); got != nothing {
		t.Errorf("Windows: %v", got)
	}
}

func TestWhatIsSaidAboutAllowLists(t *testing.T) {
	elsewhere := commandLine(`"id"`)
	elsewhere.id, elsewhere.kind, elsewhere.controls = "e", TypePrivilegeElevation, "ALLOW"
	empty, unread := commandLine(""), commandLine(`"id", "id; reboot", "bin/id"`)
	empty.id, empty.controls, unread.id, unread.controls = "f", "ALLOW", "u", "ALLOW"
	elsewhere.apps = nil
	want := []string{
		`grants nothing: s.json:2: policy "e", $.Extension.AllowCommands: found an allow list in a PrivilegeElevation policy, expected one of type CommandLine`,
		`grants nothing: s.json:4: policy "f", $.Extension.AllowCommands: found an empty list, expected commands; leave the key out to mean all commands`,
		`grants nothing: s.json:6: policy "u", $.Extension.AllowCommands[1]: found "id; reboot", expected words separated by spaces; no shell reads this: use "*" within a word for an argument that holds spaces`,
		`grants nothing: s.json:6: policy "u", $.Extension.AllowCommands[2]: found "bin/id", expected an absolute path to a program, a file name, a SHA-256, or a pattern; write a folder as "/folder/*"`,
	}
	if diff := cmp.Diff(want, said(t, linux(), elsewhere, empty, unread)); diff != "" {
		t.Error(diff)
	}
}
