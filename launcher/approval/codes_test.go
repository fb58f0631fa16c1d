package approval

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/core/approvalcode"
	"kpm/core/statefile"
	"kpm/launcher/journal"
	"kpm/launcher/tries"
)

// phone is a desk at which codes are taken, with files in memory.
type phone struct {
	*desk
	*Codes
	key     approvalcode.Key
	files   map[string][]byte
	sealer  seals
	records []journal.Record
	failing error
}

// seals stands in for the machine key.
type seals struct{ with byte }

func (s seals) Seal(_ context.Context, secret, _ []byte) ([]byte, error) {
	sealed := slices.Clone(secret)
	for i := range sealed {
		sealed[i] ^= s.with
	}
	return sealed, nil
}

func (s seals) Unseal(ctx context.Context, sealed, name []byte) ([]byte, error) {
	return s.Seal(ctx, sealed, name)
}

func (p *phone) Append(r journal.Record) error {
	if p.failing == nil {
		p.records = append(p.records, r)
	}
	return p.failing
}

func newPhone(t *testing.T) *phone {
	p := &phone{desk: newDesk(t), files: map[string][]byte{}, sealer: seals{0x5a}}
	p.begin()
	var err error
	if p.key, err = p.NewKey(t.Context(), core.Principal{Kind: core.Admin, User: "0"}, false); err != nil {
		t.Fatal(err)
	}
	return p
}

// begin is what the next service does.
func (p *phone) begin() {
	read := func(path string) ([]byte, error) {
		if data, is := p.files[path]; is {
			return data, nil
		}
		return nil, fs.ErrNotExist
	}
	write := func(path string, data []byte, _ os.FileMode) error { p.files[path] = data; return nil }
	log := slog.New(slog.DiscardHandler)
	p.Codes = NewCodes(CodesConfig{
		Book: p.Book, Path: "key", Read: read, WriteAtomic: write, Remove: func(path string) error { delete(p.files, path); return nil },
		Sealer: p.sealer, Journal: p, Log: log,
		Tries: tries.Open(tries.Config{File: statefile.File{Path: "tries", Read: read, WriteAtomic: write}, LockOut: 15 * time.Minute}),
	})
}

// code is what the help desk makes of what somebody has read to it.
func (p *phone) code(t *testing.T, challenge string) string {
	t.Helper()
	c, err := approvalcode.ParseChallenge(challenge)
	if err != nil {
		t.Fatal(err)
	}
	return p.key.Code(c, time.Now())
}

// A code approves one request, once: what it is used for is over then (W12).
func TestACodeApprovesOneRequestOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPhone(t)
		r := p.ask(t, want("1000"))
		other := p.ask(t, want("1000", core.ApprovalRule{Users: []string{"eve"}, Number: 1}))
		right := p.code(t, p.Challenge(&r))
		if p.Challenge(&r) == p.Challenge(&other) {
			t.Error("two requests have one challenge")
		}
		for name, tc := range map[string]struct {
			id   string
			user core.UserID
			text string
			want error
		}{
			"by somebody else":   {r.ID, "1001", right, ErrUnknown},
			"of another request": {other.ID, "1000", right, ErrWrongCode},
			"of none":            {"AAAA-2222", "1000", right, ErrUnknown},
			"another code":       {r.ID, "1000", p.code(t, p.Challenge(&other)), ErrWrongCode},
			"nothing":            {r.ID, "1000", "", ErrNoCode},
			"of an earlier hour": {r.ID, "1000", p.key.Code(challenge(&r), time.Now().Add(-time.Hour)), ErrWrongCode},
			"of another machine": {r.ID, "1000", approvalcode.NewKey().Code(challenge(&r), time.Now()), ErrWrongCode},
		} {
			if got, err := p.Approve(t.Context(), tc.id, tc.user, tc.text); !errors.Is(err, tc.want) {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
		if p.state(t, r.ID) != Pending || p.state(t, other.ID) != Pending {
			t.Error("a wrong code has changed something")
		}
		got, err := p.Approve(t.Context(), strings.ToLower(r.ID), "1000", strings.ReplaceAll(right, "-", " "))
		if err != nil || got.State != Approved || len(got.Decisions) != 1 || got.Decisions[0].By != "code" {
			t.Fatalf("%+v, %v", got, err)
		}
		if p.Challenge(&got) != "" {
			t.Error("what is approved has a challenge")
		}
		w := want("1000")
		if _, err := p.Use(&w, "REQUEST"); err != nil {
			t.Error(err)
		}
		again := p.ask(t, want("1000"))
		for _, id := range []string{r.ID, again.ID} {
			if _, err := p.Approve(t.Context(), id, "1000", right); err == nil {
				t.Errorf("%s: a code was used twice", id)
			}
		}
	})
}

// Attack: codes are guessed, beside restarts, and the right one is among them.
func TestFiveWrongCodesLockOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPhone(t)
		r := p.ask(t, want("1000"))
		for i := range tries.Most {
			wrong := "00000-00000"
			if i == 1 { // what looks like no code is a try as well
				wrong = "nonsense"
			}
			_, err := p.Approve(t.Context(), r.ID, "1000", wrong)
			if !errors.Is(err, ErrWrongCode) || errors.Is(err, ErrLockedOut) != (i == tries.Most-1) {
				t.Fatalf("code %d: %v", i+1, err)
			}
			p.begin()
		}
		if _, err := p.Approve(t.Context(), r.ID, "1000", p.code(t, p.Challenge(&r))); !errors.Is(err, ErrLockedOut) || p.state(t, r.ID) != Pending {
			t.Errorf("locked out: %v", err)
		}
		wrong := 0
		for _, one := range p.records {
			if one.Cause == "wrong-code" && one.UserID == "1000" {
				wrong++
			}
		}
		if wrong != tries.Most {
			t.Errorf("%d wrong codes are recorded", wrong)
		}
		time.Sleep(15 * time.Minute)
		if _, err := p.Approve(t.Context(), r.ID, "1000", p.code(t, p.Challenge(&r))); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

// A code is one approver. Where a policy wants two, a second code is not the other.
func TestACodeIsOneApprover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPhone(t)
		r := p.ask(t, want("1000", core.ApprovalRule{Users: []string{"ada", "eve"}, Number: 2}))
		for i, state := range []State{Pending, Pending} {
			got, err := p.Approve(t.Context(), r.ID, "1000", p.code(t, p.Challenge(&r)))
			if (err == nil) != (i == 0) || p.state(t, r.ID) != state {
				t.Errorf("code %d: %+v, %v", i+1, got, err)
			}
			time.Sleep(approvalcode.Step)
		}
		if _, err := p.Book.Approve(r.ID, eve, "", 0); err != nil || p.state(t, r.ID) != Approved {
			t.Errorf("with an approver: %v", err)
		}
	})
}

func TestKeysForCodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPhone(t)
		by := core.Principal{Kind: core.Admin, User: "0"}
		r := p.ask(t, want("1000"))
		if strings.Contains(string(p.files["key"]), p.key.String()) || strings.Contains(string(p.files["key"]), string(p.key[:])) {
			t.Error("the key lies in the open")
		}
		if _, err := p.NewKey(t.Context(), by, false); !errors.Is(err, ErrKeyThere) {
			t.Errorf("a second key: %v", err)
		}
		p.failing = errors.New("the disk is full")
		if _, err := p.NewKey(t.Context(), by, true); err == nil {
			t.Error("a key that no journal knows of")
		}
		p.failing = nil
		old := p.code(t, p.Challenge(&r))
		if _, err := p.NewKey(t.Context(), by, true); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Approve(t.Context(), r.ID, "1000", old); !errors.Is(err, ErrWrongCode) {
			t.Errorf("by the old key: %v", err)
		}
		if err := p.RemoveKey(by); err != nil {
			t.Fatal(err)
		}
		for range 2 { // and after a restart
			if _, err := p.Approve(t.Context(), r.ID, "1000", old); !errors.Is(err, ErrNoKey) || p.Challenge(&r) != "" {
				t.Errorf("without a key: %v", err)
			}
			p.begin()
		}
		p.files["key"] = []byte("{")
		p.begin()
		if _, err := p.Approve(t.Context(), r.ID, "1000", old); core.KindOf(err) != core.Unavailable || p.state(t, r.ID) != Pending {
			t.Errorf("a key that cannot be read: %v", err)
		}
	})
}
