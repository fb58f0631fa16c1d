package journal

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kpm/core"
)

// refused puts a request of user's that is refused.
func refused(t *testing.T, j *Journal, id string, user core.UserID, argv, why string) {
	t.Helper()
	put(t, j, Record{Type: Opened, Request: core.RequestID(id), UserID: user, User: "u" + string(user), Argv: []string{argv}, Seal: id},
		Record{Type: Evaluating, Request: core.RequestID(id)},
		Record{Type: Denied, Request: core.RequestID(id), Cause: why})
}

func requests(records []Record) (ids []string) {
	for _, r := range records {
		if r.Request != "" && (len(ids) == 0 || ids[len(ids)-1] != string(r.Request)) {
			ids = append(ids, string(r.Request))
		}
	}
	return ids
}

func TestRepeatedRefusalsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t.TempDir())
		j, _, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		refused(t, j, "A", "1000", "id", "deny")
		for i := range 1000 {
			refused(t, j, fmt.Sprint("again", i), "1000", "id", "deny")
		}
		refused(t, j, "B", "1000", "id", "other") // for another reason
		refused(t, j, "C", "1001", "id", "deny")  // somebody else
		refused(t, j, "D", "1000", "ls", "deny")  // something else
		want := []string{"A", "B", "C", "D"}
		if diff := cmp.Diff(want, requests(lines(t, cfg))); diff != "" {
			t.Error(diff)
		}
		time.Sleep(countEvery + 2*lookEvery)
		synctest.Wait()
		all := lines(t, cfg)
		r := all[len(all)-1]
		if r.Type != Repeated || r.Request != "A" || r.Count != 1000 || r.UserID != "1000" || r.User != "u1000" || r.Since.IsZero() {
			t.Errorf("%+v", r)
		}
		refused(t, j, "again", "1001", "id", "deny")
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		all = lines(t, cfg)
		if r := all[len(all)-2]; r.Type != Repeated || r.Request != "C" || r.Count != 1 {
			t.Errorf("at the end: %+v", r)
		}
		verified(t, cfg)
	})
}

// Whatever comes of a request but the same refusal, it is recorded, in order.
func TestWhatIsNotRefusedAgainIsRecorded(t *testing.T) {
	for _, next := range []Type{Allowed, Pending, Failed, Expired, Control} {
		t.Run(string(next), func(t *testing.T) {
			cfg := config(t.TempDir())
			j, _ := opened(t, cfg)
			refused(t, j, "A", "1000", "id", "deny")
			put(t, j, Record{Type: Opened, Request: "B", UserID: "1000", User: "u1000", Argv: []string{"id"}}, Record{Type: Evaluating, Request: "B"})
			if n := len(lines(t, cfg)); n != 5 {
				t.Errorf("%d records before it is known", n)
			}
			put(t, j, Record{Type: next, Request: "B"})
			want := []Type{Segment, Start, Opened, Evaluating, Denied, Opened, Evaluating, next}
			if diff := cmp.Diff(want, types(lines(t, cfg))); diff != "" {
				t.Error(diff)
			}
			verified(t, cfg)
		})
	}
}

// One that waits is not lost when others are remembered in place of what it was
// like.
func TestWhatItWasLikeIsForgotten(t *testing.T) {
	cfg := config(t.TempDir())
	j, _ := opened(t, cfg)
	refused(t, j, "A", "1000", "id", "deny")
	put(t, j, Record{Type: Opened, Request: "B", UserID: "1000", User: "u1000", Argv: []string{"id"}})
	for i := range refusalOwn {
		refused(t, j, fmt.Sprint("other", i), "1000", fmt.Sprint("other", i), "deny")
	}
	put(t, j, Record{Type: Denied, Request: "B", Cause: "deny"})
	all := lines(t, cfg)
	if diff := cmp.Diff([]Type{Opened, Denied}, types(all[len(all)-2:])); diff != "" || all[len(all)-1].Request != "B" {
		t.Error(diff)
	}
	if n := len(j.repeats.refused); n > refusalOwn {
		t.Errorf("%d refusals of one user are remembered", n)
	}
	if n := len(j.repeats.asked); n != 0 {
		t.Errorf("%d requests are followed that have ended", n)
	}
}

// After some time the same is news.
func TestRefusalsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t.TempDir())
		j, _ := opened(t, cfg)
		refused(t, j, "A", "1000", "id", "deny")
		time.Sleep(forgetAfter + time.Minute)
		refused(t, j, "B", "1000", "id", "deny")
		if diff := cmp.Diff([]string{"A", "B"}, requests(lines(t, cfg))); diff != "" {
			t.Error(diff)
		}
	})
}

// Attack: a user has a million different things refused.
func TestRefusalsFillAPartAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t.TempDir())
		cfg.SegmentBytes, cfg.KeepSegments = 32<<20, 4
		j, _ := opened(t, cfg)
		const part = 2 << 20
		long := strings.Repeat("\x01", 20_000)
		for i := range 400 {
			refused(t, j, fmt.Sprint(i), "1000", fmt.Sprint(i, long), "deny")
		}
		if written := last(j).Offset; written > part+64<<10 || written < part/2 {
			t.Errorf("%d bytes were written", written)
		}
		before := last(j).Seq
		refused(t, j, "other", "1001", "id", "deny")
		if last(j).Seq != before+3 {
			t.Error("another user pays for it")
		}
		time.Sleep(countEvery + 2*lookEvery)
		synctest.Wait()
		all := lines(t, cfg)
		if r := all[len(all)-1]; r.Type != Repeated || r.Request != "" || r.UserID != "1000" || r.Count < 200 {
			t.Errorf("%+v", r)
		}
		put(t, j, Record{Type: Opened, Request: "yes", UserID: "1000", Argv: []string{"x"}}, Record{Type: Allowed, Request: "yes"})
		if got := lines(t, cfg); got[len(got)-2].Type != Opened || got[len(got)-1].Type != Allowed {
			t.Error("what is allowed is not on record")
		}
	})
}

// On a full disk what waits is written with what became of it.
func TestWhatWaitsSurvivesAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t.TempDir())
		room, stuck := 1<<20, false
		cfg.open = func(path string) (file, error) {
			f, err := openFile(path)
			return fullDisk{f, &room, &stuck}, err
		}
		j, _ := opened(t, cfg)
		leave := func(bytes int) {
			j.mu.Lock() // nobody writes meanwhile
			defer j.mu.Unlock()
			room = bytes
		}
		refused(t, j, "A", "1000", "id", "deny")
		put(t, j, Record{Type: Opened, Request: "B", UserID: "1000", User: "u1000", Argv: []string{"id"}})
		leave(0)
		if err := j.Append(Record{Type: Opened, Request: "C", UserID: "1001"}); err == nil || len(j.repeats.asked) != 1 {
			t.Fatalf("%v, %d requests are followed", err, len(j.repeats.asked))
		}
		for _, kind := range []Type{Allowed, Failed} {
			if err := j.Append(Record{Type: kind, Request: "B"}); err == nil {
				t.Fatal("written on a full disk")
			}
		}
		leave(1 << 20)
		time.Sleep(2 * headDelay)
		synctest.Wait()
		all := lines(t, cfg)
		if diff := cmp.Diff([]Type{Opened, Failed}, types(all[len(all)-2:])); diff != "" {
			t.Error(diff)
		}
		if all[len(all)-1].Written.IsZero() {
			t.Error("nothing says that it was written later")
		}
		if report := verified(t, cfg); len(report.Clock) > 0 {
			t.Errorf("%q", report.Clock)
		}
	})
}

// Two questions are the same only if everything that they ask is.
func TestWhatIsAskedIsToldApart(t *testing.T) {
	asks := func(change func(*Record)) Record {
		r := sample(1)
		change(&r)
		return r
	}
	seen := map[[32]byte]int{}
	for i, r := range []Record{
		sample(1),
		asks(func(r *Record) { r.UserID = "1001" }),
		asks(func(r *Record) { r.TargetID = "1" }),
		asks(func(r *Record) { r.Directory = "/" }),
		asks(func(r *Record) { r.Argv = []string{"apt", "install", "--yes", "hell", "o"} }),
		asks(func(r *Record) { r.Argv = []string{"apt", "install", "--yeshello"} }),
		asks(func(r *Record) { r.ArgvBytes = map[int][]byte{3: {0xff}} }),
		asks(func(r *Record) { r.Program.Path = "/usr/local/bin/apt" }),
		asks(func(r *Record) { r.Program.Requested = "/usr/bin/apt" }),
		asks(func(r *Record) { r.Program.SHA256 = "" }),
		asks(func(r *Record) { r.Program.Protected = false }),
		asks(func(r *Record) { r.Program.SignersKnown = true }),
		asks(func(r *Record) { r.Program.Interpreter = "/bin/sh" }),
		asks(func(r *Record) { r.Program.Signers = []core.Signer{{}} }),
		asks(func(r *Record) { r.Program = nil }),
	} {
		if before, known := seen[question(r)]; known {
			t.Errorf("question %d is taken for question %d", i, before)
		}
		seen[question(r)] = i
	}
	if again := asks(func(r *Record) { r.Request, r.User = "R9", "eve" }); question(again) != question(sample(1)) {
		t.Error("the same question is told apart")
	}
}
