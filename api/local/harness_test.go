package local_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kpm/api/local"
	"kpm/core"
	"kpm/core/door"
	"kpm/core/fair"
	"kpm/core/signal"
	"kpm/launcher"
)

// somebody is a user at the door.
func somebody(uid string) core.Peer {
	return core.Peer{User: core.UserID(uid), Processes: []core.ProcessID{{PID: 50, Start: 9}}, SameIdentity: true}
}

// elevate is what the launcher does in a test.
type elevate func(context.Context, launcher.Submission, launcher.Caller, <-chan signal.Sent) launcher.Result

func (e elevate) Elevate(ctx context.Context, k launcher.Submission, c launcher.Caller, signals <-chan signal.Sent) launcher.Result {
	return e(ctx, k, c, signals)
}

func closeFiles(k launcher.Submission) {
	for _, f := range []*os.File{k.Streams.Input, k.Streams.Output, k.Streams.Error, k.Dir, k.Executable} {
		if f != nil {
			f.Close()
		}
	}
}

// newServer serves q; f elevates.
func newServer(t testing.TB, q *doorQueue, f elevate, change ...func(*local.Config)) *local.Server {
	t.Helper()
	cfg := local.Config{
		Elevator: f, Silent: fair.Bounds{Each: 16, All: 256}, Callers: fair.Bounds{Each: 16, All: 256},
		Turn: time.Minute, Request: 10 * time.Second, Write: 10 * time.Second, Log: slog.New(slog.DiscardHandler),
	}
	for _, c := range change {
		c(&cfg)
	}
	server := local.New(cfg)
	t.Cleanup(func() { // cut what remains: callers of tests do not linger
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		server.Close(ctx)
	})
	if err := server.Serve(q); err != nil {
		t.Fatal(err)
	}
	return server
}

// newDoor opens a door behind which f elevates. The request's files are closed
// for it.
func newDoor(t testing.TB, f elevate, change ...func(*local.Config)) *doorQueue {
	t.Helper()
	q := newDoorQueue()
	newServer(t, q, func(ctx context.Context, k launcher.Submission, c launcher.Caller, s <-chan signal.Sent) launcher.Result {
		defer closeFiles(k)
		return f(ctx, k, c, s)
	}, change...)
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

func ok(context.Context, launcher.Submission, launcher.Caller, <-chan signal.Sent) launcher.Result {
	return launcher.Result{Exit: core.ExitStatus{Code: 3}}
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

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// eventually waits for what another goroutine is about to do.
func eventually(t testing.TB, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never happened")
		}
	}
}
