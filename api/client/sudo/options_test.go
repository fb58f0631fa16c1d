package sudo

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"kpm/core/door"
)

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want options
	}{
		{[]string{"id"}, options{command: []string{"id"}}},
		{[]string{"id", "-n", "--help"}, options{command: []string{"id", "-n", "--help"}}},
		{[]string{"--", "-n"}, options{command: []string{"-n"}}},
		{[]string{"-n", "--", "--", "x"}, options{nonInteractive: true, command: []string{"--", "x"}}},
		{[]string{"-u", "nobody", "id"}, options{user: "nobody", command: []string{"id"}}},
		{[]string{"-unobody", "id"}, options{user: "nobody", command: []string{"id"}}},
		{[]string{"-u=x", "id"}, options{user: "=x", command: []string{"id"}}},
		{[]string{"--user=#0", "id"}, options{user: "#0", command: []string{"id"}}},
		{[]string{"--root", "/r", "--non-interactive", "-"}, options{root: "/r", nonInteractive: true, command: []string{"-"}}},
		{[]string{"./a=b", "c"}, options{command: []string{"./a=b", "c"}}},
		{[]string{"-nu", "root", "id"}, options{nonInteractive: true, user: "root", command: []string{"id"}}},
		{[]string{"-nuroot", "id"}, options{nonInteractive: true, user: "root", command: []string{"id"}}},
		{[]string{"-HSnA", "-p", "", "-BN", "id", "-u"}, options{nonInteractive: true, desktop: true, command: []string{"id", "-u"}}},
		{[]string{"-H", "-S", "-n", "-u", "root", "/bin/sh", "-c", "echo x ; y"}, // as Ansible has it
			options{nonInteractive: true, user: "root", command: []string{"/bin/sh", "-c", "echo x ; y"}}},
		{[]string{"-H", "-S", "-p", "[sudo via ansible, key=x] password:", "-u", "x", "id"}, options{user: "x", command: []string{"id"}}},
		{[]string{"--non-int", "--us=x", "--set-home", "--prompt=", "id"}, options{nonInteractive: true, user: "x", command: []string{"id"}}},
		{[]string{"-h"}, options{help: true}}, {[]string{"-nh"}, options{help: true}}, {[]string{"--help", "x"}, options{help: true}},
		{[]string{"-l"}, options{list: true}}, {[]string{"--list", "--json", "--root", "/r"}, options{list: true, json: true, root: "/r"}}, {[]string{"-nl"}, options{nonInteractive: true, list: true}},
		{[]string{"-v"}, options{memory: door.Validate}}, {[]string{"-k"}, options{memory: door.Forget}}, {[]string{"-K"}, options{memory: door.ForgetAll}}, {[]string{"-nv"}, options{nonInteractive: true, memory: door.Validate}},
		{[]string{"-k", "id"}, options{memory: door.Forget, command: []string{"id"}}},
		{[]string{"-e", "/etc/motd", "A=b"}, options{edit: true, command: []string{"/etc/motd", "A=b"}}}, {[]string{"-neu", "web", "--", "-x"}, options{edit: true, nonInteractive: true, user: "web", command: []string{"-x"}}},
		{[]string{"-V"}, options{version: true}}, {[]string{"-Vu", "x"}, options{version: true}},
	} {
		got, err := parse(tc.args)
		if err != nil || !reflect.DeepEqual(*got, tc.want) {
			t.Errorf("%q: %+v, %v; want %+v", tc.args, got, err, tc.want)
		}
	}
	for _, args := range [][]string{
		nil, {"-n"}, {"-u"}, {"--root"}, {"--user="}, {"-x", "id"}, {"--no-such", "id"}, {"-n=1", "id"}, {""}, {"-nu"}, {"-nx", "id"}, {"--"},
		{"--p", "x", "id"}, {"--json"}, {"--json", "id"}, {"--set-home=1", "id"}, {"--=x", "id"},
	} {
		if got, err := parse(args); err == nil || err.status != exitUsage || !strings.Contains(err.message, "--help") {
			t.Errorf("%q: %+v, %v", args, got, err)
		}
	}
}

// Every option of sudo is decided on: the page says how, and the code does it.
func TestEveryOptionOfSudoIsDecidedOn(t *testing.T) {
	page, err := os.ReadFile("../../../docs/keepersudo.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, o := range all {
		names := strings.TrimPrefix(strings.Trim("`-"+string(o.short)+"`, `"+o.long+"`", ", "), "`-\x00`, ")
		effect := "nothing changes"
		switch {
		case o.instead != "":
			effect = "refused: " + o.instead
		case o.set != nil || o.check != nil:
			effect = ""
		}
		if row := "| " + names + " | " + effect; !strings.Contains(string(page), row) {
			t.Errorf("docs/keepersudo.md has no row %q", row)
		}
		rows++
	}
	if found := strings.Count(string(page), "\n| `-"); found != rows {
		t.Errorf("docs/keepersudo.md has %d rows, there are %d options", found, rows)
	}
}

// What is refused says what to use, whatever follows it.
func TestRefusedOptionsSayWhatToUse(t *testing.T) {
	for _, tc := range []struct {
		args []string
		says string
	}{
		{[]string{"-h", "localhost", "id"}, "ssh HOST"},
		{[]string{"--host=x", "id"}, "ssh HOST"},
		{[]string{"-E", "id"}, "keepersudo env"},
		{[]string{"-nE", "id"}, "keepersudo env"},
		{[]string{"--preserve-env=PATH", "id"}, "keepersudo env"},
		{[]string{"A_1=b", "id"}, "keepersudo env A_1=VALUE"},
		{[]string{"-l", "-U", "anna", "id"}, "policy explain --user anna"}, {[]string{"-l", "-u", "x"}, "for whom each command"},
		{[]string{"-i"}, "bash -l"}, {[]string{"-s"}, "keepersudo bash"}, {[]string{"-D", "/", "id"}, "cd DIR"}, {[]string{"-D/", "id"}, "cd DIR"},
		{[]string{"-bE", "id"}, "COMMAND &"}, {[]string{"-C4", "id"}, "leave it out"}, {[]string{"-T5", "id"}, "timeout SECONDS"},
	} {
		got, err := parse(tc.args)
		if err == nil || err.status != exitUsage || !strings.Contains(err.message, tc.says) || !strings.Contains(err.message, "is not possible here") {
			t.Errorf("%q: %+v, %v", tc.args, got, err)
		}
	}
}
