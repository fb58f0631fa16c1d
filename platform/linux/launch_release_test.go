//go:build linux

package linux

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/linux/held"
)

// Attack: the file is exchanged between the decision and the launch
// (CVE-2021-3969).
func TestExchangedFile(t *testing.T) {
	l := newLauncher(t, 1, "")
	for _, tc := range []struct {
		name     string
		script   bool
		exchange func(t *testing.T, path string)
		want     error
	}{
		{"binary, another in its place", false, replaceByEcho, nil},
		{"binary, gone", false, func(t *testing.T, path string) { must(t, os.Remove(path)) }, nil},
		{"script, untouched", true, func(*testing.T, string) {}, nil},
		{"script, another in its place", true, replaceByEcho, ErrChanged},
		{"script, a link in its place", true, func(t *testing.T, path string) {
			must(t, os.Rename(path, path+".old"))
			must(t, os.Symlink(path+".old", path))
		}, ErrChanged},
		{"script, other contents", true, func(t *testing.T, path string) {
			must(t, os.WriteFile(path, []byte("#!/bin/sh\necho wrong\n"), 0o755))
		}, ErrChanged},
		{"script, other mode", true, func(t *testing.T, path string) { must(t, os.Chmod(path, 0o4755)) }, ErrChanged},
		{"script, gone", true, func(t *testing.T, path string) { must(t, os.Remove(path)) }, fs.ErrNotExist},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(public(t), "program")
			copyFile(t, "/bin/true", path)
			if tc.script {
				must(t, os.WriteFile(path, []byte("#!/bin/sh\nexit 0\n"), 0o755))
			}
			r, w, err := os.Pipe()
			must(t, err)
			defer r.Close()
			spec := command(t, path, "wrong")
			spec.Streams.Output = w
			if tc.script {
				spec.Script = path
			}
			h, err := l.Prepare(t.Context(), spec)
			must(t, err)
			tc.exchange(t, path)
			p, err := h.Release(t.Context())
			w.Close()
			if !errors.Is(err, tc.want) {
				t.Fatalf("Release: %v, want %v", err, tc.want)
			}
			if err == nil {
				if status, err := p.Wait(t.Context()); err != nil || status != (core.ExitStatus{}) {
					t.Errorf("ended with %v, %v", status, err)
				}
			}
			if out, _ := io.ReadAll(r); len(out) > 0 {
				t.Errorf("the other file ran: %q", out)
			}
		})
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(to, data, 0o755))
}

func replaceByEcho(t *testing.T, path string) {
	t.Helper()
	copyFile(t, "/bin/echo", path+".new")
	must(t, os.Rename(path+".new", path))
}

// Nothing runs without a release: not when the launch is discarded, and not
// when the service is gone.
func TestNothingRunsUnreleased(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "ran")
	t.Run("discarded", func(t *testing.T) {
		l := newLauncher(t, 1, "")
		h, err := l.Prepare(t.Context(), command(t, "/usr/bin/touch", marker))
		must(t, err)
		h.Discard()
		if l.tree.Alive(h.ID()) {
			t.Error("the child is alive")
		}
	})
	for name, told := range map[string]func(t *testing.T) []byte{
		"end of file at once":      func(*testing.T) []byte { return nil },
		"end of file after spec":   func(t *testing.T) []byte { return encoded(t, command(t, "/usr/bin/touch", marker)) },
		"end of file within spec":  func(t *testing.T) []byte { return encoded(t, command(t, "/usr/bin/touch", marker))[:90] },
		"something else than spec": func(*testing.T) []byte { return bytes.Repeat([]byte{1}, 100) },
		"less than a spec":         func(*testing.T) []byte { return []byte{1} },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLauncher(t, 0, "")
			_, files, _, err := translate(command(t, "/usr/bin/touch", marker), l.null, nil)
			must(t, err)
			c, err := l.spawn()
			must(t, err)
			if message := told(t); message != nil {
				must(t, send(t.Context(), c.conn, message, files))
			}
			must(t, c.conn.Close()) // as if this process had been killed
			if status, err := c.Wait(t.Context()); err != nil || status.Code != 125 {
				t.Errorf("the helper ended with %v, %v; want 125", status, err)
			}
		})
	}
	if _, err := os.Stat(marker); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the program ran: %v", err)
	}
}

func encoded(t *testing.T, spec port.LaunchSpec) []byte {
	t.Helper()
	told, _, _, err := translate(spec, nil, nil)
	must(t, err)
	message, err := told.Encode()
	must(t, err)
	return message
}

func TestReleaseSaysWhyNot(t *testing.T) {
	l := newLauncher(t, 2, "")
	dir := public(t)
	closed := filepath.Join(dir, "closed")
	must(t, os.Mkdir(closed, 0o700))
	garbage := filepath.Join(dir, "garbage")
	must(t, os.WriteFile(garbage, []byte("\x7fELF nonsense"), 0o755))
	plain := filepath.Join(dir, "plain")
	must(t, os.WriteFile(plain, []byte("x"), 0o644))
	for _, tc := range []struct {
		name string
		make func() port.LaunchSpec
		want error
		step held.Step
	}{
		{"not a program", func() port.LaunchSpec { return command(t, garbage) }, unix.ENOEXEC, held.StepExec},
		{"not executable", func() port.LaunchSpec { return command(t, plain) }, unix.EACCES, held.StepExec},
		{"script without interpreter", func() port.LaunchSpec {
			path := filepath.Join(dir, "orphaned")
			must(t, os.WriteFile(path, []byte("#!/no/such/interpreter\n"), 0o755))
			spec := command(t, path)
			spec.Script = path
			return spec
		}, unix.ENOENT, held.StepExec},
		{"a directory that the target may not enter", func() port.LaunchSpec {
			spec := command(t, "/bin/true")
			spec.Dir, spec.As.Account = handle(t, closed), otherAccount
			return spec
		}, unix.EACCES, held.StepDir},
		{"a working directory that is none", func() port.LaunchSpec {
			spec := command(t, "/bin/true")
			spec.Dir = handle(t, plain)
			return spec
		}, unix.ENOTDIR, held.StepDir},
		{"a terminal that is none", func() port.LaunchSpec {
			spec := command(t, "/bin/true")
			spec.Terminal = &terminal{slave: spec.Streams.Input}
			return spec
		}, unix.ENOTTY, held.StepTerminal},
		{"being written", func() port.LaunchSpec {
			path := filepath.Join(dir, "busy")
			copyFile(t, "/bin/true", path)
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			must(t, err)
			t.Cleanup(func() { f.Close() })
			return command(t, path)
		}, unix.ETXTBSY, held.StepExec},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, err := l.Prepare(t.Context(), tc.make())
			must(t, err)
			p, err := h.Release(t.Context())
			if p != nil || !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.step.String()) {
				t.Errorf("got %v, %v; want %v at %q", p, err, tc.want, tc.step)
			}
			if _, exists := readStat(h.ID().PID); exists {
				t.Error("a process remains")
			}
		})
	}
}

func TestProgramThatIsBusyForAMoment(t *testing.T) {
	l := newLauncher(t, 1, "")
	path := filepath.Join(public(t), "program")
	copyFile(t, "/bin/true", path)
	for range 5 {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		must(t, err)
		h, err := l.Prepare(t.Context(), command(t, path))
		must(t, err)
		time.AfterFunc(time.Millisecond, func() { f.Close() })
		if p, err := h.Release(t.Context()); err == nil {
			_, err = p.Wait(t.Context())
			must(t, err)
			return
		}
	}
	t.Error("it never started")
}

// Attack: the target user traces or inspects the root process that is about to
// become theirs.
func TestHelperIsOutOfTheTargetsReach(t *testing.T) {
	l := newLauncher(t, 1, "")
	path := filepath.Join(public(t), "busy") // keeps the helper between its new ids and exec
	copyFile(t, "/bin/true", path)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	defer f.Close()
	eventually(t, "the helper was seen between its ids and its exec", func() bool {
		spec := command(t, path)
		spec.As.Account = otherAccount
		h, err := l.Prepare(t.Context(), spec)
		must(t, err)
		dir := "/proc/" + strconv.Itoa(h.ID().PID)
		waiting, err := os.ReadFile(dir + "/status")
		must(t, err)
		if uid := field(string(waiting), "Uid:"); uid != "0 0 0 0" {
			t.Fatalf("it waits for its release with ids %s, want root's", uid)
		}
		done := make(chan struct{})
		go func() { defer close(done); h.Release(t.Context()) }()
		defer func() { <-done }()
		for {
			status, err := os.ReadFile(dir + "/status")
			if err != nil {
				return false
			}
			if field(string(status), "Uid:") != "4242 4242 4242 4242" {
				continue
			}
			// Who owns a process's directory may read its memory.
			info, err := os.Stat(dir + "/mem")
			if err != nil {
				return false
			}
			if uid := info.Sys().(*syscall.Stat_t).Uid; uid != 0 {
				t.Fatalf("user %d may trace the helper", uid)
			}
			return true
		}
	})
}
