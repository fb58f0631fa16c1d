package tool

import (
	"slices"
	"strings"
	"testing"
)

// What the tools are told about groups and accounts for one command, word by word.
func TestArgumentsThatChangeSomething(t *testing.T) {
	for want, got := range map[string][]string{
		"/usr/bin/dscl -plist . -read /Groups/admin RecordName PrimaryGroupID GroupMembership": AskMembers("admin"),
		"/usr/sbin/dseditgroup -o edit -n . -a alice -t user admin":                            SetMember("admin", "alice", true),
		"/usr/sbin/dseditgroup -o edit -n . -d alice -t user admin":                            SetMember("admin", "alice", false),
		"/usr/bin/dscl . -delete /Users/keeperusersession-7":                                   DeleteAccount("keeperusersession-7"),
		"/usr/bin/pkill -KILL -U 2000000007":                                                   EndProcesses("2000000007"),
		"/usr/bin/pgrep -U 2000000007":                                                         AskProcesses("2000000007"),
		"/usr/bin/dscl . -list /Users":                                                         AskAccounts(),
	} {
		if strings.Join(got, " ") != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// An account for one command is nobody's until its last attribute, which is its uid, and
// nobody can log in to it at any moment.
func TestAnAccountIsMadeInOrder(t *testing.T) {
	made := CreateAccount("keeperusersession-7", "2000000007", "/a b/keeperusersession-7")
	at := func(attribute string, values ...string) int {
		return slices.IndexFunc(made, func(argv []string) bool {
			return slices.Equal(argv, append([]string{"/usr/bin/dscl", ".", "-create", "/Users/keeperusersession-7", attribute}, values...))
		})
	}
	if !slices.Equal(made[0], []string{"/usr/bin/dscl", ".", "-create", "/Users/keeperusersession-7"}) || at("UniqueID", "2000000007") != len(made)-1 {
		t.Errorf("begins with %q and ends with %q", made[0], made[len(made)-1])
	}
	for attribute, value := range map[string]string{
		"Password": "*", "AuthenticationAuthority": ";DisabledUser;", "UserShell": "/usr/bin/false", "IsHidden": "1", "PrimaryGroupID": "20",
		"NFSHomeDirectory": "/a b/keeperusersession-7",
	} {
		if at(attribute, value) < 1 {
			t.Errorf("no %s %q in %q", attribute, value, made)
		}
	}
	if TransientUID(7) != "2000000007" || !SystemAccount(TransientUID(1<<20-1)) || !SystemAccount("0") || SystemAccount("501") || !SystemAccount("-2") {
		t.Error("whose numbers are people's")
	}
}

// group is a record of a group as dscl prints records (testdata/README.md), with two
// values of one attribute on two lines.
const group = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>dsAttrTypeStandard:GroupMembership</key>
	<array>
		<string>root</string>
		<string>alice</string>
		<string>alice</string>
	</array>
	<key>dsAttrTypeStandard:PrimaryGroupID</key>
	<array>
		<string>80</string>
	</array>
	<key>dsAttrTypeStandard:RecordName</key>
	<array>
		<string>admin</string>
		<string>BUILTIN\Administrators</string>
	</array>
</dict>
</plist>
`

func TestMembers(t *testing.T) {
	gid, names, err := ParseMembers([]byte(group))
	if err != nil || gid != "80" || !slices.Equal(names, []string{"root", "alice"}) {
		t.Errorf("%s, %q, %v", gid, names, err)
	}
	before, after, _ := strings.Cut(group, "\t<key>dsAttrTypeStandard:GroupMembership</key>")
	_, rest, _ := strings.Cut(after, "</array>\n")
	if gid, names, err := ParseMembers([]byte(before + rest)); err != nil || gid != "80" || len(names) != 0 {
		t.Errorf("a group without members: %s, %q, %v", gid, names, err)
	}
	for name, text := range map[string]string{
		"nothing":               "",
		"cut short":             group[:len(group)-20],
		"not found":             answer(t, "dscl-not-found-macos-unstated.txt"),
		"a number that is none": strings.Replace(group, "<string>80</string>", "<string>-2</string>", 1),
		"two numbers":           strings.Replace(group, "<string>80</string>", "<string>80</string><string>0</string>", 1),
		"two groups":            "<plist><array><dict><key>a</key></dict><dict><key>b</key></dict></array></plist>",
		"no number":             "<plist><dict><key>dsAttrTypeStandard:RecordName</key><array><string>admin</string></array></dict></plist>",
	} {
		if gid, names, err := ParseMembers([]byte(text)); err == nil {
			t.Errorf("%s is %s, %q", name, gid, names)
		}
	}
	// A user, which somebody's Mac has answered with, is in the form of every record.
	if gid, names, err := ParseMembers([]byte(answer(t, "dscl-read-macos-unstated.plist"))); err != nil || gid != "22" || len(names) != 0 {
		t.Errorf("the published record: %s, %q, %v", gid, names, err)
	}
}
