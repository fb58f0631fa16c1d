//go:build linux

package caller

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"kpm/api/client/sudo"
	"kpm/core"
	"kpm/core/door"
	"kpm/platform/linux"
	outer "kpm/vmtests/terminal"
)

const (
	version = "1.2.3"
	rootVar = "KEEPER_AGENT_ROOT"

	garbled = "the service said something unreadable; keepersudo and service must be of the same version"
)

// TestMain lets this binary be keepersudo, and the shell that starts one in the
// background.
func TestMain(m *testing.M) {
	switch os.Args[0] {
	case "keepersudo":
		os.Exit(sudo.Main(os.Args[1:], version, New()))
	case "shell":
		shell()
	case "pair":
		both()
	}
	outer.DefaultSignals()
	goleak.VerifyTestMain(m)
}

// shell is a session leader that starts keepersudo as a background job, and
// brings it to the foreground when told.
func shell() {
	job := exec.Command(program())
	job.Args = append([]string{"keepersudo"}, os.Args[1:]...)
	job.Stdin, job.Stdout, job.Stderr = os.Stdin, os.Stdout, os.Stderr
	job.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if job.Start() != nil {
		os.Exit(99)
	}
	told := os.NewFile(3, "told")
	told.Read(make([]byte, 1))
	unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, job.Process.Pid)
	job.Wait()
	os.Exit(job.ProcessState.ExitCode())
}

// both starts two keepersudo in its own job, one after the other.
func both() {
	var jobs []*exec.Cmd
	for range 2 {
		job := exec.Command(program())
		job.Args = append([]string{"keepersudo"}, os.Args[1:]...)
		job.Stdin, job.Stdout, job.Stderr = os.Stdin, os.Stdout, os.Stderr
		if job.Start() != nil {
			os.Exit(99)
		}
		jobs = append(jobs, job)
	}
	for _, job := range jobs {
		job.Wait()
	}
	os.Exit(0)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until what is true.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to pass that %s", what)
		}
	}
}

// agent is an agent root with a door at which the test stands.
type agent struct {
	root string
	door *net.UnixListener
}

func newAgent(t testing.TB) *agent {
	t.Helper()
	root, err := os.MkdirTemp("/opt", "kpm-test-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(root) })
	must(t, os.Chmod(root, 0o755))
	must(t, os.Mkdir(filepath.Join(root, "run"), 0o755))
	path := filepath.Join(root, doorPath)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	must(t, err)
	t.Cleanup(func() { l.Close() })
	must(t, os.Chmod(path, 0o666))
	return &agent{root, l}
}

// shut takes the door away, as a service that stops does, and open brings it
// back.
func (a *agent) shut(t testing.TB) {
	t.Helper()
	must(t, a.door.Close())
}

func (a *agent) open(t testing.TB) {
	t.Helper()
	path := filepath.Join(a.root, doorPath)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	must(t, err)
	t.Cleanup(func() { l.Close() })
	must(t, os.Chmod(path, 0o666))
	a.door = l
}

// visitor is one keepersudo at the door.
type visitor struct {
	t       testing.TB
	conn    *net.UnixConn
	request door.Request
	files   []*os.File
}

// accept waits for the next visitor and its request.
func (a *agent) accept(t testing.TB) *visitor {
	t.Helper()
	must(t, a.door.SetDeadline(time.Now().Add(20*time.Second)))
	conn, err := a.door.AcceptUnix()
	must(t, err)
	v := &visitor{t: t, conn: conn}
	t.Cleanup(func() { conn.Close() })
	kind, body := v.next()
	if kind != door.TypeRequest {
		t.Fatalf("first frame is %d", kind)
	}
	v.request, err = door.DecodeRequest(body)
	must(t, err)
	return v
}

// Read implements io.Reader and keeps descriptors.
func (v *visitor) Read(p []byte) (int, error) {
	oob := make([]byte, 128)
	n, oobn, _, _, err := v.conn.ReadMsgUnix(p, oob)
	if messages, _ := unix.ParseSocketControlMessage(oob[:oobn]); len(messages) == 1 {
		fds, _ := unix.ParseUnixRights(&messages[0])
		for _, fd := range fds {
			f := os.NewFile(uintptr(fd), "received")
			v.t.Cleanup(func() { f.Close() })
			v.files = append(v.files, f)
		}
	}
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

func (v *visitor) next() (door.Type, []byte) {
	v.t.Helper()
	must(v.t, v.conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	kind, body, err := door.Read(v)
	must(v.t, err)
	return kind, body
}

// gone waits until the visitor has left.
func (v *visitor) gone() {
	v.t.Helper()
	must(v.t, v.conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	if kind, _, err := door.Read(v); !errors.Is(err, io.EOF) && !errors.Is(err, unix.ECONNRESET) {
		v.t.Fatalf("frame %d, %v; want end of file", kind, err)
	}
}

func (v *visitor) refuse(code, message string) {
	v.send(door.TypeRefused, door.Refused{Code: code, Message: message}.Encode())
}

func (v *visitor) send(kind door.Type, body []byte, files ...*os.File) {
	v.t.Helper()
	if kind != door.TypePrompt && kind != door.TypeTerminal && kind != door.TypeStarted {
		v.letGo()
	}
	var oob []byte
	for _, f := range files {
		oob = append(oob, unix.UnixRights(int(f.Fd()))...)
	}
	_, _, err := v.conn.WriteMsgUnix(door.Append(nil, kind, body), oob, nil)
	must(v.t, err)
}

// letGo closes what the visitor brought: somebody may wait for its end.
func (v *visitor) letGo() {
	for _, f := range v.files {
		f.Close()
	}
}

func (v *visitor) exit(code uint32) { v.send(door.TypeExit, door.Exit{Code: code}.Encode()) }

// answer returns the answer to a prompt.
func (v *visitor) answer() door.Answer {
	v.t.Helper()
	kind, body := v.next()
	if kind != door.TypeAnswer {
		v.t.Fatalf("frame %d, want an answer", kind)
	}
	a, err := door.DecodeAnswer(body)
	must(v.t, err)
	return a
}

func (v *visitor) signal() unix.Signal {
	v.t.Helper()
	kind, body := v.next()
	if kind != door.TypeSignal {
		v.t.Fatalf("frame %d, want a signal", kind)
	}
	sig, err := door.DecodeSignal(body)
	must(v.t, err)
	return number(sig.Signal)
}

// awaits reads until sig is forwarded; SIGCONT may be left from heard.
func (v *visitor) awaits(sig unix.Signal) {
	v.t.Helper()
	got := v.signal()
	for got == unix.SIGCONT {
		got = v.signal()
	}
	if got != sig {
		v.t.Errorf("sent %v, forwarded %v", sig, got)
	}
}

// heard sends SIGCONT, which harms nobody, until it is forwarded: from then on
// all signals are.
func (v *visitor) heard(s *called) {
	v.t.Helper()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for tick := time.NewTicker(2 * time.Millisecond); ; {
			select {
			case <-tick.C:
				s.Process.Signal(unix.SIGCONT)
			case <-stop:
				tick.Stop()
				return
			}
		}
	}()
	if sig := v.signal(); sig != unix.SIGCONT {
		v.t.Fatalf("forwarded %v", sig)
	}
}

// started gives the visitor a command with a terminal, whose side is returned.
func (v *visitor) started() *os.File {
	v.t.Helper()
	master, slave := pair(v.t, "0", v.request.Rows, v.request.Columns)
	v.t.Cleanup(func() { slave.Close() })
	v.send(door.TypeTerminal, nil, master)
	v.send(door.TypeStarted, nil)
	must(v.t, master.Close())
	return slave
}

// pair makes a terminal of user's and returns both ends.
func pair(t testing.TB, user core.UserID, rows, columns uint16) (master, slave *os.File) {
	t.Helper()
	made, err := linux.Terminals{}.Open(core.Identity{Account: core.Account{User: user}})
	must(t, err)
	must(t, made.Resize(rows, columns))
	must(t, made.HandOver(func(files ...*os.File) error {
		fd, err := unix.FcntlInt(files[0].Fd(), unix.F_DUPFD_CLOEXEC, 0)
		must(t, err)
		other, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
		if errno != 0 {
			t.Fatal(errno)
		}
		master, slave = os.NewFile(uintptr(fd), "master"), os.NewFile(uintptr(other), "slave")
		return nil
	}))
	return master, slave
}

// called is keepersudo, run by user 4242.
type called struct {
	*exec.Cmd
	t      testing.TB
	stdout bytes.Buffer
	stderr bytes.Buffer
}

func (a *agent) command(t testing.TB, args ...string) *called {
	t.Helper()
	s := &called{t: t, Cmd: exec.CommandContext(t.Context(), program())}
	s.Args = append([]string{"keepersudo"}, args...)
	s.Env = []string{rootVar + "=" + a.root, "TERM=dumb", "LC_ALL=C.UTF-8", "SECRET=1", "PYTHONPATH=/evil", "GORACE=atexit_sleep_ms=0"}
	s.Dir = "/usr"
	s.Stdout, s.Stderr = &s.stdout, &s.stderr
	s.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: &syscall.Credential{Uid: 4242, Gid: 4242}}
	return s
}

// startedBy has this binary start it, as what TestMain knows by that name.
func (s *called) startedBy(name string) {
	s.Path, s.Args[0] = "/proc/self/exe", name
	s.Env = append(s.Env, programVar+"="+os.Getenv(programVar))
}

// at puts keepersudo into w, in the foreground.
func (s *called) at(w *window) *called {
	s.Stdin, s.Stdout, s.Stderr = w.slave, w.slave, w.slave
	s.SysProcAttr.Setctty, s.SysProcAttr.Ctty = true, 0
	return s
}

func (s *called) begin() *called {
	s.t.Helper()
	must(s.t, s.Start())
	return s
}

// status waits for the end.
func (s *called) status() int {
	s.t.Helper()
	s.Wait()
	if status := s.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
		return -int(status.Signal())
	}
	return s.ProcessState.ExitCode()
}

func (s *called) want(status int) {
	s.t.Helper()
	if got := s.status(); got != status {
		s.t.Errorf("status %d, want %d; %s", got, status, &s.stderr)
	}
}
