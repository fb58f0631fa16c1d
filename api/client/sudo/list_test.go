package sudo

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"kpm/core/door"
)

func TestList(t *testing.T) {
	for _, tc := range []struct {
		name   string
		args   []string
		says   []byte
		status int
		out    string
		diag   string
	}{
		{"text", []string{"-l"}, frame(door.TypeListing, door.Listing{Text: "ada may run\n"}.Encode()), 0, "ada may run\n", ""},
		{"what is no service's", []string{"-l"}, frame(door.TypeListing, door.Listing{Text: "a\x1b[2J"}.Encode()), 0, "a\ufffd[2J", ""},
		{"refused", []string{"-l", "--json"}, frame(door.TypeRefused, door.Refused{Code: door.CodeNotFound, Message: "no account"}.Encode()), exitNotFound, "", "no account"},
		{"another frame", []string{"-l"}, frame(door.TypeExit, door.Exit{}.Encode()), exitRefused, "", "of the same version"},
		{"cut short", []string{"-l"}, frame(door.TypeListing, []byte{1}), exitRefused, "", "of the same version"},
		{"somebody else's", []string{"-l", "-U", "anna"}, frame(door.TypeListing, door.Listing{Text: "anna may run\n"}.Encode()), 0, "anna may run\n", ""},
		{"nothing", []string{"-l"}, nil, exitRefused, "", "closed the connection"},
	} {
		s := &system{says: [][]byte{tc.says}}
		status := s.main(tc.args...)
		if status != tc.status || s.stdout.String() != tc.out || !strings.Contains(s.stderr.String(), tc.diag) {
			t.Errorf("%s: %d %q %q", tc.name, status, s.stdout.String(), s.stderr.String())
		}
		if len(s.frames) != 1 {
			t.Fatalf("%s: %d frames", tc.name, len(s.frames))
		}
		kind, body, _ := door.Read(bytes.NewReader(s.frames[0]))
		list, err := door.DecodeList(body)
		if kind != door.TypeList || err != nil || list.JSON != slices.Contains(tc.args, "--json") || (list.User == "anna") != slices.Contains(tc.args, "-U") || len(s.handles) != 0 {
			t.Errorf("%s: sent %v %v %v", tc.name, kind, list, s.handles)
		}
	}
}

// -l COMMAND asks about one command, with what running it would take along, and runs
// nothing. The status says whether policy allows it.
func TestListOfOneCommand(t *testing.T) {
	for _, tc := range []struct {
		name   string
		args   []string
		says   []byte
		status int
		out    string
	}{
		{"allowed", []string{"-l", "id", "-u"}, frame(door.TypeListing, door.Listing{Text: "id as root: allowed\n"}.Encode()), 0, "id as root: allowed\n"},
		{"refused", []string{"-l", "-u", "bob", "--json", "id", "-u"}, frame(door.TypeListing, door.Listing{Text: "{}\n", Denied: true}.Encode()), exitRefused, "{}\n"},
		{"no program", []string{"-l", "id", "-u"}, frame(door.TypeRefused, door.Refused{Code: door.CodeNotFound, Message: "no program"}.Encode()), exitNotFound, ""},
	} {
		s := &system{says: [][]byte{tc.says}}
		if status := s.main(tc.args...); status != tc.status || s.stdout.String() != tc.out {
			t.Errorf("%s: %d %q %q", tc.name, status, s.stdout.String(), s.stderr.String())
		}
		kind, body, _ := door.Read(bytes.NewReader(s.frames[0]))
		m, err := door.DecodeRequest(body)
		if kind != door.TypeRequest || err != nil || !m.List || m.JSON != slices.Contains(tc.args, "--json") || m.Command != "id" || !slices.Equal(m.Argv, []string{"id", "-u"}) || (m.TargetUser == "bob") != slices.Contains(tc.args, "bob") {
			t.Errorf("%s: sent %v %+v %v", tc.name, kind, m, err)
		}
	}
}

// -v, -k and -K say to the service what is to become of what it remembers, and show
// what it answers.
func TestWhatIsRemembered(t *testing.T) {
	for args, want := range map[string]door.Memory{
		"-v": {Do: door.Validate}, "-nv": {Do: door.Validate, NonInteractive: true}, "-k": {Do: door.Forget}, "-K": {Do: door.ForgetAll},
	} {
		s := &system{says: [][]byte{frame(door.TypeListing, door.Listing{Text: "so it is\n"}.Encode())}}
		if status := s.main(args); status != 0 || s.stdout.String() != "so it is\n" {
			t.Errorf("%s: %d %q %q", args, status, s.stdout.String(), s.stderr.String())
		}
		if len(s.frames) != 1 {
			t.Fatalf("%s: %d frames", args, len(s.frames))
		}
		kind, body, _ := door.Read(bytes.NewReader(s.frames[0]))
		if got, err := door.DecodeMemory(body); kind != door.TypeMemory || err != nil || got != want || len(s.handles) != 0 {
			t.Errorf("%s: sent %v %+v %v", args, kind, got, err)
		}
	}
	s := &system{says: [][]byte{frame(door.TypeRefused, door.Refused{Code: door.CodeDenied, Message: "the code is wrong"}.Encode())}}
	if status := s.main("-v"); status != 1 || s.stderr.String() != "keepersudo: the code is wrong\n" {
		t.Errorf("%d %q", status, s.stderr.String())
	}
}
