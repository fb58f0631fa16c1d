//go:build linux

package e2e

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestPathWildcards: a wildcard over paths stays where it looks to stay.
func TestPathWildcards(t *testing.T) {
	dir := reachable(t)
	web, other := filepath.Join(dir, "web"), filepath.Join(dir, "other")
	if err := errors.Join(os.Mkdir(web, 0o755), os.WriteFile(filepath.Join(web, "page"), []byte("page\n"), 0o600),
		os.WriteFile(other, []byte("secret\n"), 0o600), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	a := newAgent(t, policyOf("tail", "ALLOW", `, "ApplicationCheck": ["/usr/bin/tail"], "Extension": {"AllowCommands": ["tail -n 1 `+web+`/*"]}`), nil)
	for path, want := range map[string]string{
		web + "/page": "page\n", web + "/./page": "page\n", web + "/../other": "", web + "/../web/../other": "", web + "/..//other": "",
	} {
		out, status := sudoed(t, a, "tail", "-n", "1", path)
		if want == "" && (status != 1 || strings.Contains(out, "secret")) || want != "" && out != want {
			t.Errorf("%s: exit status %d: %s", path, status, out)
		}
	}
}

// TestPathArgumentThatIsExchanged: the command is given the file that was decided
// on, whatever its owner has made of its name by then.
func TestPathArgumentThatIsExchanged(t *testing.T) {
	dir := reachable(t)
	web, secret := filepath.Join(dir, "web"), filepath.Join(dir, "secret")
	page := filepath.Join(web, "page")
	fresh := func() {
		if err := errors.Join(os.RemoveAll(web), os.Mkdir(web, 0o755), os.WriteFile(page, []byte("page\n"), 0o644),
			os.Chown(web, 4242, 4242), os.Chown(page, 4242, 4242)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.WriteFile(secret, []byte("secret\n"), 0o600), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	a := newAgent(t, "["+policyOf("cat", "ALLOW", `, "ApplicationCheck": ["/usr/bin/cat"], "Extension": {"AllowCommands": ["cat {path:`+web+`/*}"]}`)+","+
		policyOf("chown", "ALLOW", `, "ApplicationCheck": ["/usr/bin/chown"], "Extension": {"AllowCommands": ["chown --from=4242 root {path:`+web+`/*}"]}`)+"]", nil)

	fresh()
	for _, tc := range []struct{ dir, path, want string }{
		{"/", page, "page\n"},
		{web, "page", "page\n"},
		{web, "../web/page", "page\n"},
		{dir, "secret", ""},
		{web, "../secret", ""},
		{"/", web + "/missing", ""},
	} {
		cmd := a.Sudo(t.Context(), 4242, "cat", tc.path)
		cmd.Dir = tc.dir
		out, err := cmd.CombinedOutput()
		if tc.want == "" && (err == nil || bytes.Contains(out, []byte("secret\n"))) || tc.want != "" && string(out) != tc.want {
			t.Errorf("cat %s in %s: %v: %s", tc.path, tc.dir, err, out)
		}
	}
	if out, status := sudoed(t, a, "chown", "--from=4242", "root", page); status != 0 {
		t.Errorf("chown: %s", out)
	} else if info, err := os.Stat(page); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("chown changed nothing: %v, %v", info, err)
	}

	// A link, and another name of root's file, are not what lies below web.
	fresh()
	if err := errors.Join(os.Remove(page), os.Symlink(secret, page)); err != nil {
		t.Fatal(err)
	}
	if out, status := sudoed(t, a, "cat", page); status != 1 || strings.Contains(out, "secret\n") {
		t.Errorf("a link: exit status %d: %s", status, out)
	}
	if err := errors.Join(os.Remove(page), os.Link(secret, page)); err != nil {
		t.Fatal(err)
	}
	if out, status := sudoed(t, a, "cat", page); status == 0 || strings.Contains(out, "secret\n") || !strings.Contains(out, "2 names") {
		t.Errorf("another name: exit status %d: %s", status, out)
	}

	// Its owner exchanges it for a link and back, all the time.
	fresh()
	next := filepath.Join(web, "next")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if i%2 == 0 {
				_ = os.Symlink(secret, next)
			} else {
				_ = os.WriteFile(next, []byte("page\n"), 0o644)
			}
			_ = os.Rename(next, page)
		}
	}()
	ran := 0
	for i := range 200 {
		out, status := sudoed(t, a, "cat", page)
		if strings.Contains(out, "secret\n") {
			t.Errorf("request %d read what the link leads to: %s", i, out)
			break
		}
		if status == 0 && out == "page\n" {
			ran++
		}
	}
	close(stop)
	<-stopped
	if ran == 0 {
		t.Error("none of 200 requests ran, so that nothing has been tested")
	}
}

// TestDenyOfALink: a DENY of a link holds for the program that it leads to, by
// whatever name it is called, and when the link is changed.
func TestDenyOfALink(t *testing.T) {
	dir := reachable(t)
	link := filepath.Join(dir, "tool")
	if err := errors.Join(os.Symlink("/usr/bin/uname", link), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	awk, err := filepath.EvalSymlinks("/usr/bin/awk")
	if err != nil {
		t.Fatal(err)
	}
	a := newAgent(t, "["+policyOf("all", "ALLOW", "")+","+policyOf("no-awk", "DENY", `, "ApplicationCheck": ["/usr/bin/awk"]`)+","+
		policyOf("no-shell", "DENY", `, "ApplicationCheck": ["/usr/*/sh"]`)+","+policyOf("no-tool", "DENY", `, "ApplicationCheck": ["`+link+`"]`)+"]", nil)
	shell, err := filepath.EvalSymlinks("/usr/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"sh", shell, filepath.Base(shell)} { // named with "*" for a folder
		if out, status := sudoed(t, a, program, "-c", "echo ran"); status != 1 || !strings.Contains(out, "no-shell") {
			t.Errorf("%s: exit status %d: %s", program, status, out)
		}
	}
	for _, program := range []string{"awk", "/usr/bin/awk", awk, filepath.Base(awk)} {
		if out, status := sudoed(t, a, program, "BEGIN { print 1 }"); status != 1 || !strings.Contains(out, "no-awk") {
			t.Errorf("%s: exit status %d: %s", program, status, out)
		}
	}
	if out, status := sudoed(t, a, "uname"); status != 1 || !strings.Contains(out, "no-tool") {
		t.Errorf("uname: exit status %d: %s", status, out)
	}
	if out, status := sudoed(t, a, "whoami"); status != 0 || out != "root\n" {
		t.Errorf("whoami: exit status %d: %s", status, out)
	}
	// As update-alternatives does it.
	if err := errors.Join(os.Symlink("/usr/bin/whoami", link+".next"), os.Rename(link+".next", link)); err != nil {
		t.Fatal(err)
	}
	if out, status := sudoed(t, a, "whoami"); status != 1 || !strings.Contains(out, "no-tool") {
		t.Errorf("whoami after the link has changed: exit status %d: %s", status, out)
	}
	if out, status := sudoed(t, a, "uname"); status != 0 {
		t.Errorf("uname after the link has changed: exit status %d: %s", status, out)
	}
}
