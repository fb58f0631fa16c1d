package conformance

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/signal"
)

// Ground is where the suite runs.
type Ground struct {
	// Host makes the ports. The suite closes them.
	Host func() (port.Host, error)
	// Self is this process.
	Self func() core.ProcessID
	// As is who the programs run as.
	As core.Identity
	// People are who programs can run as, As if there are none.
	People []core.Identity
	// Handle opens a file or directory as the port Files would.
	Handle func(path string) (*os.File, error)
	// Env is what every program is started with besides what a case says.
	Env []string
	// Adds reports whether the system itself gives or changes a variable, by name.
	Adds func(name string) bool
	// Launches is how many the case about many makes.
	Launches int
	// Inheritable makes f one that careless code would hand down, and returns its
	// number.
	Inheritable func(f *os.File) (uintptr, error)
	// Open counts the descriptors or handles of this process.
	Open func() (int, error)
	// Duplicate returns a copy of f that stays open when f is closed.
	Duplicate func(f *os.File) (*os.File, error)
	// Ends are where one types into a terminal and where one sees it, of what the
	// caller gets of it.
	Ends func(handedOver []*os.File) (typed, shown *os.File)
	// Console opens what a program reads from and writes to if it wants the
	// terminal, whatever its streams are.
	Console func() (in, out *os.File, err error)
	// Size is the size of the terminal that out is.
	Size func(out *os.File) (rows, columns int, err error)
	// Sheds is true where a process that leaves its session and outlives its
	// parents is ended with its group, and yet no Member of it any more: a
	// variable in its environment names it, which is no evidence.
	Sheds bool
	// Login is an identity in a session that somebody has, to run as they do;
	// nil where nobody is logged in: then the cases of sessions are not shown.
	Login func(as core.RunAs) core.Identity
	// Foreign is a session of somebody else.
	Foreign core.SessionID
	// User is who this process runs as. It is needed with Login.
	User func() core.UserID
	// NotShown names cases that this ground cannot show, with the reason.
	NotShown map[string]string
}

// cases are the suite.
var cases = []struct {
	name      string
	run       func(*testing.T, *bench)
	inSession bool
}{
	{"exit status", exitStatus, false},
	{"streams byte for byte", streams, false},
	{"streams that are missing", missingStreams, false},
	{"a closed stream is seen", closedStream, false},
	{"arguments", arguments, false},
	{"environment", environment, false},
	{"working directory", workingDirectory, false},
	{"user and groups", userAndGroups, false},
	{"nothing else is inherited", inheritance, false},
	{"terminal", terminal, false},
	{"terminal that is not handed over", hungUp, false},
	{"interrupt", interrupt, false},
	{"interrupt without a listener", stops(signal.Interrupt), false},
	{"terminate without a listener", stops(signal.Terminate), false},
	{"kill", kill, false},
	{"wait", wait, false},
	{"held", heldBack, false},
	{"discarded", discarded, false},
	{"released too late", releasedLate, false},
	{"what was sealed runs", sealed, false},
	{"background", background, false},
	{"tree that forks twice", twice, false},
	{"members", members, false},
	{"service dies before the release", diesBefore, false},
	{"service restarts with a child running", restarts, false},
	{"many", many, false},
	{"cannot be started", refused, false},
	{"sessions", sessions, true},
	{"a program in a session", inSession, true},
	{"a session that is not there", notInSession, true},
	{"a closed launcher", closed, false},
}

// Run runs the suite, and prints what it could not show.
func Run(t *testing.T, g Ground) {
	known := map[string]bool{}
	for _, c := range cases {
		known[c.name] = true
		reason, ok := g.NotShown[c.name]
		if !ok && c.inSession && g.Login == nil {
			reason, ok = "nobody is logged in here", true
		}
		if ok {
			t.Logf("not shown here: %s: %s", c.name, reason)
			continue
		}
		t.Run(c.name, func(t *testing.T) { c.run(t, newBench(t, g)) })
	}
	for _, name := range slices.Sorted(maps.Keys(g.NotShown)) {
		if !known[name] {
			t.Errorf("NotShown has %q, which is no case", name)
		}
	}
}

// bench is what one case works with.
type bench struct {
	Ground
	port.Host
	t   *testing.T
	exe *os.File
	dir *os.File
}

func newBench(t *testing.T, g Ground) *bench {
	t.Helper()
	b := &bench{Ground: g, t: t}
	var err error
	b.Host, err = g.Host()
	must(t, err)
	t.Cleanup(func() { must(t, b.Host.Close()) })
	path, err := os.Executable()
	must(t, err)
	b.exe, b.dir = b.handle(path), b.handle(t.TempDir())
	return b
}

func (b *bench) handle(path string) *os.File {
	b.t.Helper()
	f, err := b.Handle(path)
	must(b.t, err)
	b.t.Cleanup(func() { f.Close() })
	return f
}

// spec is a program of this suite: see parts.
func (b *bench) spec(part string, args ...string) port.LaunchSpec {
	return port.LaunchSpec{
		As: b.As, Executable: b.exe, Argv: append([]string{b.exe.Name(), part}, args...),
		Env: append(slices.Clone(b.Env), variable+"=1"), Dir: b.dir,
	}
}

// launch starts a program.
func (b *bench) launch(spec port.LaunchSpec) (port.Process, port.Held) {
	b.t.Helper()
	h, err := b.Launcher.Prepare(b.t.Context(), spec)
	must(b.t, err)
	p, err := h.Release(b.t.Context())
	must(b.t, err)
	return p, h
}

// end waits for a program.
func (b *bench) end(p port.Process) core.ExitStatus {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	status, err := p.Wait(ctx)
	must(b.t, err)
	return status
}

// run starts a program, waits for it, and returns what it wrote.
func (b *bench) run(spec port.LaunchSpec) (string, core.ExitStatus) {
	b.t.Helper()
	r, w := b.pipe()
	spec.Streams.Output = w
	p, _ := b.launch(spec)
	w.Close()
	out, err := io.ReadAll(r)
	must(b.t, err)
	return string(out), b.end(p)
}

// talking starts a program and returns its first line and what follows.
func (b *bench) talking(spec port.LaunchSpec) (port.Process, port.Held, string, *os.File) {
	b.t.Helper()
	r, w := b.pipe()
	spec.Streams.Output = w
	p, h := b.launch(spec)
	w.Close()
	return p, h, line(b.t, r), r
}

func (b *bench) pipe() (r, w *os.File) {
	b.t.Helper()
	r, w, err := os.Pipe()
	must(b.t, err)
	b.t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// line reads one line, a byte at a time: what follows is somebody else's.
func line(t *testing.T, r io.Reader) string {
	t.Helper()
	var text strings.Builder
	for b := make([]byte, 1); ; {
		if _, err := io.ReadFull(r, b); err != nil {
			t.Fatalf("after %q: %v", text.String(), err)
		}
		if b[0] == '\n' {
			return text.String()
		}
		text.WriteByte(b[0])
	}
}

// parseID reads what ProcessID prints.
func parseID(t *testing.T, text string) (id core.ProcessID) {
	t.Helper()
	if _, err := fmt.Sscanf(text, "%d@%d", &id.PID, &id.Start); err != nil {
		t.Fatalf("%q is no process: %v", text, err)
	}
	return id
}

// patience is how long a case waits for what must come to pass.
const patience = time.Minute

// eventually waits until what is true. Nobody is told when it is.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to pass that %s", what)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
