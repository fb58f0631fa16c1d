package capture

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const long = 10 * time.Second // never waited for: every writer is gone

// write plays the child: it writes s and ends.
func write(t *testing.T, child *os.File, s string) {
	t.Helper()
	if _, err := child.WriteString(s); err != nil {
		t.Fatal(err)
	}
	if err := child.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestLastKeepsTheEnd(t *testing.T) {
	for _, tc := range []struct {
		name, written, want string
		truncated           bool
	}{
		{"nothing", "", "", false},
		{"fits", "abc", "abc", false},
		{"exactly", "abcdefgh", "abcdefgh", false},
		{"longer", "0123456789abcdefgh", "abcdefgh", true},
		{"much longer than one read", strings.Repeat("x", 40000) + "abcdefgh", "abcdefgh", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, child, err := Last(8)
			if err != nil {
				t.Fatal(err)
			}
			write(t, child, tc.written)
			got, truncated := p.Finish(long)
			if string(got) != tc.want || truncated != tc.truncated {
				t.Errorf("got %q, %v; want %q, %v", got, truncated, tc.want, tc.truncated)
			}
		})
	}
}

func TestFirstKeepsTheBeginningAndTellsOfTheRestOnce(t *testing.T) {
	for _, tc := range []struct {
		name, written, want string
		told                int
	}{
		{"fits", "abcdefgh", "abcdefgh", 0},
		{"longer", "abcdefgh-more", "abcdefgh", 1},
		{"much longer than one read", "abcdefgh" + strings.Repeat("x", 40000), "abcdefgh", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			told := 0
			p, child, err := First(8, func() { told++ })
			if err != nil {
				t.Fatal(err)
			}
			write(t, child, tc.written)
			got, truncated := p.Finish(long)
			if string(got) != tc.want || truncated != (tc.told > 0) || told != tc.told {
				t.Errorf("got %q, %v, told %d times; want %q, told %d times", got, truncated, told, tc.want, tc.told)
			}
		})
	}
}

// Attack: a task leaves a process behind that keeps the pipe open, so that
// whoever collects the output waits for ever.
func TestFinishDoesNotWaitForAWriterThatStays(t *testing.T) {
	p, child, err := Last(8)
	if err != nil {
		t.Fatal(err)
	}
	defer child.Close()
	if _, err := child.WriteString("abc"); err != nil {
		t.Fatal(err)
	}
	for { // until the reader has it
		p.mu.Lock()
		arrived := len(p.data) == 3
		p.mu.Unlock()
		if arrived {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if got, _ := p.Finish(time.Millisecond); !bytes.Equal(got, []byte("abc")) {
		t.Errorf("got %q, want what had arrived", got)
	}
}

func TestOneLine(t *testing.T) {
	for _, tc := range []struct {
		data      string
		truncated bool
		want      string
	}{
		{"", false, ""},
		{"one\n", false, "one"},
		{"panic: no\r\n\n  main.go:1\n", false, "panic: no | main.go:1"},
		{"red \x1b[31m and \u202e back", false, "red \ufffd[31m and \ufffd back"},
		{"half\nrest", true, "... half | rest"},
	} {
		if got := OneLine([]byte(tc.data), tc.truncated); got != tc.want {
			t.Errorf("OneLine(%q) = %q, want %q", tc.data, got, tc.want)
		}
	}
}
