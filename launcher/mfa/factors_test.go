package mfa

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/core/view"
	"kpm/launcher/journal"
)

// world is Factors with a machine key and a journal that can fail.
type world struct {
	*Factors
	cfg     Config
	mu      sync.Mutex
	records []journal.Record
	failing error
}

func (w *world) Append(r journal.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failing == nil {
		w.records = append(w.records, r)
	}
	return w.failing
}

// causes are those of the records, in order.
func (w *world) causes() string {
	var all []string
	for _, r := range w.records {
		all = append(all, r.Cause)
	}
	return strings.Join(all, " ")
}

// key stands in for the machine key: what is sealed under a name opens under that
// name alone.
type key struct{ fails *error }

func (k key) Seal(_ context.Context, secret, name []byte) ([]byte, error) {
	return append(append([]byte("sealed "), name...), reversed(secret)...), *k.fails
}

func (k key) Unseal(_ context.Context, sealed, name []byte) ([]byte, error) {
	rest, is := bytes.CutPrefix(sealed, append([]byte("sealed "), name...))
	if !is {
		return nil, errors.New("sealed for something else")
	}
	return reversed(rest), *k.fails
}

func reversed(b []byte) []byte {
	r := make([]byte, len(b))
	for i := range b {
		r[len(b)-1-i] = b[i]
	}
	return r
}

var (
	anna  = core.Account{User: "1000", Name: "anna"}
	admin = core.Principal{Kind: core.User, User: "0"}
)

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{}
	w.cfg = configAt(filepath.Join(t.TempDir(), "factors.db"), w)
	w.open(t)
	return w
}

func (w *world) open(t *testing.T) {
	t.Helper()
	w.Factors = Open(w.cfg)
	if err := w.unusable(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
}

// restart is what a service does that was killed: nothing is written at its end.
func (w *world) restart(t *testing.T) {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w.open(t)
}

func (w *world) enroll(t *testing.T) view.Enrollment {
	t.Helper()
	enrolled, err := w.Enroll(t.Context(), admin, anna, false)
	if err != nil {
		t.Fatal(err)
	}
	return enrolled
}

// code is the one of a moment, off steps from now.
func (w *world) code(t *testing.T, off int) string {
	t.Helper()
	r, err := w.store.get(anna.User)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := w.cfg.Sealer.Unseal(t.Context(), r.Secret, sealedFor(anna.User))
	if err != nil {
		t.Fatal(err)
	}
	return hotp(secret, uint64(int(stepAt(time.Now()))+off), digits)
}

func (w *world) check(answer string) error {
	_, err := w.Check(context.Background(), Try{User: anna.User, Request: "REQUEST", Answer: answer})
	return err
}

// isWrong reports whether err refuses an answer with such words.
func isWrong(err error, says string) bool {
	var wrong *Wrong
	return errors.As(err, &wrong) && strings.Contains(wrong.Message, says)
}

func TestACodeIsRightOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.enroll(t)
		time.Sleep(time.Hour)
		old, now, next := w.code(t, -1), w.code(t, 0), w.code(t, 1)
		if err := w.check(now); err != nil {
			t.Fatal(err)
		}
		// Attack: what somebody has seen over a shoulder, or what came before it.
		for _, code := range []string{now, old} {
			if err := w.check(code); !isWrong(err, "used already") {
				t.Errorf("%v", err)
			}
		}
		w.restart(t)
		if err := w.check(now); !isWrong(err, "used already") {
			t.Errorf("after a restart: %v", err)
		}
		if err := w.check(next); err != nil {
			t.Errorf("a clock that is one step ahead: %v", err)
		}
		time.Sleep(2 * stepTime)
		if err := w.check(w.code(t, 0)); err != nil {
			t.Error(err)
		}
		if got, want := w.causes(), "enrolled right replayed replayed replayed right right"; got != want {
			t.Errorf("journal: %s, expected %s", got, want)
		}
		for _, r := range w.records[1:] {
			if r.Request != "REQUEST" || r.UserID != "1000" || r.User != "anna" || strings.Contains(fmt.Sprint(r), now) || strings.Contains(fmt.Sprint(r), next) {
				t.Errorf("%+v", r)
			}
		}
	})
}

func TestFiveWrongCodesLockOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.enroll(t)
		place := Place{User: anna.User, Terminal: core.Terminal{Device: 1, Leader: core.ProcessID{PID: 1, Start: 1}}}
		w.Remember(place, []core.PolicyRef{{ID: "p"}})
		for range 4 {
			if err := w.check("not one"); !isWrong(err, "is wrong") {
				t.Fatal(err)
			}
		}
		w.restart(t) // which does not begin anew
		w.Remember(place, []core.PolicyRef{{ID: "p"}})
		if err := w.check("000000"); !isWrong(err, "another 15 min") {
			t.Fatal(err)
		}
		if w.Remembered(place, []core.PolicyRef{{ID: "p"}}) {
			t.Error("who may be somebody else is remembered")
		}
		for range 2 {
			for _, err := range []error{w.check(w.code(t, 0)), w.Ready(anna.User)} {
				if !isWrong(err, "too many wrong codes") {
					t.Errorf("%v", err)
				}
			}
			if list, err := w.List(); err != nil || list[0].LockedSeconds == 0 {
				t.Errorf("%+v, %v", list, err)
			}
			w.restart(t) // which does not end it
		}
		time.Sleep(14*time.Minute + 59*time.Second)
		if err := w.check(w.code(t, 0)); !isWrong(err, "another 1 min") {
			t.Errorf("%v", err)
		}
		time.Sleep(time.Second)
		if err := w.check(w.code(t, 0)); err != nil {
			t.Error(err)
		}
		if got, want := w.causes(), "enrolled wrong wrong wrong wrong wrong locked right"; got != want {
			t.Errorf("journal: %s, expected %s", got, want)
		}
		// Another five are counted from the beginning.
		if err := w.check("000000"); !isWrong(err, "is wrong") {
			t.Error(err)
		}
	})
}

// Attack: many tries at once, each of which sees that none has failed yet.
func TestTriesAtOnceAreCounted(t *testing.T) {
	w := newWorld(t)
	w.enroll(t)
	var tries sync.WaitGroup
	for range 32 {
		tries.Go(func() { _ = w.check("000000") })
	}
	tries.Wait()
	if got := strings.Count(w.causes(), "wrong"); got != 5 {
		t.Errorf("%d codes were looked at: %s", got, w.causes())
	}
}

func TestARecoveryCodeCountsOnce(t *testing.T) {
	w := newWorld(t)
	codes := w.enroll(t).RecoveryCodes
	record, err := w.Check(t.Context(), Try{User: anna.User, Answer: strings.ToUpper(codes[3])})
	if err != nil || record != "recovery code, 9 left" {
		t.Fatalf("%q, %v", record, err)
	}
	w.restart(t)
	if err := w.check(codes[3]); !isWrong(err, "is wrong") {
		t.Error(err)
	}
	if list, err := w.List(); err != nil || len(list) != 1 || list[0].RecoveryCodes != 9 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestEnrolment(t *testing.T) {
	w := newWorld(t)
	if err := w.Ready(anna.User); !errors.Is(err, ErrNotEnrolled) {
		t.Error(err)
	}
	if err := w.check("000000"); !errors.Is(err, ErrNotEnrolled) {
		t.Error(err)
	}
	first := w.enroll(t)
	if _, err := w.Enroll(t.Context(), admin, anna, false); !errors.Is(err, ErrEnrolled) || core.KindOf(err) != core.Conflict {
		t.Error(err)
	}
	for range 5 {
		_ = w.check("000000")
	}
	second, err := w.Enroll(t.Context(), admin, anna, true)
	if err != nil || second.Secret == first.Secret || len(second.RecoveryCodes) != 10 || !strings.Contains(second.URI, second.Secret) {
		t.Fatalf("%+v, %v", second, err)
	}
	if err := w.Ready(anna.User); err != nil {
		t.Errorf("an administrator has let her in again: %v", err)
	}
	if err := w.check(first.RecoveryCodes[0]); !isWrong(err, "is wrong") {
		t.Errorf("what was replaced: %v", err)
	}
	if err := w.Remove(admin, "anna"); err != nil {
		t.Fatal(err)
	}
	if err := w.Remove(admin, "1000"); !errors.Is(err, ErrNotEnrolled) {
		t.Error(err)
	}
	if err := w.check(w.records[0].Message); !errors.Is(err, ErrNotEnrolled) {
		t.Error(err)
	}
	if got := w.causes(); !strings.HasPrefix(got, "enrolled wrong") || !strings.HasSuffix(got, "locked replaced wrong removed") {
		t.Error(got)
	}
	if r := w.records[0]; r.By != admin.String() || r.Type != journal.Factor {
		t.Errorf("%+v", r)
	}
}

// What the file has is of no use to whoever reads it, and few can.
func TestNothingSecretIsKept(t *testing.T) {
	w := newWorld(t)
	enrolled := w.enroll(t)
	var data []byte
	for _, beside := range []string{"", "-wal"} {
		part, err := os.ReadFile(w.cfg.Path + beside)
		if err != nil {
			t.Fatal(err)
		}
		data = append(data, part...)
		if info, err := os.Stat(w.cfg.Path + beside); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	}
	if !bytes.Contains(data, []byte("anna")) {
		t.Error("the record is elsewhere")
	}
	for _, secret := range append([]string{enrolled.Secret}, enrolled.RecoveryCodes...) {
		if bytes.Contains(bytes.ToUpper(data), []byte(strings.ToUpper(strings.ReplaceAll(secret, "-", "")))) {
			t.Error("the file has a secret")
		}
	}
	for _, r := range w.records {
		if strings.Contains(fmt.Sprint(r), enrolled.Secret) {
			t.Errorf("%+v", r)
		}
	}
}

// Attack: a disk that is full, or a journal that cannot be written, makes tries
// free. Nobody learns then whether a code is right.
func TestWhatCannotBeRecordedIsNotAnswered(t *testing.T) {
	w := newWorld(t)
	codes := w.enroll(t).RecoveryCodes
	w.failing = errors.New("full")
	for _, code := range []string{codes[0], "000000"} {
		var wrong *Wrong
		if err := w.check(code); err == nil || errors.As(err, &wrong) || core.KindOf(err) != core.Unavailable {
			t.Errorf("%v", err)
		}
	}
	if _, err := w.Enroll(t.Context(), admin, core.Account{User: "1001", Name: "ben"}, false); core.KindOf(err) != core.Unavailable {
		t.Error(err)
	}
	w.failing = nil
	if err := w.Ready("1001"); !errors.Is(err, ErrNotEnrolled) {
		t.Error(err)
	}
}

func TestAKeyThatIsAway(t *testing.T) {
	w := newWorld(t)
	w.enroll(t)
	*w.cfg.Sealer.(key).fails = errors.New("no TPM")
	if err := w.check("000000"); core.KindOf(err) != core.Unavailable {
		t.Error(err)
	}
	if _, err := w.Enroll(t.Context(), admin, anna, true); core.KindOf(err) != core.Unavailable {
		t.Error(err)
	}
	if got := w.causes(); got != "enrolled" {
		t.Error(got)
	}
}

// Attack: one person's record in another's place.
func TestARecordIsOnePersons(t *testing.T) {
	w := newWorld(t)
	w.enroll(t)
	r, err := w.store.get(anna.User)
	if err != nil {
		t.Fatal(err)
	}
	r.UserID = "1001"
	if err := w.store.put(r); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Check(t.Context(), Try{User: "1001", Answer: "000000"}); core.KindOf(err) != core.Unavailable {
		t.Error(err)
	}
}

func TestAFileThatCannotBeOpened(t *testing.T) {
	cfg := Config{Path: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
	f := Open(cfg)
	_, listed := f.List()
	_, enrolled := f.Enroll(t.Context(), admin, anna, false)
	_, checked := f.Check(t.Context(), Try{User: anna.User, Answer: "000000"})
	for _, err := range []error{listed, enrolled, checked, f.Ready(anna.User), f.Remove(admin, "anna")} {
		if !errors.Is(err, ErrNotThere) {
			t.Errorf("%v", err)
		}
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}
