package launcher

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kpm/core"
	"kpm/core/wire"
)

func TestWhatCannotBeSealedIsRefused(t *testing.T) {
	broken := errors.New("broken")
	fault := func(method string, err error) func(*world, *Submission) {
		return func(w *world, _ *Submission) { w.files.fault = map[string]error{method: err} }
	}
	mine := func(w *world) string { return w.path("home/mine") }
	tool := func(*world) string { return "tool" }
	script := func(content string, protected bool) func(*world) string {
		return func(w *world) string {
			w.program("home/script", strings.ReplaceAll(content, "$DIR", w.dir), protected)
			return w.path("home/script")
		}
	}
	cases := map[string]struct {
		command func(*world) string
		change  func(*world, *Submission)
		code    string
		says    string
	}{
		"another namespace":           {tool, func(_ *world, k *Submission) { k.Peer.Foreign = true }, "bad-request", "namespace"},
		"two identities":              {tool, func(_ *world, k *Submission) { k.Peer.SameIdentity = false }, "bad-request", "more than one identity"},
		"two processes":               {tool, func(_ *world, k *Submission) { k.Peer.Processes = append(k.Peer.Processes, self) }, "bad-request", "more than one identity"},
		"no process":                  {tool, func(_ *world, k *Submission) { k.Peer.Processes = nil }, "bad-request", "more than one identity"},
		"no argv":                     {tool, func(_ *world, k *Submission) { k.Argv = nil }, "bad-request", "no command"},
		"no command":                  {tool, func(_ *world, k *Submission) { k.Command = "" }, "bad-request", "no command"},
		"denied something":            {tool, func(_ *world, k *Submission) { k.Peer.Confined = "seccomp" }, "bad-request", "confined (seccomp)"},
		"command, not UTF-8":          {tool, func(_ *world, k *Submission) { k.Command = "\xff" }, "bad-request", "not UTF-8"},
		"target, not UTF-8":           {tool, func(_ *world, k *Submission) { k.TargetUser = "\xff" }, "bad-request", "not UTF-8"},
		"argument with NUL":           {tool, func(_ *world, k *Submission) { k.Argv = []string{"tool", "a\x00b"} }, "bad-request", "NUL"},
		"argument with escapes":       {tool, func(_ *world, k *Submission) { k.Argv = []string{"tool", "\x1b[2J\x00\xff"} }, "bad-request", `"\x1b[2J\x00\xff"`},
		"too long":                    {tool, func(_ *world, k *Submission) { k.Argv = []string{"tool", strings.Repeat("x", wire.MaxSubject)} }, "bad-request", "shorten it"},
		"too many":                    {tool, func(_ *world, k *Submission) { k.Argv = make([]string, wire.MaxSubject+1) }, "bad-request", "shorten it"},
		"a user without account":      {tool, func(_ *world, k *Submission) { k.Peer.User = "4242" }, "not-found", "user 4242"},
		"unknown target":              {tool, func(_ *world, k *Submission) { k.TargetUser = "nobody\x1b" }, "not-found", `no user "nobody\x1b"`},
		"target without account":      {tool, func(_ *world, k *Submission) { k.TargetUser = "#4242" }, "not-found", `no user "#4242"`},
		"target by wrong uid":         {tool, func(_ *world, k *Submission) { k.TargetUser = "#-1" }, "not-found", "no user"},
		"target is digits":            {tool, func(_ *world, k *Submission) { k.TargetUser = "1000" }, "not-found", "no user"},
		"no such bare name":           {func(*world) string { return "none" }, nil, "not-found", `no program "none"`},
		"a path without a handle":     {mine, func(_ *world, k *Submission) { k.Executable.Close(); k.Executable = nil }, "bad-request", "without the program"},
		"a directory":                 {func(w *world) string { return w.dir + "/." }, nil, "bad-request", "not a regular file"},
		"not executable":              {mine, func(w *world, _ *Submission) { os.Chmod(mine(w), 0o644) }, "bad-request", "permission to execute"},
		"removed":                     {mine, func(w *world, _ *Submission) { os.Remove(mine(w)) }, "not-found", "no such program"},
		"working directory is a file": {tool, func(w *world, k *Submission) { k.Dir.Close(); k.Dir = w.handle(mine(w)) }, "bad-request", "working directory"},
		"unreadable":                  {mine, fault("Copy", fs.ErrPermission), "bad-request", "cannot read it"},
		"not for the target to run":   {mine, fault("Copy", core.ErrMayNotRun), "bad-request", "would run as root, who may not execute it"},
		"a script not to be read":     {mine, fault("Copy", core.ErrMayNotRead), "bad-request", "may execute it and not read it"},
		"a device":                    {mine, fault("Protected", core.ErrNotRegular), "bad-request", "regular file"},
		"copying breaks":              {mine, fault("Copy", broken), "failed", "log has more"},
		"copying takes too long":      {mine, fault("Copy", context.DeadlineExceeded), "failed", "took too long"},
		"hashing breaks":              {tool, fault("Open", broken), "failed", "log has more"},
		"protection unknown":          {mine, fault("Protected", broken), "failed", "log has more"},
		"it changes meanwhile": {tool, func(w *world, _ *Submission) {
			w.files.onOpen = func(path string) { os.Chtimes(path, time.Now(), time.Now().Add(time.Hour)) }
		}, "bad-request", "try again"},
		"it is huge": {mine, func(w *world, _ *Submission) { os.Truncate(mine(w), 1<<30+1) }, "unavailable", "limit for copies"},

		"script: no interpreter":        {script("#!\n", true), nil, "bad-request", "its first line"},
		"script: relative interpreter":  {script("#!bin/sh\n", true), nil, "bad-request", "its first line"},
		"script: line too long":         {script("#!/"+strings.Repeat("x", 300)+"\n", true), nil, "bad-request", "its first line"},
		"script: interpreter missing":   {script("#!$DIR/bin/none\n", true), nil, "bad-request", "cannot be used"},
		"script: interpreter of theirs": {script("#!$DIR/home/mine\n", true), nil, "bad-request", "cannot be used"},
		"script: of a script":           {script("#!$DIR/bin/script\n", true), nil, "bad-request", "cannot be used"},
		"script: of a directory":        {script("#!$DIR\n", true), nil, "bad-request", "cannot be used"},
		"copied script: of theirs":      {script("#!$DIR/home/mine\n", false), nil, "bad-request", "cannot be used"},
		"copied script: relative":       {script("#!sh\n", false), nil, "bad-request", "its first line"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			k := w.submission(c.command(w))
			if c.change != nil {
				c.change(w, &k)
			}
			v := w.begin(k)
			r := v.refused()
			if r.Code != c.code || !strings.Contains(r.Message, c.says) || strings.ContainsAny(r.Message, "\x1b\x00") {
				t.Errorf("%s: %s", r.Code, r.Message)
			}
			if len(w.bus.asks) != 0 || w.recorded() != "" {
				t.Errorf("it became a request: %s", w.recorded())
			}
			if entries, err := os.ReadDir(w.path("exec")); err != nil || len(entries) != 0 || w.seals.Copies.Taken() != 0 {
				t.Errorf("%d copies are left (%v), %d bytes", len(entries), err, w.seals.Copies.Taken())
			}
		})
	}
}

// The same words whatever is wrong: the caller must not learn which files
// exist where they cannot look (CVE-2025-46718).
func TestInterpreterFaultsDoNotTellWhatExists(t *testing.T) {
	w := newWorld(t)
	w.program("secret/there", "x", false)
	var said []string
	for _, path := range []string{"secret/there", "secret/missing"} {
		w.program("home/probe", "#!"+w.path(path)+"\n", false)
		r := w.begin(w.submission(w.path("home/probe"))).refused()
		said = append(said, strings.ReplaceAll(r.Message, w.path(path), "X"))
	}
	if said[0] != said[1] {
		t.Errorf("%q and %q", said[0], said[1])
	}
}

func TestWhatIsSealed(t *testing.T) {
	w := newWorld(t)
	relative := w.submission(w.path("home/mine"))
	relative.Command = "home/mine"
	liar := w.submission(w.path("bin/tool"))
	liar.Command = "/usr/bin/harmless"
	asAda := w.submission("tool")
	asAda.TargetUser = "ada"
	byID := w.submission("tool")
	byID.TargetUser = "#1000"
	copied := w.submission(w.path("home/mine"))
	w.program("home/script", "#!"+w.path("bin/sh")+"  -e  x \necho\n", false)
	cases := map[string]struct {
		submitted Submission
		want      core.Executable
		user      core.UserID
		sh        bool
	}{
		"bare name":       {w.submission("tool"), core.Executable{Requested: "tool", Path: w.path("bin/tool"), Protected: true}, "0", false},
		"path":            {w.submission(w.path("bin/tool")), core.Executable{Requested: w.path("bin/tool"), Path: w.path("bin/tool"), Protected: true}, "0", false},
		"relative path":   {relative, core.Executable{Requested: w.path("home/mine"), Path: w.path("home/mine")}, "0", false},
		"a false name":    {liar, core.Executable{Requested: "/usr/bin/harmless", Path: w.path("bin/tool"), Protected: true}, "0", false},
		"as ada":          {asAda, core.Executable{Requested: "tool", Path: w.path("bin/tool"), Protected: true}, "1000", false},
		"as uid 1000":     {byID, core.Executable{Requested: "tool", Path: w.path("bin/tool"), Protected: true}, "1000", false},
		"not protected":   {copied, core.Executable{Requested: w.path("home/mine"), Path: w.path("home/mine")}, "0", false},
		"script":          {w.submission("script"), core.Executable{Requested: "script", Path: w.path("bin/script"), Protected: true, Interpreter: w.path("bin/sh")}, "0", true},
		"unsafe script":   {w.submission(w.path("home/script")), core.Executable{Requested: w.path("home/script"), Path: w.path("home/script"), Interpreter: w.path("bin/sh")}, "0", true},
		"script as path":  {w.submission(w.path("bin/script")), core.Executable{Requested: w.path("bin/script"), Path: w.path("bin/script"), Protected: true, Interpreter: w.path("bin/sh")}, "0", true},
		"ordinary binary": {w.submission("sh"), core.Executable{Requested: "sh", Path: w.path("bin/sh"), Protected: true}, "0", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			defer c.submitted.Close()
			s, err := w.sealer.Seal(context.Background(), &c.submitted.Request)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			got := s.Subject.Executable
			if len(got.SHA256) != 64 {
				t.Errorf("hash %q", got.SHA256)
			}
			got.SHA256 = ""
			if !cmp.Equal(got, c.want) || s.Subject.Target.User != c.user || s.Digest != s.Subject.Digest() {
				t.Errorf("sealed %+v as %s, expected %+v as %s", got, s.Subject.Target.User, c.want, c.user)
			}
			script := ""
			if c.sh {
				script = s.Handle.Name()
			}
			if copied := filepath.Dir(s.Handle.Name()) == w.path("exec"); s.Script != script || copied == got.Protected {
				t.Errorf("script %q of %s", s.Script, s.Handle.Name())
			}
		})
	}
}

// Attack: a caller who is no keepersudo calls one program another, or names a
// path that leads elsewhere.
func TestWhatAProgramIsCalledIsNotTheCallersWord(t *testing.T) {
	w := newWorld(t)
	for name, tc := range map[string]struct {
		submitted Submission
		command   string // what the caller says that it named
		want      string
	}{
		"its own name":            {w.submission("tool"), "tool", "tool"},
		"its own path":            {w.submission(w.path("bin/tool")), w.path("bin/tool"), w.path("bin/tool")},
		"another's path":          {w.submission(w.path("bin/tool")), w.path("bin/sh"), w.path("bin/tool")},
		"nobody's path":           {w.submission(w.path("bin/tool")), "/usr/bin/harmless", w.path("bin/tool")},
		"another's name":          {w.submission(w.path("bin/tool")), "sh", w.path("bin/tool")},
		"one that can be changed": {w.submission(w.path("home/mine")), "mine", w.path("home/mine")},
	} {
		tc.submitted.Command, tc.submitted.Argv = tc.command, []string{"reboot", "-x"}
		s, err := w.sealer.Seal(context.Background(), &tc.submitted.Request)
		if err != nil {
			t.Fatal(name, err)
		}
		if got := s.Subject.Argv; !slices.Equal(got, []string{tc.want, "-x"}) {
			t.Errorf("%s: called %q, expected %s", name, got, tc.want)
		}
		s.Close()
		tc.submitted.Close()
	}
}

func TestDigestsOfProtectedFilesAreRemembered(t *testing.T) {
	w := newWorld(t)
	sealed := func(command string) string {
		t.Helper()
		k := w.submission(command)
		defer k.Close()
		s, err := w.sealer.Seal(context.Background(), &k.Request)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		return s.Subject.Executable.SHA256
	}
	first := sealed("tool")
	opens := w.files.opens.Load()
	if second := sealed("tool"); second != first || w.files.opens.Load() != opens {
		t.Errorf("hashed again: %s, %s", first, second)
	}
	w.program("bin/tool", "\x7fELF another", true)
	if third := sealed("tool"); third == first || w.files.opens.Load() == opens {
		t.Errorf("a changed file has its old hash %s", third)
	}
	for range 2 {
		copies := w.files.copies.Load()
		if sealed(w.path("home/mine")); w.files.copies.Load() != copies+1 {
			t.Error("a file that its owner can change was remembered")
		}
	}
}
