//go:build linux

package linux

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/port"
)

// Files in place of arguments are the program's, with a terminal and without,
// and nobody else's names for them matter.
func TestOpenedArguments(t *testing.T) {
	l := newLauncher(t, 0, "")
	dir := t.TempDir()
	var opened []port.Opened
	args := []string{"sh"}
	for i := range core.MaxPathArguments {
		path := filepath.Join(dir, fmt.Sprint(i))
		must(t, os.WriteFile(path, []byte(fmt.Sprint(i)), 0o600))
		file := handle(t, path)
		must(t, os.Rename(path, path+".old"))
		must(t, os.WriteFile(path, []byte("another"), 0o600))
		opened = append(opened, port.Opened{Argument: 4 + i, Offset: 2, File: file})
		args = append(args, "f="+path)
	}
	const script = `for a; do printf "%s:" "$a"; cat "${a#f=}"; echo; done; ls -1 /proc/$$/fd`
	var want strings.Builder
	for i := range core.MaxPathArguments {
		fmt.Fprintf(&want, "f=/proc/self/fd/%d:%d\n", 64+i, i)
	}
	fmt.Fprint(&want, "0\n1\n2\n")
	for i := range core.MaxPathArguments {
		fmt.Fprintln(&want, 64+i)
	}
	spec := shell(t, script, args...)
	spec.Opened = opened
	if out, status := output(t, l, spec); out != want.String() || status != (core.ExitStatus{}) {
		t.Errorf("%v: got\n%s", status, out)
	}
	terminal, err := Terminals{}.Open(core.Identity{Account: rootAccount})
	must(t, err)
	defer terminal.Close()
	spec.Terminal = terminal
	if out, status := output(t, l, spec); out != want.String() || status != (core.ExitStatus{}) {
		t.Errorf("with a terminal, %v: got\n%s", status, out)
	}
	for name, spoil := range map[string]func(*port.Opened){
		"argv[0]": func(o *port.Opened) { o.Argument = 0 }, "an argument too many": func(o *port.Opened) { o.Argument = 99 },
		"past its end": func(o *port.Opened) { o.Offset = 1000 },
	} {
		bad := opened[0]
		spoil(&bad)
		spec.Opened = []port.Opened{bad}
		if _, err := l.Prepare(t.Context(), spec); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	spec.Opened = append(opened, opened[0])
	if _, err := l.Prepare(t.Context(), spec); err == nil {
		t.Error("one too many was accepted")
	}
}
