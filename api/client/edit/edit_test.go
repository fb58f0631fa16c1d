//go:build linux

package edit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func alone(string) error { return nil }

// conversation runs Serve on file and answers what it shows with what and payload;
// kind 0 says nothing and hangs up.
func conversation(t *testing.T, file string, protected Protected, between func(), what kind, payload []byte) (shown []byte, last kind, text string, err error) {
	t.Helper()
	in, say, e1 := os.Pipe()
	hear, out, e2 := os.Pipe()
	if err := errors.Join(e1, e2); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		defer out.Close()
		ended <- Serve(file, protected, in, out)
	}()
	k, shown, received := receive(hear)
	if received == nil && k == failed {
		say.Close()
		return nil, failed, string(shown), <-ended
	}
	if between != nil {
		between()
	}
	if what != 0 {
		if err := send(say, what, payload); err != nil {
			t.Fatal(err)
		}
	}
	say.Close()
	last, answer, received := receive(hear)
	if received != nil && !errors.Is(received, io.EOF) {
		t.Fatal(received)
	}
	return shown, last, string(answer), <-ended
}

func TestServe(t *testing.T) {
	for name, tc := range map[string]struct {
		what    kind
		payload string
		between func(path string)
		want    string // in the file afterwards
		last    kind
		err     error
	}{
		"left as it is":       {want: "before\n"},
		"written":             {what: replace, payload: "after, and longer\n", want: "after, and longer\n", last: done},
		"written shorter":     {what: replace, payload: "x", want: "x", last: done},
		"emptied":             {what: replace, want: "", last: done},
		"changed meanwhile":   {what: replace, payload: "mine", between: func(p string) { os.WriteFile(p, []byte("theirs"), 0) }, want: "theirs", last: failed, err: ErrChanged},
		"something else said": {what: done, want: "before\n", last: failed, err: errFrame},
		// The name leads elsewhere by now: what was shown is what is written.
		"another file in its place": {what: replace, payload: "after", between: func(p string) {
			os.Rename(p, p+".was")
			os.WriteFile(p, []byte("other"), 0o600)
		}, want: "other", last: done},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, []byte("before\n"), 0o640); err != nil {
				t.Fatal(err)
			}
			between := func() {
				if tc.between != nil {
					tc.between(path)
				}
			}
			shown, last, _, err := conversation(t, path, alone, between, tc.what, []byte(tc.payload))
			if string(shown) != "before\n" || last != tc.last || !errors.Is(err, tc.err) {
				t.Errorf("shown %q, last %c, %v", shown, last, err)
			}
			if now, err := os.ReadFile(path); err != nil || string(now) != tc.want {
				t.Errorf("it holds %q, %v; want %q", now, err, tc.want)
			}
		})
	}
}

func TestServeRefuses(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	open, err := os.Create(path("handed over"))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if err := errors.Join(os.WriteFile(path("file"), []byte("x"), 0o600), syscall.Mkfifo(path("pipe"), 0o600), os.Mkdir(path("dir"), 0o700),
		os.WriteFile(path("large"), nil, 0o600), os.Truncate(path("large"), MaxFile+1)); err != nil {
		t.Fatal(err)
	}
	anyone := func(string) error { return ErrNotSealed }
	for name, tc := range map[string]struct {
		file      string
		protected Protected
		want      error
	}{
		"others can exchange it":      {path("file"), anyone, ErrNotSealed},
		"the caller's own input":      {"/proc/self/fd/0", anyone, ErrNotSealed},
		"the caller's own, disguised": {"/proc/self/fd/00", anyone, ErrNotSealed},
		"below a descriptor":          {"/proc/self/fd/9/passwd", anyone, ErrNotSealed},
		"another process's":           {"/proc/1/fd/9", anyone, ErrNotSealed},
		"a pipe":                      {path("pipe"), alone, ErrNotRegular},
		"a directory":                 {path("dir"), alone, syscall.EISDIR},
		"nothing":                     {path("none"), alone, os.ErrNotExist},
		"a terminal":                  {"/dev/ptmx", alone, ErrNotRegular},
		"too large":                   {path("large"), alone, ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			_, last, text, err := conversation(t, tc.file, tc.protected, nil, 0, nil)
			if last != failed || !errors.Is(err, tc.want) || !strings.Contains(text, tc.file) {
				t.Errorf("%c %q, %v; want %v", last, text, err, tc.want)
			}
		})
	}
	if shown, _, _, err := conversation(t, fmt.Sprintf("/proc/self/fd/%d", open.Fd()), anyone, nil, replace, []byte("new")); err != nil || len(shown) != 0 {
		t.Errorf("a file that is handed over: %q, %v", shown, err)
	}
	if now, err := os.ReadFile(path("handed over")); err != nil || string(now) != "new" {
		t.Errorf("it holds %q, %v", now, err)
	}
}

// A disk that is full keeps what was there.
func TestServeOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte("before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, last, _, err := conversation(t, path, alone, nil, replace, bytes.Repeat([]byte("x"), 1<<20))
	if last != failed || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%c, %v", last, err)
	}
	if now, err := os.ReadFile(path); err != nil || string(now) != "before\n" {
		t.Errorf("it holds %d bytes, %v", len(now), err)
	}
}

func TestEditor(t *testing.T) {
	for name, tc := range map[string]struct {
		env  map[string]string
		want string
	}{
		"sudo's own first": {map[string]string{"SUDO_EDITOR": "a -x", "VISUAL": "b", "EDITOR": "c"}, "a|-x"},
		"then visual":      {map[string]string{"SUDO_EDITOR": " ", "VISUAL": "b", "EDITOR": "c"}, "b"},
		"then editor":      {map[string]string{"EDITOR": "c"}, "c"},
	} {
		got, err := Editor(func(name string) string { return tc.env[name] })
		if err != nil || strings.Join(got, "|") != tc.want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if got, err := Editor(func(string) string { return "" }); err == nil {
		t.Errorf("where none is: %q", got)
	}
}

func FuzzReceive(f *testing.F) {
	var one bytes.Buffer
	send(&one, contents, []byte("text"))
	f.Add(one.Bytes())
	f.Add([]byte{'F', 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		k, payload, err := receive(bytes.NewReader(data))
		if err == nil {
			var again bytes.Buffer
			if send(&again, k, payload); !bytes.HasPrefix(data, again.Bytes()) {
				t.Errorf("%q read as %c %q", data, k, payload)
			}
		}
	})
}
