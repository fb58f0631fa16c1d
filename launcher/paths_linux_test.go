package launcher

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"kpm/core"
	"kpm/core/door"
	"kpm/launcher/journal"
)

// Attack: between decision and launch an argument becomes a link to a file of
// root's. The command gets the file that was decided on, or does not run.
func TestAPathArgumentIsTheFileThatWasDecidedOn(t *testing.T) {
	m := startMachine(t)
	page := m.write(t, "home/page", "page\n", 0o644, 65534)
	dir := filepath.Dir(page)
	at := func(name string) string { return filepath.Join(dir, name) }
	secret := m.write(t, "secret", "secret\n", 0o600, 0)
	if err := errors.Join(os.Chown(dir, 65534, 65534), os.Symlink(secret, at("link")), os.Link(secret, at("second")),
		syscall.Mkfifo(at("fifo"), 0o644)); err != nil {
		t.Fatal(err)
	}
	path := func(argument, offset int, path string) core.PathArgument {
		return core.PathArgument{Argument: argument, Offset: offset, Path: path}
	}
	for _, tc := range []struct {
		name    string
		command string
		argv    []string
		paths   []core.PathArgument
		out     string
		refused string
	}{
		{"whatever its owner calls it by then", "cat", []string{at("link")}, []core.PathArgument{path(1, 0, page)}, "page\n", ""},
		{"the name of the open file", "printf", []string{"%s", page}, []core.PathArgument{path(2, 0, page)}, "/proc/self/fd/64", ""},
		{"behind an option", "printf", []string{"%s", "if=x"}, []core.PathArgument{path(2, 3, page)}, "if=/proc/self/fd/64", ""},
		{"two of them", "printf", []string{"%s|", "x", "y"}, []core.PathArgument{path(3, 0, page), path(2, 0, dir)}, "/proc/self/fd/65|/proc/self/fd/64|", ""},
		{"a folder", "ls", []string{"-d", dir}, []core.PathArgument{path(2, 0, dir)}, "/proc/self/fd/64\n", ""},
		{"of another target", "cat", []string{page}, []core.PathArgument{path(1, 0, page)}, "page\n", ""},
		{"what root alone can change has its name", "printf", []string{"%s", "/etc/../etc/passwd"}, []core.PathArgument{path(2, 0, "/etc/passwd")}, "/etc/passwd", ""},
		{"and so have folders", "printf", []string{"%s", "etc"}, []core.PathArgument{path(2, 0, "/etc")}, "/etc", ""},
		{"a link in its place", "cat", []string{at("link")}, []core.PathArgument{path(1, 0, at("link"))}, "", "an argument changed after it was decided on"},
		{"another name of root's file", "cat", []string{at("second")}, []core.PathArgument{path(1, 0, at("second"))}, "", "has 2 names"},
		{"a FIFO", "cat", []string{at("fifo")}, []core.PathArgument{path(1, 0, at("fifo"))}, "", "an argument changed"},
		{"nothing", "cat", []string{at("nothing")}, []core.PathArgument{path(1, 0, at("nothing"))}, "", "an argument changed"},
		// A decision about arguments that there are not.
		{"the program", "cat", []string{page}, []core.PathArgument{path(0, 0, page)}, "", "could not be understood"},
		{"an argument too many", "cat", []string{page}, []core.PathArgument{path(2, 0, page)}, "", "could not be understood"},
		{"past the end of one", "cat", []string{"x"}, []core.PathArgument{path(1, 1, page)}, "", "could not be understood"},
		{"a negative place", "cat", []string{page}, []core.PathArgument{path(-1, 0, page)}, "", "could not be understood"},
		{"one twice", "cat", []string{page}, []core.PathArgument{path(1, 0, page), path(1, 2, page)}, "", "could not be understood"},
		{"no absolute path", "cat", []string{page}, []core.PathArgument{path(1, 0, "page")}, "", "could not be understood"},
		{"no clean path", "cat", []string{page}, []core.PathArgument{path(1, 0, dir+"/../home/page")}, "", "could not be understood"},
		{"too many", "cat", slices.Repeat([]string{page}, 9), slices.Repeat([]core.PathArgument{path(1, 0, page)}, 9), "", "could not be understood"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m.paths = tc.paths
			r, out, err := m.run(call{command: tc.command, argv: tc.argv})
			if err != nil || out != tc.out || (r.Refused == nil) != (tc.refused == "") || r.Refused != nil && !strings.Contains(r.Refused.Message, tc.refused) {
				t.Errorf("%+v %+v %v: %q", r.Exit, r.Refused, err, out)
			}
			if r.Refused != nil && strings.Contains(tc.refused, "understood") && r.Refused.Code != door.CodeDenied {
				t.Errorf("code %s", r.Refused.Code)
			}
		})
	}
	if records := m.records(t, journal.Allowed); len(records) == 0 || len(records[0].Paths) != 1 || records[0].Paths[0].Path != page {
		t.Errorf("the journal does not say which file: %+v", records)
	}
}
