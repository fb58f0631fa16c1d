//go:build linux || darwin

package ancestry

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"kpm/core"
)

var errGone = errors.New("it has gone")

// processes are a table: each one's start and parent.
type processes map[int][2]int

func (p processes) look(pid int) (core.Ancestor, int, error) {
	found, ok := p[pid]
	if !ok {
		return core.Ancestor{}, 0, errGone
	}
	if found[0] < 0 {
		return core.Ancestor{}, 0, errors.New("it cannot be seen")
	}
	return core.Ancestor{ID: core.ProcessID{PID: pid, Start: uint64(found[0])}}, found[1], nil
}

// The way goes up to the first process of the machine, and ends where it is lost.
func TestWalk(t *testing.T) {
	table := processes{1: {1, 0}, 5: {50, 1}, 6: {60, 5}, 7: {70, 6}, 8: {80, 99}, 9: {90, 7}, 10: {100, 11}, 11: {101, 1}, 12: {-1, 1}, 13: {130, 12}, 20: {5, 20}}
	for pid, want := range map[int][]int{7: {7, 6, 5}, 9: {9, 7, 6, 5}, 8: {8}, 10: {10}} {
		list, err := Walk(core.ProcessID{PID: pid, Start: uint64(table[pid][0])}, errGone, table.look)
		var got []int
		for _, one := range list {
			got = append(got, one.ID.PID)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%d: %v, %v, want %v", pid, got, err, want)
		}
	}
	for _, id := range []core.ProcessID{{PID: 99, Start: 1}, {PID: 7, Start: 71}} {
		if list, err := Walk(id, errGone, table.look); !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, errGone) {
			t.Errorf("%v: %v, %v", id, list, err)
		}
	}
	// What cannot be seen may be an agent: then nothing is said.
	if list, err := Walk(core.ProcessID{PID: 13, Start: 130}, errGone, table.look); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, %v", list, err)
	}
	if list, err := Walk(core.ProcessID{PID: 20, Start: 5}, errGone, table.look); err != nil || len(list) != maxAncestors {
		t.Errorf("a circle: %d, %v", len(list), err)
	}
}

// hanging is what keeps whoever reads it waiting.
type hanging struct{ end chan struct{} }

func (h hanging) Read([]byte) (int, error) { <-h.end; return 0, io.EOF }
func (h hanging) Close() error             { return nil }

type closed struct {
	io.Reader
	is *bool
}

func (c closed) Close() error { *c.is = true; return nil }

// Attack: processes keep their arguments back. Nobody waits for that, and only so many
// are waited for of one user.
func TestNamesThatAreKeptBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var names Names
		end := make(chan struct{})
		for range maxUserHangs {
			if words, err := names.Of(7, 501, hanging{end}); err == nil {
				t.Errorf("%q", words)
			}
		}
		var is bool
		if words, err := names.Of(7, 501, closed{strings.NewReader("a\x00"), &is}); err == nil || !is {
			t.Errorf("one more: %q, closed %t", words, is)
		}
		if words, err := names.Of(7, 502, closed{strings.NewReader("node\x00--x\x00/b/claude\x00c\x00d\x00"), &is}); err != nil || !slices.Equal(words, []string{"node", "--x", "/b/claude", "c"}) {
			t.Errorf("another user's: %q, %v", words, err)
		}
		close(end)
		synctest.Wait()
		if words, err := names.Of(7, 501, closed{strings.NewReader("a\x00"), &is}); err != nil || !slices.Equal(words, []string{"a"}) {
			t.Errorf("then: %q, %v", words, err)
		}
	})
}
