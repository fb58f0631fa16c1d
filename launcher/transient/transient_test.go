package transient

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"kpm/core"
	"kpm/core/statefile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// machine has the accounts that were made.
type machine struct {
	mu     sync.Mutex
	made   []uint32 // ever
	there  map[uint32]bool
	used   map[uint32]bool
	refuse error
}

func (m *machine) Create(_ context.Context, number uint32, _ []string) (core.Account, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.made = append(m.made, number)
	m.there[number] = true // also by half
	if m.refuse != nil {
		return core.Account{}, m.refuse
	}
	return core.Account{User: "7", Name: "keeperusersession"}, nil
}

func (m *machine) Remove(_ context.Context, number uint32) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.there, number)
	return nil
}

func (m *machine) Used(number uint32) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used[number], nil
}

func (m *machine) Numbers() (list []uint32, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for n := range m.there {
		list = append(list, n)
	}
	slices.Sort(list)
	return list, nil
}

func open(t *testing.T, path string, m *machine, record error) *Pool {
	t.Helper()
	p, err := Open(Config{
		File: statefile.File{Path: path, Read: os.ReadFile, WriteAtomic: os.WriteFile}, Accounts: m, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Record: func(core.RequestID, core.Account, core.Account, bool) error { return record },
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newMachine() *machine { return &machine{there: map[uint32]bool{}, used: map[uint32]bool{}} }

func TestNumbersAreNeverUsedTwice(t *testing.T) {
	m, path := newMachine(), filepath.Join(t.TempDir(), "accounts.json")
	for range 3 { // services, each of which is killed
		p := open(t, path, m, nil)
		for range 2 {
			if _, _, err := p.Make(t.Context(), "R", core.Account{}, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !slices.Equal(m.made, []uint32{1, 2, 3, 4, 5, 6}) {
		t.Errorf("made %v", m.made)
	}
}

func TestAnAccountGoesWithItsCommand(t *testing.T) {
	m := newMachine()
	p := open(t, filepath.Join(t.TempDir(), "a.json"), m, nil)
	_, leave, err := p.Make(t.Context(), "R", core.Account{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := p.Clean(t.Context()); n != 0 || err != nil || len(m.there) != 1 {
		t.Errorf("one that a command has was cleaned up: %d, %v", n, err)
	}
	leave()
	p.Close()
	if len(m.there) != 0 {
		t.Errorf("left: %v", m.there)
	}
}

// What was made by half, or may not be written down, does not stay.
func TestAnAccountThatFails(t *testing.T) {
	for name, tc := range map[string]struct{ create, record error }{"made by half": {errors.New("killed"), nil}, "not in the journal": {nil, errors.New("disk full")}} {
		t.Run(name, func(t *testing.T) {
			m := newMachine()
			m.refuse = tc.create
			p := open(t, filepath.Join(t.TempDir(), "a.json"), m, tc.record)
			if _, _, err := p.Make(t.Context(), "R", core.Account{}, nil); err == nil {
				t.Error("no error")
			}
			p.Close()
			if len(m.there) != 0 {
				t.Errorf("left: %v", m.there)
			}
		})
	}
}

func TestWhatAnEarlierServiceHasLeft(t *testing.T) {
	m := newMachine()
	m.there = map[uint32]bool{7: true, 8: true}
	m.used[8] = true // its command goes on
	p := open(t, filepath.Join(t.TempDir(), "a.json"), m, nil)
	if n, err := p.Clean(t.Context()); n != 1 || err != nil || !m.there[8] {
		t.Errorf("%d, %v, left %v", n, err, m.there)
	}
	m.used = map[uint32]bool{}
	if n, err := p.Clean(t.Context()); n != 1 || err != nil || len(m.there) != 0 {
		t.Errorf("%d, %v, left %v", n, err, m.there)
	}
}

// Attack: one person's commands that never end take every account.
func TestOnePersonsAccountsAreNotEverybodys(t *testing.T) {
	p := open(t, filepath.Join(t.TempDir(), "a.json"), newMachine(), nil)
	t.Cleanup(p.Close)
	var leave func()
	for i := range maxPersonLive + 1 {
		_, left, err := p.Make(t.Context(), "R", core.Account{User: "1000"}, nil)
		if last := i == maxPersonLive; last != errors.Is(err, ErrTooMany) || !last && err != nil {
			t.Fatalf("account %d: %v", i+1, err)
		}
		if err == nil {
			leave = left
		}
	}
	if _, _, err := p.Make(t.Context(), "R", core.Account{User: "1001"}, nil); err != nil {
		t.Errorf("somebody else: %v", err)
	}
	leave()
	p.removals.Wait()
	if _, _, err := p.Make(t.Context(), "R", core.Account{User: "1000"}, nil); err != nil {
		t.Errorf("after one has gone: %v", err)
	}
}
