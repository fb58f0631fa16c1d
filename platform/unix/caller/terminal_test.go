//go:build linux

package caller

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core/door"
)

func itoa(n int) string { return strconv.Itoa(n) }

// makeRaw does to the command's side what an editor does.
func makeRaw(t testing.TB, f *os.File) {
	t.Helper()
	must(t, unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, raw(*modes(t, f))))
}

func setSize(t testing.TB, f *os.File, rows, columns uint16) {
	t.Helper()
	must(t, unix.IoctlSetWinsize(int(f.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}))
}

func size(t testing.TB, f *os.File) [2]uint16 {
	t.Helper()
	s, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	must(t, err)
	return [2]uint16{s.Row, s.Col}
}

// read reads exactly n bytes that the command was sent.
func read(t testing.TB, f *os.File, n int) string {
	t.Helper()
	b := make([]byte, n)
	_, err := io.ReadFull(f, b)
	must(t, err)
	return string(b)
}

func TestTerminal(t *testing.T) {
	a, w := newAgent(t), newWindow(t)
	before := *w.modes()
	s := a.command(t, "vi").at(w).begin()
	v := a.accept(t)
	if v.request.Rows != 30 || v.request.Columns != 90 {
		t.Errorf("size %dx%d", v.request.Rows, v.request.Columns)
	}
	setSize(t, w.slave, 31, 91) // while policy decides
	command := v.started()
	w.untilRaw(true)
	eventually(t, "the size is right", func() bool { return size(t, command) == [2]uint16{31, 91} })
	setSize(t, w.slave, 50, 132)
	eventually(t, "the size has followed", func() bool { return size(t, command) == [2]uint16{50, 132} })

	makeRaw(t, command)
	keys := "a\r\n\x03\x1c\x1a\x04\x00\x13\x11\x7f\xc3\xa9\x1b[A"
	w.press(keys)
	if got := read(t, command, len(keys)); got != keys {
		t.Errorf("typed %q, arrived %q", keys, got)
	}
	_, err := command.WriteString("one\n\x1b[31mtwo\xff")
	must(t, err)
	w.see("one\n\x1b[31mtwo\xff")
	must(t, command.Close())
	v.exit(5)
	s.want(5)
	if after := *w.modes(); after != before {
		t.Errorf("settings before %+v, after %+v", before, after)
	}
}

// On every way out the terminal is as it was.
func TestTerminalIsRestored(t *testing.T) {
	for name, end := range map[string]func(v *visitor){
		"exit":      func(v *visitor) { v.exit(0) },
		"refusal":   func(v *visitor) { v.send(door.TypeRefused, door.Refused{Code: door.CodeFailed}.Encode()) },
		"nonsense":  func(v *visitor) { v.send(77, nil) },
		"half exit": func(v *visitor) { v.send(door.TypeExit, []byte{1, 2}) },
	} {
		t.Run(name, func(t *testing.T) {
			a, w := newAgent(t), newWindow(t)
			before := *w.modes()
			s := a.command(t, "id").at(w).begin()
			v := a.accept(t)
			command := v.started()
			w.untilRaw(true)
			must(t, command.Close())
			end(v)
			s.status()
			if after := *w.modes(); after != before {
				t.Errorf("settings before %+v, after %+v", before, after)
			}
		})
	}
}

// Output that the command left when it ended is written before keepersudo
// ends, also by a slow window.
func TestOutputIsDrained(t *testing.T) {
	a, w := newAgent(t), newWindow(t)
	s := a.command(t, "seq").at(w).begin()
	v := a.accept(t)
	command := v.started()
	makeRaw(t, command)
	line := strings.Repeat("0123456789abcdef", 64)
	const lines = 10 << 10
	for i := range lines {
		_, err := command.WriteString(line)
		must(t, err)
		if i == lines-1 {
			v.exit(0) // the last of it is on its way
		}
	}
	must(t, command.Close())
	s.want(0)
	eventually(t, "all has been shown", func() bool { return len(w.text()) >= lines*len(line) })
	if text := w.text(); text != strings.Repeat(line, lines) {
		t.Errorf("%d bytes shown, %d written", len(text), lines*len(line))
	}
}

// A daemon that keeps the command's terminal does not keep keepersudo.
func TestTerminalThatStaysOpen(t *testing.T) {
	a, w := newAgent(t), newWindow(t)
	s := a.command(t, "daemon").at(w).begin()
	v := a.accept(t)
	command := v.started()
	_, err := command.WriteString("last words")
	must(t, err)
	v.exit(0)
	s.want(0)
	w.see("last words")
}

// Attack, or bad luck: much is pasted while much is printed.
func TestPasteAndOutputAtOnce(t *testing.T) {
	a, w := newAgent(t), newWindow(t)
	s := a.command(t, "cat").at(w).begin()
	v := a.accept(t)
	command := v.started()
	w.untilRaw(true)
	makeRaw(t, command)
	const n = 1 << 20
	done := make(chan error, 1)
	go func() {
		_, err := command.Write(bytes.Repeat([]byte("o"), n))
		done <- err
	}()
	go w.master.Write(bytes.Repeat([]byte("i"), n))
	if got := read(t, command, n); got != strings.Repeat("i", n) {
		t.Error("the paste was changed")
	}
	must(t, <-done)
	must(t, command.Close())
	v.exit(0)
	s.want(0)
	eventually(t, "all has been shown", func() bool { return w.text() == strings.Repeat("o", n) })
}

func TestSignalsAtATerminal(t *testing.T) {
	a, w := newAgent(t), newWindow(t)
	s := a.command(t, "id").at(w).begin()
	v := a.accept(t)
	command, helper := v.watched()
	w.untilRaw(true)
	must(t, s.Process.Signal(unix.SIGTERM))
	if got := v.signal(); got != unix.SIGTERM {
		t.Errorf("forwarded %v", got)
	}
	// To stop is the command's affair first. Nobody could let this session's
	// leader go on, so it goes on by itself.
	must(t, s.Process.Signal(unix.SIGTSTP))
	if got := v.asked(helper); got != "z" {
		t.Errorf("asked for %q", got)
	}
	v.saysStopped(helper, unix.SIGTSTP)
	if got := v.asked(helper); got != "f" {
		t.Errorf("asked for %q", got)
	}
	w.untilRaw(true)
	// One that was told to stop waits for SIGCONT, and the terminal is as it was.
	v.saysStopped(helper, unix.SIGSTOP)
	w.untilRaw(false)
	var sent time.Time // one that comes in the moment in which it stops is lost (stopper.halt)
	eventually(t, "it goes on", func() bool {
		if time.Since(sent) > 100*time.Millisecond {
			sent = time.Now()
			must(t, s.Process.Signal(unix.SIGCONT))
		}
		return w.isRaw()
	})
	if got := v.asked(helper); got != "f" {
		t.Errorf("asked for %q", got)
	}
	// A shell that stops us the hard way leaves the terminal as it likes.
	must(t, s.Process.Signal(unix.SIGSTOP))
	eventually(t, "it has stopped", func() bool { return state(t, s.Process.Pid) == "T" })
	cooked := *w.modes()
	cooked.Lflag |= unix.ICANON | unix.ECHO | unix.ISIG
	must(t, unix.IoctlSetTermios(int(w.slave.Fd()), unix.TCSETS, &cooked))
	setSize(t, w.slave, 44, 144)
	must(t, s.Process.Signal(unix.SIGCONT))
	w.untilRaw(true)
	if got := v.asked(helper); got != "f" {
		t.Errorf("asked for %q", got)
	}
	eventually(t, "the size has followed", func() bool { return size(t, command) == [2]uint16{44, 144} })
	must(t, command.Close())
	v.exit(0)
	s.want(0)
	w.untilRaw(false)
}

func state(t testing.TB, pid int) string {
	t.Helper()
	stat, err := os.ReadFile("/proc/" + itoa(pid) + "/stat")
	must(t, err)
	_, after, _ := strings.Cut(string(stat), ") ")
	return after[:1]
}

// While policy decides, Ctrl-C means keepersudo, and a shell sees that it did.
func TestInterruptedBeforeTheCommandRuns(t *testing.T) {
	a, w := newAgent(t), newWindow(t)
	before := *w.modes()
	s := a.command(t, "id").at(w).begin()
	v := a.accept(t)
	v.heard(s)
	w.press("\x03")
	v.awaits(unix.SIGINT)
	v.refuse(door.CodeDenied, "interrupted")
	s.want(-int(unix.SIGINT))
	if after := *w.modes(); after != before {
		t.Errorf("settings before %+v, after %+v", before, after)
	}
}

func TestWindowIsClosed(t *testing.T) {
	a, w := newAgent(t), newWindow(t)
	s := a.command(t, "id").at(w).begin()
	v := a.accept(t)
	v.started()
	w.untilRaw(true)
	must(t, w.master.Close())
	for {
		if _, _, err := door.Read(v); err != nil {
			break // it may have passed the hang-up on before it left
		}
	}
	v.letGo()
	s.want(128 + int(unix.SIGHUP))
}

// keepersudo cmd | less: the pager wants the keys.
func TestPipeline(t *testing.T) {
	a, w := newAgent(t), newWindow(t)
	r, p, err := os.Pipe()
	must(t, err)
	defer r.Close()
	s := a.command(t, "make-pages").at(w)
	s.Stdout = p
	s.begin()
	p.Close()
	v := a.accept(t)
	command := v.started()

	// Lines are for the command, echoed once and delivered whole.
	eventually(t, "the command does not echo", func() bool { return modes(t, command).Lflag&unix.ECHO == 0 })
	w.press("yes\n")
	if got := read(t, command, 4); got != "yes\n" {
		t.Errorf("arrived %q", got)
	}
	_, err = command.WriteString("prompt?\n")
	must(t, err)
	w.see("yes\r\nprompt?\r\n")
	if w.isRaw() {
		t.Error("the terminal is raw")
	}

	// The pager takes the terminal; its keys stay there.
	makeRaw(t, w.slave)
	w.press("q")
	time.Sleep(2 * lookAgain * time.Millisecond) // for a thief to take it
	if got := read(t, w.slave, 1); got != "q" {
		t.Errorf("the pager got %q", got)
	}
	// And gives it back.
	cooked := *w.modes()
	cooked.Lflag |= unix.ICANON | unix.ECHO | unix.ISIG
	cooked.Iflag |= unix.ICRNL
	must(t, unix.IoctlSetTermios(int(w.slave.Fd()), unix.TCSETS, &cooked))
	w.press("no\r")
	if got := read(t, command, 3); got != "no\n" {
		t.Errorf("arrived %q", got)
	}
	// End of file, alone and behind half a line.
	w.press("half\x04")
	if got := read(t, command, 4); got != "half" {
		t.Errorf("arrived %q", got)
	}
	w.press("\x04")
	if n, err := command.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("end of file arrived as %d, %v", n, err)
	}
	// Ctrl-C is a signal, as for the rest of the pipeline.
	w.press("\x03")
	if got := v.signal(); got != unix.SIGINT {
		t.Errorf("forwarded %v", got)
	}
	_, err = v.files[2].WriteString("page\n")
	must(t, err)
	must(t, v.files[2].Close())
	must(t, command.Close())
	v.exit(0)
	s.want(0)
	if page, _ := io.ReadAll(r); string(page) != "page\n" {
		t.Errorf("the pager got %q", page)
	}
}

func TestBackgroundJob(t *testing.T) {
	a, w := newAgent(t), newWindow(t)
	r, p, err := os.Pipe()
	must(t, err)
	defer p.Close()
	s := a.command(t, "id").at(w)
	s.startedBy("shell")
	s.ExtraFiles = []*os.File{r}
	s.begin()
	r.Close()
	v := a.accept(t)
	command := v.started()
	makeRaw(t, command)
	_, err = command.WriteString("output flows")
	must(t, err)
	w.see("output flows")
	w.press("ls\n")
	time.Sleep(2 * lookAgain * time.Millisecond)
	if w.isRaw() {
		t.Error("a background job took the terminal")
	}
	if got := read(t, w.slave, 3); got != "ls\n" {
		t.Errorf("the shell reads %q", got)
	}
	_, err = p.Write([]byte{1}) // fg
	must(t, err)
	w.untilRaw(true)
	w.press("x")
	if got := read(t, command, 1); got != "x" {
		t.Errorf("arrived %q", got)
	}
	must(t, command.Close())
	v.exit(4)
	s.want(4)
	w.untilRaw(false)
}

func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", dir+"/keepersudo", "kpm/cmd/keepersudo")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatal(string(out))
	}
	for name, args := range map[string][]string{"keepersudo": {dir + "/keepersudo", "--version"}, "true": {"/bin/true"}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				must(b, exec.Command(args[0], args[1:]...).Run())
			}
		})
	}
}
