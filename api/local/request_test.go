package local_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kpm/api/local"
	"kpm/core"
	"kpm/core/door"
	"kpm/core/signal"
	"kpm/launcher"
	"kpm/launcher/refusal"
)

func TestTheLauncherGetsWhatWasSent(t *testing.T) {
	sent := belongings(t)
	var got launcher.Submission
	var names []string
	q := newDoor(t, func(_ context.Context, k launcher.Submission, _ launcher.Caller, _ <-chan signal.Sent) launcher.Result {
		got = k
		for _, f := range []*os.File{k.Dir, k.Streams.Input, k.Streams.Output, k.Streams.Error, k.Executable} {
			names = append(names, filepath.Base(f.Name()))
		}
		return launcher.Result{Exit: core.ExitStatus{Code: 7, Signal: 9}}
	})
	m := door.Request{
		Key: door.Key{7}, Running: true, HasExecutable: true, NonInteractive: true, Command: "/bin/true", TargetUser: "#0",
		Argv: []string{"true", "", "ü"}, Env: []string{"A=b"}, Rows: 24, Columns: 80,
	}
	c := q.connect(t, somebody("1000"), nil)
	c.send(t, door.TypeRequest, m.Encode(), sent...)
	if exit := c.final(t); exit != (door.Exit{Code: 7, Signal: 9}) {
		t.Errorf("final frame %+v", exit)
	}
	if !slices.Equal(names, []string{"0", "1", "2", "3", "4"}) {
		t.Errorf("descriptors arrived as %v", names)
	}
	if got.Key != m.Key || !got.Running || got.Peer.User != "1000" || got.Command != m.Command || got.TargetUser != m.TargetUser || !got.NonInteractive ||
		!slices.Equal(got.Argv, m.Argv) || !slices.Equal(got.Env, m.Env) || got.Rows != 24 || got.Columns != 80 {
		t.Errorf("the launcher got %+v", got)
	}
}

func TestARefusalReachesTheCaller(t *testing.T) {
	q := newDoor(t, func(_ context.Context, k launcher.Submission, _ launcher.Caller, _ <-chan signal.Sent) launcher.Result {
		if k.Executable != nil {
			t.Error("a bare name has no descriptor")
		}
		return launcher.Result{Refused: &refusal.Refusal{Code: door.CodeDenied, Message: "policy P says no"}}
	})
	c := q.connect(t, somebody("1000"), nil)
	c.send(t, door.TypeRequest, plainRequest.Encode(), belongings(t)[:4]...)
	if got := c.final(t); got != (door.Refused{Code: door.CodeDenied, Message: "policy P says no"}) {
		t.Errorf("final frame %+v", got)
	}
}

// Whatever is wrong with a request, nobody is asked to elevate, the caller is
// told, and no descriptor that came along stays open.
func TestBadRequests(t *testing.T) {
	within := func(limit time.Duration) *doorQueue {
		return newDoor(t, func(context.Context, launcher.Submission, launcher.Caller, <-chan signal.Sent) launcher.Result {
			t.Error("a bad request was passed on")
			return launcher.Result{}
		}, func(c *local.Config) { c.Request = limit })
	}
	q, impatient := within(time.Minute), within(50*time.Millisecond)
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
		{"another frame", door.Append(nil, door.TypeSignal, door.EncodeSignal(signal.Sent{Signal: signal.Terminate})), files[:4], "type 2, expected a request"},
		{"another version", append([]byte{whole[0], whole[1], whole[2], whole[3], whole[4], 9}, whole[6:]...), files[:4], "same version"},
		{"a frame that is too long", []byte{1, 0xff, 0xff, 0xff, 0xff}, files[:4], "same version"},
		{"half a frame", whole[:len(whole)-1], files[:4], "did not arrive in time"},
		{"half a header", whole[:2], files[:4], "did not arrive in time"},
		{"no command", with(func(m *door.Request) { m.Command = "" }), files[:4], "no command"},
		{"no argv", with(func(m *door.Request) { m.Argv = nil }), files[:4], "no command"},
		{"a NUL", with(func(m *door.Request) { m.Argv = []string{"id", "a\x00b"} }), files[:4], "NUL"},
		{"a command that is not UTF-8", with(func(m *door.Request) { m.Command = "\xff" }), files[:4], "UTF-8"},
		{"a target that is not UTF-8", with(func(m *door.Request) { m.TargetUser = "\xff" }), files[:4], "UTF-8"},
	} {
		at := q
		if strings.HasPrefix(c.name, "half") {
			at = impatient
		}
		conn := at.connect(t, somebody("1000"), nil)
		if err := conn.WriteWithFiles(c.bytes, c.files...); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		refused, isRefused := conn.final(t).(door.Refused)
		if !isRefused || refused.Code != door.CodeBadRequest || !strings.Contains(refused.Message, c.says) {
			t.Errorf("%s: %+v, want %s with %q", c.name, refused, door.CodeBadRequest, c.says)
		}
		conn.Close()
	}
	gone := q.connect(t, somebody("1000"), nil)
	if err := gone.WriteWithFiles(whole[:3], files[:4]...); err != nil {
		t.Error(err)
	}
	gone.Close()
	allClosed()
}

func TestCallersWhoAreNobody(t *testing.T) {
	q := newDoor(t, func(context.Context, launcher.Submission, launcher.Caller, <-chan signal.Sent) launcher.Result {
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
		conn := q.connect(t, core.Peer{}, c.err)
		if refused, _ := conn.final(t).(door.Refused); refused.Code != c.code {
			t.Errorf("%v: %+v, want %s", c.err, refused, c.code)
		}
	}
}

// No bytes, however they are cut and whatever comes with them, hang the door,
// leave a goroutine (TestMain) or a descriptor behind.
func TestRandomFrames(t *testing.T) {
	q := newDoor(t, func(ctx context.Context, _ launcher.Submission, c launcher.Caller, signals <-chan signal.Sent) launcher.Result {
		select {
		case <-signals:
			c.Prompt(ctx, launcher.Prompt{Text: "?"}, time.Millisecond)
		case <-ctx.Done():
		}
		return launcher.Result{}
	}, func(c *local.Config) { c.Request, c.Write = 20*time.Millisecond, 20*time.Millisecond })
	files := belongings(t)
	allClosed := onlyOurs(t, files)
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 0))
		caller := q.connect(t, somebody("1000"), nil)
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
			caller.Fill()
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
