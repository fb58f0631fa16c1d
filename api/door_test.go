package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kpm/api"
	"kpm/core"
	"kpm/core/door"
	"kpm/core/signal"
	"kpm/launcher"
	"kpm/launcher/refusal"
)

// somebody is a user at the door.
func somebody(uid string) core.Peer {
	return core.Peer{User: core.UserID(uid), Processes: process(50), SameIdentity: true}
}

// elevate is what the launcher does in a test.
type elevate = func(context.Context, launcher.Knock, launcher.Caller, <-chan signal.Signal) launcher.Result

func closeKnock(k launcher.Knock) {
	for _, f := range []*os.File{k.Streams.Input, k.Streams.Output, k.Streams.Error, k.Dir, k.Executable} {
		if f != nil {
			f.Close()
		}
	}
}

// newDoor opens a door behind which f elevates. The knock's files are closed
// for it.
func newDoor(t testing.TB, f elevate, change ...func(*api.Config)) *doorQueue {
	t.Helper()
	q := newDoorQueue()
	change = append(change, func(c *api.Config) {
		c.Elevator = elevator(func(ctx context.Context, k launcher.Knock, c launcher.Caller, s <-chan signal.Signal) launcher.Result {
			defer closeKnock(k)
			return f(ctx, k, c, s)
		})
	})
	p := newPlace(t, change...)
	if err := p.server.ServeDoor(q); err != nil {
		t.Fatal(err)
	}
	return q
}

// belongings are files to send: the working directory, 0 to 2, and a program.
func belongings(t testing.TB) []*os.File {
	t.Helper()
	dir := t.TempDir()
	var files []*os.File
	for i := range 5 {
		f, err := os.Create(filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		files = append(files, f)
	}
	return files
}

var plainRequest = door.Request{Command: "id", Argv: []string{"id", "-u"}, Env: []string{"TERM=dumb"}}

func ok(context.Context, launcher.Knock, launcher.Caller, <-chan signal.Signal) launcher.Result {
	return launcher.Result{Exit: core.ExitStatus{Code: 3}}
}

func TestAKnockIsWhatWasSent(t *testing.T) {
	sent := belongings(t)
	var got launcher.Knock
	var names []string
	q := newDoor(t, func(_ context.Context, k launcher.Knock, _ launcher.Caller, _ <-chan signal.Signal) launcher.Result {
		got = k
		for _, f := range []*os.File{k.Dir, k.Streams.Input, k.Streams.Output, k.Streams.Error, k.Executable} {
			names = append(names, filepath.Base(f.Name()))
		}
		return launcher.Result{Exit: core.ExitStatus{Code: 7, Signal: 9}}
	})
	m := door.Request{
		HasExecutable: true, NonInteractive: true, Command: "/bin/true", TargetUser: "#0",
		Argv: []string{"true", "", "ü"}, Env: []string{"A=b"}, Rows: 24, Columns: 80,
	}
	c := q.knock(t, somebody("1000"), nil)
	c.send(t, door.TypeRequest, m.Encode(), sent...)
	if exit := c.final(t); exit != (door.Exit{Code: 7, Signal: 9}) {
		t.Errorf("final frame %+v", exit)
	}
	if !slices.Equal(names, []string{"0", "1", "2", "3", "4"}) {
		t.Errorf("descriptors arrived as %v", names)
	}
	if got.Peer.User != "1000" || got.Command != m.Command || got.TargetUser != m.TargetUser || !got.NonInteractive ||
		!slices.Equal(got.Argv, m.Argv) || !slices.Equal(got.Env, m.Env) || got.Rows != 24 || got.Columns != 80 {
		t.Errorf("knock %+v", got)
	}
}

func TestARefusalReachesTheCaller(t *testing.T) {
	q := newDoor(t, func(_ context.Context, k launcher.Knock, _ launcher.Caller, _ <-chan signal.Signal) launcher.Result {
		if k.Executable != nil {
			t.Error("a bare name has no descriptor")
		}
		return launcher.Result{Refused: &refusal.Refusal{Code: door.CodeDenied, Message: "policy P says no"}}
	})
	c := q.knock(t, somebody("1000"), nil)
	c.send(t, door.TypeRequest, plainRequest.Encode(), belongings(t)[:4]...)
	if got := c.final(t); got != (door.Refused{Code: door.CodeDenied, Message: "policy P says no"}) {
		t.Errorf("final frame %+v", got)
	}
}

// onlyOurs waits until no descriptor of files is open but their own: every
// copy that travelled has been closed. Finalizers, which would hide a leak, are
// kept from running until then.
func onlyOurs(t *testing.T, files []*os.File) (wait func()) {
	t.Helper()
	percent := debug.SetGCPercent(-1)
	return func() {
		t.Helper()
		defer debug.SetGCPercent(percent)
		eventually(t, func() bool {
			entries, err := os.ReadDir("/proc/self/fd")
			if err != nil {
				t.Fatal(err)
			}
			open := 0
			for _, entry := range entries {
				target, err := os.Readlink("/proc/self/fd/" + entry.Name())
				if err == nil && filepath.Dir(target) == filepath.Dir(files[0].Name()) {
					open++
				}
			}
			return open == len(files)
		})
	}
}

// Whatever is wrong with a request, nobody is asked to elevate, the caller is
// told, and no descriptor that came along stays open.
func TestBadRequests(t *testing.T) {
	q := newDoor(t, func(context.Context, launcher.Knock, launcher.Caller, <-chan signal.Signal) launcher.Result {
		t.Error("a bad request was passed on")
		return launcher.Result{}
	}, func(c *api.Config) { c.Limits.Request = 50 * time.Millisecond })
	files := belongings(t)
	with := func(change func(*door.Request)) []byte {
		m := plainRequest
		change(&m)
		return door.Append(nil, door.TypeRequest, m.Encode())
	}
	asIs := func(*door.Request) {}
	executable := func(m *door.Request) { m.HasExecutable = true }
	whole := with(asIs)
	allClosed := onlyOurs(t, files)
	for _, c := range []struct {
		name  string
		bytes []byte
		files []*os.File
		says  string
	}{
		{"no descriptors", whole, nil, "found 0 descriptors, expected 4"},
		{"one too few", whole, files[:3], "found 3 descriptors, expected 4"},
		{"one too many", whole, files[:5], "found 5 descriptors, expected 4"},
		{"without the program", with(executable), files[:4], "found 4 descriptors, expected 5"},
		{"more than there can be", with(executable), append(files[:5:5], files[0]), "more than 5"},
		{"another frame", door.Append(nil, door.TypeSignal, door.EncodeSignal(signal.Terminate)), files[:4], "type 2, expected a request"},
		{"another version", append([]byte{whole[0], whole[1], whole[2], whole[3], whole[4], 9}, whole[6:]...), files[:4], "same version"},
		{"a frame that is too long", []byte{1, 0xff, 0xff, 0xff, 0xff}, files[:4], "same version"},
		{"half a frame", whole[:len(whole)-1], files[:4], "did not arrive in time"},
		{"half a header", whole[:2], files[:4], "did not arrive in time"},
		{"no command", with(func(m *door.Request) { m.Command = "" }), files[:4], "no command"},
		{"no argv", with(func(m *door.Request) { m.Argv = nil }), files[:4], "no command"},
		{"a NUL", with(func(m *door.Request) { m.Argv = []string{"id", "a\x00b"} }), files[:4], "UTF-8"},
		{"not UTF-8", with(func(m *door.Request) { m.Argv = []string{"id", "\xff"} }), files[:4], "UTF-8"},
		{"a target that is not UTF-8", with(func(m *door.Request) { m.TargetUser = "\xff" }), files[:4], "UTF-8"},
	} {
		conn := q.knock(t, somebody("1000"), nil)
		if err := conn.WriteWithFiles(c.bytes, c.files...); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		refused, isRefused := conn.final(t).(door.Refused)
		if !isRefused || refused.Code != door.CodeBadRequest || !strings.Contains(refused.Message, c.says) {
			t.Errorf("%s: %+v, want %s with %q", c.name, refused, door.CodeBadRequest, c.says)
		}
		conn.Close()
	}
	gone := q.knock(t, somebody("1000"), nil)
	if err := gone.WriteWithFiles(whole[:3], files[:4]...); err != nil {
		t.Error(err)
	}
	gone.Close()
	allClosed()
}

func TestCallersWhoAreNobody(t *testing.T) {
	q := newDoor(t, func(context.Context, launcher.Knock, launcher.Caller, <-chan signal.Signal) launcher.Result {
		t.Error("an unknown caller was let in")
		return launcher.Result{}
	})
	for _, c := range []struct {
		err  error
		code string
	}{
		{fmt.Errorf("peer: %w", core.ErrForeign), door.CodeBadRequest},
		{errors.New("no such process"), door.CodeFailed},
	} {
		conn := q.knock(t, core.Peer{}, c.err)
		if refused, _ := conn.final(t).(door.Refused); refused.Code != c.code {
			t.Errorf("%v: %+v, want %s", c.err, refused, c.code)
		}
	}
}

func TestSignalsAreForwarded(t *testing.T) {
	q := newDoor(t, func(_ context.Context, _ launcher.Knock, c launcher.Caller, signals <-chan signal.Signal) launcher.Result {
		if err := c.Started(); err != nil {
			t.Error(err)
		}
		return launcher.Result{Exit: core.ExitStatus{Code: int(10*<-signals + <-signals)}}
	})
	c := q.knock(t, somebody("1000"), nil)
	c.send(t, door.TypeRequest, plainRequest.Encode(), belongings(t)[:4]...)
	if kind, _, files := c.receive(t); kind != door.TypeStarted || files != nil {
		t.Fatalf("frame %d with %d descriptors, want Started alone", kind, len(files))
	}
	c.send(t, door.TypeSignal, door.EncodeSignal(signal.Terminate))
	c.send(t, door.TypeSignal, door.EncodeSignal(signal.Interrupt))
	if exit := c.final(t); exit != (door.Exit{Code: 42}) {
		t.Errorf("%+v", exit)
	}
}

// A flood of signals fills a buffer and no more: the end of the caller is still
// noticed.
func TestASignalFloodDoesNotHideTheEnd(t *testing.T) {
	gone := make(chan error, 1)
	q := newDoor(t, func(ctx context.Context, _ launcher.Knock, _ launcher.Caller, _ <-chan signal.Signal) launcher.Result {
		<-ctx.Done()
		gone <- context.Cause(ctx)
		return launcher.Result{}
	})
	c := q.knock(t, somebody("1000"), nil)
	c.send(t, door.TypeRequest, plainRequest.Encode(), belongings(t)[:4]...)
	for range 1000 {
		c.send(t, door.TypeSignal, door.EncodeSignal(signal.Interrupt))
	}
	c.Close()
	if err := <-gone; !strings.Contains(err.Error(), "the caller is gone") {
		t.Errorf("ended by %v", err)
	}
}

func TestTheTerminalIsHandedOver(t *testing.T) {
	master := belongings(t)[0]
	q := newDoor(t, func(_ context.Context, _ launcher.Knock, c launcher.Caller, _ <-chan signal.Signal) launcher.Result {
		if err := c.Started(master); err != nil {
			t.Error(err)
		}
		return launcher.Result{}
	})
	c := q.knock(t, somebody("1000"), nil)
	c.send(t, door.TypeRequest, plainRequest.Encode(), belongings(t)[:4]...)
	kind, _, files := c.receive(t)
	if kind != door.TypeStarted || len(files) != 1 || files[0].Name() != master.Name() {
		t.Fatalf("frame %d with %v, want Started with the master", kind, files)
	}
	files[0].Close()
	c.final(t)
}

func TestPrompts(t *testing.T) {
	type outcome struct {
		text string
		err  error
	}
	outcomes := make(chan outcome)
	ask := make(chan time.Duration)
	q := newDoor(t, func(ctx context.Context, _ launcher.Knock, c launcher.Caller, _ <-chan signal.Signal) launcher.Result {
		for timeout := range ask {
			text, err := c.Prompt(ctx, "Why\x1b[2J? ", timeout)
			outcomes <- outcome{text, err}
		}
		return launcher.Result{}
	})
	c := q.knock(t, somebody("1000"), nil)
	c.send(t, door.TypeRequest, plainRequest.Encode(), belongings(t)[:4]...)
	prompted := func(timeout time.Duration) {
		t.Helper()
		ask <- timeout
		kind, body, _ := c.receive(t)
		prompt, err := door.DecodePrompt(body)
		if want := (door.Prompt{Text: "Why\uFFFD[2J? ", TimeoutSeconds: uint32(timeout / time.Second)}); err != nil || kind != door.TypePrompt || prompt != want {
			t.Fatalf("frame %d %+v (%v), want %+v", kind, prompt, err, want)
		}
	}
	answer := func(a door.Answer) { c.send(t, door.TypeAnswer, a.Encode()) }

	prompted(120 * time.Second)
	answer(door.Answer{Text: "because"})
	if got := <-outcomes; got.text != "because" || got.err != nil {
		t.Errorf("answered: %q, %v", got.text, got.err)
	}
	prompted(120 * time.Second)
	answer(door.Answer{Cancelled: true})
	if got := <-outcomes; !errors.Is(got.err, core.ErrCancelled) {
		t.Errorf("cancelled: %q, %v", got.text, got.err)
	}
	prompted(0)
	if got := <-outcomes; !errors.Is(got.err, context.DeadlineExceeded) {
		t.Errorf("unanswered: %q, %v", got.text, got.err)
	}
	// The reply to the prompt that timed out arrives during the next one, and
	// must not be taken for its answer.
	prompted(120 * time.Second)
	answer(door.Answer{Text: "late"})
	answer(door.Answer{Text: "in time"})
	if got := <-outcomes; got.text != "in time" {
		t.Errorf("after a late reply: %q, %v", got.text, got.err)
	}
	// The caller goes away instead of answering.
	prompted(120 * time.Second)
	c.Close()
	if got := <-outcomes; got.err == nil || !strings.Contains(got.err.Error(), "the caller is gone") {
		t.Errorf("gone: %q, %v", got.text, got.err)
	}
	close(ask)
}

// Whoever breaks the rules after the request is taken for gone.
func TestRulesAfterTheRequest(t *testing.T) {
	causes := make(chan error)
	q := newDoor(t, func(ctx context.Context, _ launcher.Knock, _ launcher.Caller, _ <-chan signal.Signal) launcher.Result {
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return launcher.Result{Refused: &refusal.Refusal{Code: door.CodeFailed, Message: "gone"}}
	})
	files := belongings(t)
	allClosed := onlyOurs(t, files)
	for name, act := range map[string]func(c *doorPipe){
		"hangs up":               func(c *doorPipe) { c.Close() },
		"sends a frame of ours":  func(c *doorPipe) { c.send(t, door.TypeExit, door.Exit{}.Encode()) },
		"sends an unknown frame": func(c *doorPipe) { c.send(t, 99, nil) },
		"asks twice":             func(c *doorPipe) { c.send(t, door.TypeRequest, plainRequest.Encode()) },
		"forwards KILL":          func(c *doorPipe) { c.send(t, door.TypeSignal, door.EncodeSignal(signal.Kill)) },
		"forwards STOP":          func(c *doorPipe) { c.send(t, door.TypeSignal, door.EncodeSignal(signal.Stop)) },
		"forwards nothing known": func(c *doorPipe) { c.send(t, door.TypeSignal, door.EncodeSignal(255)) },
		"forwards a long number": func(c *doorPipe) { c.send(t, door.TypeSignal, []byte{0, 0, 0, 1}) },
		"answers no question":    func(c *doorPipe) { c.send(t, door.TypeAnswer, door.Answer{}.Encode()) },
		"sends a huge frame":     func(c *doorPipe) { c.WriteWithFiles([]byte{2, 0xff, 0xff, 0xff, 0xff}) },
		"sends another file":     func(c *doorPipe) { c.WriteWithFiles([]byte{2}, files[0]) },
		"sends a file and a word": func(c *doorPipe) {
			c.WriteWithFiles(door.Append(nil, door.TypeSignal, door.EncodeSignal(signal.Terminate)), files[0])
		},
	} {
		c := q.knock(t, somebody("1000"), nil)
		c.send(t, door.TypeRequest, plainRequest.Encode(), files[:4]...)
		act(c)
		if cause := <-causes; !strings.Contains(cause.Error(), "the caller is gone") {
			t.Errorf("%s: ended by %v", name, cause)
		}
		if name != "hangs up" {
			if refused, _ := c.final(t).(door.Refused); refused.Code != door.CodeFailed {
				t.Errorf("%s: %+v, want the one final frame", name, refused)
			}
		}
		c.Close()
	}
	allClosed()
}

// The service never waits for a caller who does not read.
func TestACallerWhoDoesNotRead(t *testing.T) {
	outcome := make(chan error)
	q := newDoor(t, func(ctx context.Context, _ launcher.Knock, c launcher.Caller, _ <-chan signal.Signal) launcher.Result {
		_, err := c.Prompt(ctx, "Why?", time.Hour)
		outcome <- err
		<-ctx.Done() // the caller counts as gone
		outcome <- context.Cause(ctx)
		return launcher.Result{}
	}, func(c *api.Config) { c.Limits.Write = 10 * time.Millisecond })
	c := q.knock(t, somebody("1000"), nil)
	c.in.fill()
	c.send(t, door.TypeRequest, plainRequest.Encode(), belongings(t)[:4]...)
	for range 2 {
		if err := <-outcome; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v, want a deadline exceeded", err)
		}
	}
	// It hears nothing more, and the door is free for the next.
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read: %v, want io.EOF", err)
	}
}

func TestOneUserCannotFillTheDoor(t *testing.T) {
	inside, leave := make(chan bool), make(chan bool)
	q := newDoor(t, func(context.Context, launcher.Knock, launcher.Caller, <-chan signal.Signal) launcher.Result {
		select {
		case inside <- true:
			<-leave
		case <-leave:
		}
		return launcher.Result{}
	}, func(c *api.Config) { c.Limits.Callers, c.Limits.CallersPerUser = 3, 2 })
	files := belongings(t)[:4]
	open := sync.OnceFunc(func() { close(leave) })
	var callers sync.WaitGroup
	defer callers.Wait()
	defer open()
	enter := func(uid string) {
		t.Helper()
		eventually(t, func() bool { // who has just been refused may not have left
			c := q.knock(t, somebody(uid), nil)
			_ = c.WriteWithFiles(door.Append(nil, door.TypeRequest, plainRequest.Encode()), files...)
			final := make(chan any, 1)
			callers.Go(func() { final <- c.final(t) })
			select {
			case <-inside:
				return true
			case <-final:
				return false
			}
		})
	}
	refused := func(uid string) {
		t.Helper()
		c := q.knock(t, somebody(uid), nil)
		if got, _ := c.final(t).(door.Refused); got.Code != door.CodeUnavailable {
			t.Errorf("user %s: %+v, want %s", uid, got, door.CodeUnavailable)
		}
	}
	enter("1000")
	enter("1000")
	refused("1000")
	enter("1001")
	refused("1002") // three are inside
	open()
	// Places are given back.
	eventually(t, func() bool {
		c := q.knock(t, somebody("1002"), nil)
		_ = c.WriteWithFiles(door.Append(nil, door.TypeRequest, plainRequest.Encode()), files...) // it may be refused already
		return c.final(t) == door.Exit{}
	})
}

func TestTheDoorSurvivesAcceptErrors(t *testing.T) {
	q := newDoor(t, ok)
	for range 3 {
		q.errs <- errors.New("too many open files")
	}
	c := q.knock(t, somebody("1000"), nil)
	c.send(t, door.TypeRequest, plainRequest.Encode(), belongings(t)[:4]...)
	if exit := c.final(t); exit != (door.Exit{Code: 3}) {
		t.Errorf("%+v", exit)
	}
}

func TestClosingTheDoor(t *testing.T) {
	inside := make(chan bool)
	q := newDoorQueue()
	p := newPlace(t, func(c *api.Config) {
		c.Elevator = elevator(func(ctx context.Context, k launcher.Knock, _ launcher.Caller, _ <-chan signal.Signal) launcher.Result {
			defer closeKnock(k)
			inside <- true
			<-ctx.Done()
			return launcher.Result{Refused: &refusal.Refusal{Code: door.CodeUnavailable, Message: context.Cause(ctx).Error()}}
		})
	})
	if err := p.server.ServeDoor(q); err != nil {
		t.Fatal(err)
	}
	c := q.knock(t, somebody("1000"), nil)
	c.send(t, door.TypeRequest, plainRequest.Encode(), belongings(t)[:4]...)
	<-inside
	ctx, patience := context.WithCancel(context.Background())
	closed := make(chan error)
	go func() { closed <- p.server.Close(ctx) }()
	<-q.done // nobody else comes in
	select {
	case <-closed:
		t.Fatal("closed while a caller is inside")
	default:
	}
	patience()
	if got := c.final(t); got != (door.Refused{Code: door.CodeUnavailable, Message: "the service stops"}) {
		t.Errorf("%+v", got)
	}
	<-closed
	if err := p.server.ServeDoor(newDoorQueue()); err == nil {
		t.Error("a closed server opens a door")
	}
}

// A caller whose descriptors cannot even be closed does not keep the service
// from stopping.
func TestClosingTheDoorOnACallerWhoCannotGo(t *testing.T) {
	inside, hung := make(chan bool), make(chan struct{})
	q := newDoorQueue()
	p := newPlace(t, func(c *api.Config) {
		c.Elevator = elevator(func(_ context.Context, k launcher.Knock, _ launcher.Caller, _ <-chan signal.Signal) launcher.Result {
			defer closeKnock(k)
			inside <- true
			<-hung
			return launcher.Result{Refused: &refusal.Refusal{Code: door.CodeFailed}}
		})
	})
	if err := p.server.ServeDoor(q); err != nil {
		t.Fatal(err)
	}
	c := q.knock(t, somebody("1000"), nil)
	c.send(t, door.TypeRequest, plainRequest.Encode(), belongings(t)[:4]...)
	<-inside
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	closed := make(chan error, 1)
	go func() { closed <- p.server.Close(ctx) }()
	select {
	case <-closed:
	case <-time.After(20 * time.Second):
		t.Error("the service waits for a caller")
	}
	close(hung)
	c.final(t)
}

// No bytes, however they are cut and whatever comes with them, hang the door,
// leave a goroutine (TestMain) or a descriptor behind.
func TestRandomFrames(t *testing.T) {
	q := newDoor(t, func(ctx context.Context, _ launcher.Knock, c launcher.Caller, signals <-chan signal.Signal) launcher.Result {
		select {
		case <-signals:
			c.Prompt(ctx, "?", time.Millisecond)
		case <-ctx.Done():
		}
		return launcher.Result{}
	}, func(c *api.Config) { c.Limits.Request, c.Limits.Write = 20*time.Millisecond, 20*time.Millisecond })
	files := belongings(t)
	allClosed := onlyOurs(t, files)
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 0))
		caller := q.knock(t, somebody("1000"), nil)
		var stream []byte
		if r.IntN(3) > 0 {
			stream = door.Append(nil, door.TypeRequest, plainRequest.Encode())
		}
		for range r.IntN(4) {
			body := make([]byte, r.IntN(40))
			for i := range body {
				body[i] = byte(r.IntN(4))
			}
			stream = door.Append(stream, door.Type(r.IntN(9)), body)
		}
		if r.IntN(4) == 0 && len(stream) > 0 {
			stream[r.IntN(len(stream))] ^= byte(1 + r.IntN(255))
		}
		sent := files[:r.IntN(6)]
		if r.IntN(2) == 0 {
			sent = files[:4]
		}
		var reader sync.WaitGroup
		if r.IntN(8) == 0 {
			caller.in.fill()
		} else {
			reader.Go(func() { io.Copy(io.Discard, caller) })
		}
		for len(stream) > 0 {
			n := 1 + r.IntN(len(stream))
			if caller.WriteWithFiles(stream[:n], sent...) != nil {
				break
			}
			stream, sent = stream[n:], nil
		}
		caller.Close()
		reader.Wait()
	}
	allClosed()
}

func BenchmarkKnock(b *testing.B) {
	q := newDoor(b, ok, func(c *api.Config) { c.Limits.Callers, c.Limits.CallersPerUser = 1<<20, 1<<20 })
	files := belongings(b)[:4]
	frame := door.Append(nil, door.TypeRequest, plainRequest.Encode())
	for b.Loop() {
		caller, service := newDoorPipe(somebody("1000"), nil)
		q.callers <- service
		if err := caller.WriteWithFiles(frame, files...); err != nil {
			b.Fatal(err)
		}
		if exit := caller.final(b); exit != (door.Exit{Code: 3}) {
			b.Fatal(exit)
		}
		caller.Close()
	}
}
