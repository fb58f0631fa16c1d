//go:build linux

package early

import (
	"bytes"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"kpm/core/door"
	"kpm/settings"
)

// words lays texts out as the kernel does.
func words(argv, environ []string) (at *uintptr, keep func()) {
	kept := make([][]byte, 0, len(argv)+len(environ))
	stack := []uintptr{uintptr(len(argv))}
	for _, list := range [][]string{argv, environ} {
		for _, s := range list {
			b := append([]byte(s), 0)
			kept = append(kept, b)
			stack = append(stack, uintptr(unsafe.Pointer(&b[0])))
		}
		stack = append(stack, 0)
	}
	return &stack[0], func() { runtime.KeepAlive(kept); runtime.KeepAlive(stack) }
}

// said is what read makes of a command line: the request and the agent's root.
func said(t *testing.T, argv, environ []string) (r door.Request, root string, ok bool) {
	t.Helper()
	s := &stage{}
	at, keep := words(argv, environ)
	defer keep()
	if !s.read(at) {
		return r, "", false
	}
	kind, body, err := door.Read(bytes.NewReader(s.request.frame[:s.request.n]))
	if err != nil || kind != door.TypeRequest || len(body) != s.request.n-headerSize {
		t.Fatalf("frame %d of %d bytes, %v", kind, len(body), err)
	}
	copy(body[3:], "a key of 16 byte") // setKey's, whose place is looked at below
	if s.request.key != headerSize+3 {
		t.Errorf("the key is to be at %d", s.request.key)
	}
	r, err = door.DecodeRequest(body)
	if err != nil {
		t.Fatal(err)
	}
	return r, unsafe.String(s.request.root, length(s.request.root)), true
}

func TestCommandLinesForTheRuntime(t *testing.T) {
	for _, argv := range [][]string{
		{}, {"keepersudo"}, {"keepersudo", ""}, {"keepersudo", "-n"}, {"keepersudo", "--"}, {"keepersudo", "--root"}, {"keepersudo", "--root", "/r"},
		{"keepersudo", "--root", "", "id"}, {"keepersudo", "--root=/r", "id"}, {"keepersudo", "-nk", "id"}, {"keepersudo", "-u", "bob", "id"},
		{"keepersudo", "--non-interactive", "id"}, {"keepersudo", "--help"}, {"keepersudo", "-e", "f"}, {"keepersudo", "A=b", "id"},
		{"keepersudo", "--", "-x"}, {"keepersudo", "id", strings.Repeat("x", 70<<10)},
	} {
		if r, _, ok := said(t, argv, nil); ok {
			t.Errorf("%.40q: %+v", argv, r)
		}
	}
}

func TestAgentRoot(t *testing.T) {
	fallback := settings.DefaultRoot()
	mine := "/mine"
	if os.Geteuid() == 0 {
		mine = fallback
	}
	for want, environ := range map[string][]string{
		fallback: {"HOME=/", rootVariable + "=", rootVariable + "=/second", rootVariable + "X=/x", rootVariable},
		mine:     {rootVariable + "=/mine", rootVariable + "=/second"},
	} {
		if _, root, ok := said(t, []string{"keepersudo", "id"}, environ); !ok || root != want {
			t.Errorf("%q: %q, want %q", environ, root, want)
		}
	}
	if _, root, _ := said(t, []string{"keepersudo", "--root", "/one", "--root", "/two", "id"}, []string{rootVariable + "=/mine"}); root != "/two" {
		t.Errorf("%q", root)
	}
}

// Whatever the words are, what is asked is what they say.
func FuzzRequest(f *testing.F) {
	f.Add("-n\x00--root\x00/r\x00--\x00/bin/id\x00-u\x00", "TERM=x\x00LC_ALL=C\x00TERM=y\x00KEEPER_AGENT_ROOT=/a")
	f.Add("id\x00\xff\x00a b", "LANG\x00LANG=C\x00=\x00TZ=")
	f.Fuzz(func(t *testing.T, arguments, variables string) {
		argv, environ := append([]string{"keepersudo"}, strings.Split(arguments, "\x00")...), strings.Split(variables, "\x00")
		environ = slices.DeleteFunc(environ, func(v string) bool { return v == "" }) // execve(2) gives none
		r, _, ok := said(t, argv, environ)
		if !ok {
			return
		}
		from := len(argv) - len(r.Argv)
		if !slices.Equal(r.Argv, argv[from:]) || r.Command != argv[from] || r.HasExecutable != strings.Contains(r.Command, "/") {
			t.Errorf("%q: %+v", argv, r)
		}
		if !r.NoWait || r.Terminal || r.TargetUser != "" || r.For != 0 || r.List || r.FileAccess {
			t.Errorf("%q: %+v", argv, r)
		}
		seen := map[string]bool{}
		var want []string
		for _, v := range environ {
			name, _, is := strings.Cut(v, "=")
			if is && seen[name] {
				continue
			}
			seen[name] = seen[name] || is
			if strings.HasPrefix(name, "LC_") || slices.Contains([]string{"TERM", "COLORTERM", "LANG", "LANGUAGE", "TZ", "NO_COLOR"}, name) {
				want = append(want, v)
			}
		}
		if !slices.Equal(r.Env, want) {
			t.Errorf("%q: %q, want %q", environ, r.Env, want)
		}
	})
}
