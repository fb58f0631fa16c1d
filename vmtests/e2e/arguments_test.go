//go:build linux

package e2e

import (
	"slices"
	"strings"
	"testing"
)

// TestArguments: what a command is given is what was typed, byte for byte, or
// nothing runs and the caller hears why.
func TestArguments(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	long := func(kib int) []string { // one argument is at most 128 KiB on Linux
		return slices.Repeat([]string{strings.Repeat("0123456789abcde ", 1<<10/16)}, kib)
	}
	for _, tc := range []struct {
		what    string
		args    []string
		refused string
	}{
		{"none", nil, ""},
		{"empty ones", []string{"", "", ""}, ""},
		{"one of 100 KiB", []string{strings.Repeat("x", 100<<10)}, ""},
		{"100 KiB in many", long(100), ""},
		{"10000", slices.Repeat([]string{"x"}, 10000), ""},
		{"what a shell would read", []string{"$(id)", "`id`", "a;b", "a|b", "\\", "'", "\"", "*", "~", "a\nb", "\t", "#"}, ""},
		{"every character that is not NUL", []string{everyASCII(), "äöü 漢字 \u202e\U0001F600"}, ""},
		{"130 KiB in many", long(130), "the limit is 131072"},
		{"300 KiB", long(300), "too long"},
		{"Latin-1", []string{"caf\xe9"}, ""},
		{"half of a character", []string{"\xe6\xbc"}, ""},
		{"a surrogate", []string{"\xed\xa0\x80"}, ""},
		{"every byte that is not NUL", []string{everyByte(), "\xff\xfe" + strings.Repeat("\xff", 100<<10)}, ""},
		{"130 KiB that are no text", []string{strings.Repeat("\xff", 65<<10), strings.Repeat("\xff", 65<<10)}, "the limit is 131072"},
	} {
		given := append([]string{"first"}, tc.args...)
		argv := append([]string{"printf", `%s\0`}, given...)
		out, err := a.Sudo(t.Context(), 4242, argv...).CombinedOutput()
		switch {
		case tc.refused != "":
			if err == nil || !strings.HasPrefix(string(out), "keepersudo: ") || !strings.Contains(string(out), tc.refused) {
				t.Errorf("%s: %v: %.200q, expected a refusal with %q", tc.what, err, out, tc.refused)
			}
		case err != nil || string(out) != strings.Join(given, "\x00")+"\x00":
			t.Errorf("%s: %v: %.200q", tc.what, err, out)
		}
	}
}

func everyByte() string {
	var b strings.Builder
	for c := 255; c > 0; c-- {
		b.WriteByte(byte(c))
	}
	return b.String()
}

func everyASCII() string {
	var b strings.Builder
	for c := byte(1); c < 128; c++ {
		b.WriteByte(c)
	}
	return b.String()
}

// TestArgumentsThatAreNotText: they are compared with policies and run as bytes,
// and the journal has both what can be read and what ran; of a secret, neither.
func TestArgumentsThatAreNotText(t *testing.T) {
	a := newAgent(t, `{"PolicyId":"one","PolicyName":"One file","PolicyType":"CommandLine","Status":"enforce","Actions":{"OnSuccess":{"Controls":["ALLOW"]}},
		"UserCheck":["*"],"MachineCheck":["*"],"ApplicationCheck":["*"],"Extension":{"AllowCommands":["/usr/bin/printf %s /srv/caf*.txt *"]}}`, nil)
	file, secret := "/srv/caf\xe9\\.txt", "--password=\xe9"
	out, err := a.Sudo(t.Context(), 4242, "printf", "%s", file, secret).CombinedOutput()
	if err != nil || string(out) != file+secret {
		t.Errorf("%v: %q", err, out)
	}
	for _, other := range []string{"/srv/caf\xe9.csv", "/srv/cof\xe9.txt", `/srv/caf\xE9\\.tx`} {
		if out, err := a.Sudo(t.Context(), 4242, "printf", "%s", other, "x").CombinedOutput(); err == nil {
			t.Errorf("%q ran: %q", other, out)
		}
	}
	shown, err := a.Admin(t.Context(), "audit", "tail", "-n", "1000", "--json")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(shown, `"argv":["printf","%s","/srv/caf\\xE9\\\\.txt","--password=***"],"argvBytes":{"2":"L3Nydi9jYWbpXC50eHQ="}`) {
		t.Errorf("the journal has %s", shown)
	}
	if out, err := a.Admin(t.Context(), "audit", "verify"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
