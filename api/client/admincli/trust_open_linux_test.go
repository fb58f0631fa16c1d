package admincli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A named pipe would wait for whoever writes into it. What is named beside it is
// inspected all the same.
func TestInspectDoesNotWaitForAPipe(t *testing.T) {
	root := released(t)
	pipe := filepath.Join(root, "pipe")
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	code, out, diag := do(t, "trust", "inspect", "--root", root, pipe, root, filepath.Join(root, "good"))
	if code != exitUsage || !strings.Contains(out, "openpgp: TRUSTED") || strings.Count(diag, "\n") != 2 ||
		!strings.Contains(diag, pipe+": it is no regular file") || !strings.Contains(diag, root+": it is a directory") {
		t.Errorf("%d %q %q", code, out, diag)
	}
}

// Whoever interrupts has the answer of no further file.
func TestInspectIsInterrupted(t *testing.T) {
	root := released(t)
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	for name, cfg := range map[string]Config{"an administrator": machine(), "a user": byUser()} {
		var out, diag bytes.Buffer
		code := Run(ctx, []string{"trust", "inspect", "--root", root, filepath.Join(root, "good"), filepath.Join(root, "changed")}, &out, &diag, cfg)
		if code != exitUsage || out.Len() > 0 || !strings.Contains(diag.String(), "interrupted") {
			t.Errorf("%s: %d %q %q", name, code, out.String(), diag.String())
		}
	}
}

// Without an agent nobody is trusted, and a user is told what there is.
func TestInspectWithoutAnAgent(t *testing.T) {
	t.Setenv("KEEPER_AGENT_ROOT", "")
	root := released(t)
	cfg := byUser()
	if _, err := os.Stat(cfg.Host("").Facts.Platform.DefaultRoot()); err == nil {
		t.Fatal("there is an agent on this machine, which this test would read")
	}
	code, out, diag := doOn(cfg, "trust", "inspect", filepath.Join(root, "good"))
	if code != exitOK || !strings.Contains(out, "rank    none") || !strings.Contains(diag, "no agent here, so nobody is trusted") {
		t.Errorf("%d %q %q", code, out, diag)
	}
	// Root has no file read but by keeperreader, and none lies beside this test.
	code, out, diag = do(t, "trust", "inspect", filepath.Join(root, "good"))
	if code != exitUsage || out != "" || !strings.Contains(diag, "run this as an ordinary user") {
		t.Errorf("%d %q %q", code, out, diag)
	}
}

func TestInspectSaysWhatItDoesNotRead(t *testing.T) {
	root := released(t)
	for name, c := range map[string]struct{ content, says string }{
		"archive.jar": {"PK\x03\x04 and more of it", "a ZIP archive (JAR, APK, MSIX, NuGet, Office), whose own signatures are not read here"},
		"module.ko":   {"\x7fELF module ~Module signature appended~\n", "a Linux kernel module, whose own signatures are not read here"},
		"plain":       {"nothing in particular", "it is not signed"},
	} {
		path := filepath.Join(root, name)
		if err := os.WriteFile(path, []byte(c.content), 0o644); err != nil {
			t.Fatal(err)
		}
		if out := tell(t, exitOK, "trust", "inspect", "--root", root, path); !strings.Contains(out, c.says) {
			t.Errorf("%s: %s", name, out)
		}
		var found struct{ Reason, NotRead string }
		if err := json.Unmarshal([]byte(tell(t, exitOK, "trust", "inspect", "--json", "--root", root, path)), &found); err != nil {
			t.Fatal(err)
		}
		if (found.NotRead == "") != (name == "plain") || !strings.Contains(found.Reason, c.says) {
			t.Errorf("%s: %+v", name, found)
		}
	}
}
