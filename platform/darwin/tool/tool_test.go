package tool

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"kpm/core"
)

// answer reads what a tool has said on somebody's Mac.
func answer(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// What the tools are told, word by word: none is a shell, and none takes a word of
// ours for an option.
func TestArguments(t *testing.T) {
	sessions, input := AskSessions()
	for want, got := range map[string][]string{
		"/bin/launchctl asuser 501 /a b/keeperlaunch": InSession("501", "/a b/keeperlaunch"),
		"/bin/launchctl asuser 501 /k x y":            InSession("501", "/k", "x", "y"),
		"/usr/bin/id -- alice":                        AskIdentity("alice"),
		"/usr/bin/dscl -plist /Search -read /Users/alice RecordName UniqueID PrimaryGroupID NFSHomeDirectory UserShell": AskUser("alice"),
		"/usr/bin/dscl -plist /Search -readall /Groups RecordName PrimaryGroupID":                                       AskGroups(),
		"/usr/bin/codesign --verify --strict --verbose=1 -- -x":                                                         AskSignature("-x"),
		"/usr/sbin/scutil": sessions,
	} {
		if strings.Join(got, " ") != want || !filepath.IsAbs(got[0]) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := InSession("501", "/a b"); len(got) != 4 || got[3] != "/a b" {
		t.Errorf("%q: a path with a space is not one argument", got)
	}
	if input != "show State:/Users/ConsoleUser\nquit\n" {
		t.Errorf("scutil is told %q", input)
	}
	for _, variable := range Environment() {
		if strings.HasPrefix(variable, "PATH=") && strings.Contains(variable, "/usr/local") {
			t.Errorf("%s: users write there", variable)
		}
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]bool{
		"alice": true, "jan.doe": true, "a@b.example": true, "_www": true, "müller": true,
		"": false, ".": false, "..": false, "-n": false, "a/b": false, "a b": false, "a\nb": false, "a(b": false, "a,b": false, "a\x00": false, `a\b`: false,
	} {
		if Name(name) != want {
			t.Errorf("%q: %v, want %v", name, !want, want)
		}
	}
	for text, want := range map[string]bool{"0": true, "501": true, "4294967294": true, "4294967295": false, "-1": false, "-2": false, "+1": false, "01": false, "": false, "1 ": false} {
		if Number(text) != want {
			t.Errorf("%q: %v, want %v", text, !want, want)
		}
	}
}

func TestIdentity(t *testing.T) {
	got, err := ParseIdentity(answer(t, "id-macos-10.9.txt"))
	want := core.Account{
		User: "502", Name: "alexander", Group: "20",
		Groups: []string{"20", "401", "12", "33", "61", "79", "80", "81", "98", "100", "204"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, text := range []string{
		"", "uid=502(a) gid=20(staff)", "uid=502 gid=20(staff) groups=20(staff)", "uid=4294967295(a) gid=20(staff) groups=20(staff)",
		"uid=-2(nobody) gid=-2(nobody) groups=-2(nobody)", "uid=1(a) gid=20(staff) groups=20(staff),x", "uid=1(a gid=20(staff) groups=20(staff)",
		"uid=1(a) gid=20(staff) groups=", "id: alice: no such user\n",
	} {
		if got, err := ParseIdentity(text); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}

func FuzzParseIdentity(f *testing.F) {
	f.Add("uid=502(alexander) gid=20(staff) groups=20(staff),401(x),12(everyone)\n")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseIdentity(text)
		if err != nil {
			return
		}
		for _, id := range append([]string{string(a.User), a.Group}, a.Groups...) {
			if !Number(id) || !strings.Contains(text, id) {
				t.Errorf("%q has the id %q", text, id)
			}
		}
	})
}

func TestUser(t *testing.T) {
	read := answer(t, "dscl-read-macos-unstated.plist")
	got, err := Complete(core.Account{User: "1000", Name: "testuser", Group: "22"}, []byte(read))
	want := core.Account{User: "1000", Name: "testuser", Group: "22", Home: "/Users/testuser"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	// The name is another user's by now, or the user has another name.
	for _, account := range []core.Account{{User: "501", Name: "testuser"}, {User: "1000", Name: "other"}} {
		if got, err := Complete(account, []byte(read)); !errors.Is(err, core.ErrNoAccount) {
			t.Errorf("%+v became %+v, %v", account, got, err)
		}
	}
	more := strings.Replace(read, "<string>testuser</string>\n            </array>\n    </dict>",
		"<string>testuser</string><string>tu</string></array><key>dsAttrTypeStandard:UserShell</key><array><string>/bin/zsh</string></array></dict>", 1)
	got, err = Complete(core.Account{User: "1000", Name: "testuser"}, []byte(more))
	if err != nil || !reflect.DeepEqual(got.OtherNames, []string{"tu"}) || got.Shell != "/bin/zsh" {
		t.Errorf("got %+v, %v, want another name and a shell", got, err)
	}
	for _, text := range []string{"", answer(t, "dscl-not-found-macos-unstated.txt"), read[:len(read)-30], "<plist><dict><key>a</key><dict/></dict></plist>"} {
		if got, err := Complete(core.Account{User: "1000", Name: "testuser"}, []byte(text)); err == nil || errors.Is(err, core.ErrNoAccount) {
			t.Errorf("%.60q is %+v, %v", text, got, err)
		}
	}
}

func TestGroups(t *testing.T) {
	group := func(id string, names ...string) string {
		return "<dict><key>dsAttrTypeMetaX</key><integer>1</integer><key>dsAttrTypeStandard:PrimaryGroupID</key><array><string>" + id +
			"</string></array><key>dsAttrTypeStandard:RecordName</key><array><string>" + strings.Join(names, "</string><string>") + "</string></array></dict>"
	}
	text := `<?xml version="1.0"?><plist version="1.0"><array>` + group("20", "staff", "BUILTIN\\Users") + group("-2", "nobody") +
		group("900", "staff") + group("80", "admin") + "</array></plist>"
	got, err := ParseGroups([]byte(text))
	// A second group called staff is not the group of that name.
	want := map[string][]string{"20": {"staff", "BUILTIN\\Users"}, "80": {"admin"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

func FuzzRecords(f *testing.F) {
	f.Add([]byte("<plist><array><dict><key>a</key><array><string>b</string></array></dict></array></plist>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if all, err := records(b); err == nil && len(all) == 0 {
			t.Errorf("%q is nothing", b)
		}
	})
}

func TestSessions(t *testing.T) {
	two := answer(t, "scutil-macos-unstated-two-sessions.txt")
	table := map[string][]core.Session{
		two: {
			{ID: "100099", User: "501", Graphical: true, Active: true},
			{ID: "100999", User: "502", Graphical: true},
		},
		answer(t, "scutil-macos-10.13-one-session.txt"): {{ID: "100008", User: "501", Graphical: true, Active: true}},
		// The second user is logging in: the top-level UID is still the first's.
		strings.Replace(strings.Replace(two, "OnConsoleKey : TRUE", "OnConsoleKey : X", 1), "OnConsoleKey : FALSE", "OnConsoleKey : TRUE", 1): {
			{ID: "100099", User: "501", Graphical: true},
			{ID: "100999", User: "502", Graphical: true, Active: true},
		},
		// The login window, before a login is done.
		strings.Replace(two, "LoginDoneKey : TRUE", "LoginDoneKey : FALSE", 1): {{ID: "100999", User: "502", Graphical: true}},
		"  No such key\n":     nil,
		"<dictionary> {\n}\n": nil,
	}
	for text, want := range table {
		if got, err := ParseSessions(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n%+v, %v, want %+v", text, got, err, want)
		}
	}
	// A user's own name cannot begin a session or a dictionary.
	sly := strings.Replace(two, "Janice Doe", "x : <dictionary> {", 1)
	if got, err := ParseSessions(sly); err == nil {
		t.Errorf("a name that looks like a bracket: %+v", got)
	}
	for _, text := range []string{"", "}", two[:len(two)-2], "scutil: not found"} {
		if got, err := ParseSessions(text); err == nil {
			t.Errorf("%.40q is %+v", text, got)
		}
	}
}

func FuzzParseSessions(f *testing.F) {
	f.Add("<dictionary> {\n  SessionInfo : <array> {\n    0 : <dictionary> {\n      kCGSSessionAuditIDKey : 1\n    }\n  }\n}\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := ParseSessions(text)
		for _, s := range all {
			if err != nil || !Number(string(s.ID)) || !Number(string(s.User)) || s.User == "0" {
				t.Errorf("%q has %+v", text, s)
			}
		}
	})
}

func TestSignature(t *testing.T) {
	table := map[string]struct {
		status   int
		standing core.Standing
		signed   bool
	}{
		answer(t, "codesign-valid-macos-unstated.txt"):     {0, core.Trusted, true},
		answer(t, "codesign-resource-macos-unstated.txt"):  {1, core.Broken, true},
		answer(t, "codesign-directory-macos-unstated.txt"): {1, core.Untrusted, true},
		"/x: code object is not signed at all\n":           {1, 0, false},
		"":                                                 {3, core.Untrusted, true},
	}
	for said, want := range table {
		got, signed := ParseSignature(said, want.status)
		if signed != want.signed || got.Standing != want.standing || signed && got.Kind != core.KindSystem {
			t.Errorf("%q: %+v, %v, want %v, %v", said, got, signed, want.standing, want.signed)
		}
	}
}

func TestDaemon(t *testing.T) {
	const root = `/usr/local/A & <B>`
	plist := Daemon(root)
	d := xml.NewDecoder(strings.NewReader(string(plist)))
	var words []string
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, plist)
		}
		if text, ok := token.(xml.CharData); ok && strings.TrimSpace(string(text)) != "" {
			words = append(words, string(text))
		}
	}
	got := strings.Join(words, "|")
	want := "|ProgramArguments|" + root + "/KeeperPrivilegeManager|run|--root|" + root + "|RunAtLoad|"
	if !strings.Contains(got, want) || !strings.HasPrefix(got, "Label|keeper-privilege-manager|") {
		t.Errorf("%s\nwithout %s", got, want)
	}
	for _, key := range []string{"AbandonProcessGroup", "KeepAlive"} {
		if !strings.Contains(string(plist), "<key>"+key+"</key>\n\t<true/>") {
			t.Errorf("%s is not true in\n%s", key, plist)
		}
	}
}

// What launchctl print says, as macOS 13 words it, and what is not understood.
func TestPrinted(t *testing.T) {
	for text, want := range map[string]struct {
		state string
		pid   int
	}{
		"system/keeper-privilege-manager = {\n\tactive count = 1\n\tpath = /Library/LaunchDaemons/keeper-privilege-manager.plist\n\tstate = running\n\n\tprogram = /x\n\tpid = 512\n\timmediate reason = speculative\n}\n": {"running", 512},
		"system/keeper-privilege-manager = {\n\tstate = not running\n\tlast exit code = 1\n}\n":                                                                                                                            {"stopped", 0},
		"":                           {"stopped", 0},
		"state = gone\npid = many\n": {"stopped", 0},
	} {
		if state, pid := Printed([]byte(text)); state != want.state || pid != want.pid {
			t.Errorf("%q: %s, %d", text, state, pid)
		}
	}
}
