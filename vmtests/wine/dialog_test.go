//go:build linux

package wine

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDialogs: the dialogs of Windows on a real X server: answered, denied, left by
// Escape, closed, killed, and closed because nobody waits for an answer any more.
func TestDialogs(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	dir := t.TempDir()
	for _, name := range []string{"KeeperMFA", "KeeperApproval"} {
		build(t, "build", "-o", filepath.Join(dir, name+".exe"), "../../cmd/"+name)
	}
	m := windows(t, dir)
	display := screen(t)
	xdotool := func(args ...string) string {
		cmd := exec.CommandContext(ctx, "xdotool", args...)
		cmd.Env = append(os.Environ(), "DISPLAY="+display)
		out, _ := cmd.Output() // of a window that is not there yet nothing
		return strings.TrimSpace(string(out))
	}
	for i, tc := range []struct {
		program, kind string
		do            func(window string, d *exec.Cmd, in io.Closer)
		want          string
	}{
		{"KeeperMFA", "code", func(w string, _ *exec.Cmd, _ io.Closer) {
			xdotool("type", "--delay", "50", "123456")
			xdotool("key", "Return")
		}, `{"outcome":"given","text":"123456"}`},
		{"KeeperMFA", "code", func(string, *exec.Cmd, io.Closer) { xdotool("key", "Escape") }, `{"outcome":"declined"}`},
		{"KeeperMFA", "code", func(string, *exec.Cmd, io.Closer) { xdotool("key", "alt+F4") }, `{"outcome":"declined"}`},
		{"KeeperMFA", "code", func(_ string, d *exec.Cmd, _ io.Closer) {
			kills(d.Args[len(d.Args)-1])
		}, ""},
		{"KeeperMFA", "code", func(_ string, _ *exec.Cmd, in io.Closer) { in.Close() }, ""},
		{"KeeperApproval", "decision", func(string, *exec.Cmd, io.Closer) { xdotool("key", "Return") }, `{"outcome":"declined"}`}, // Later
		{"KeeperApproval", "decision", func(string, *exec.Cmd, io.Closer) { xdotool("key", "Tab", "space") }, `{"outcome":"denied"}`},
		{"KeeperApproval", "decision", func(string, *exec.Cmd, io.Closer) { xdotool("key", "Tab", "Tab", "space") }, `{"outcome":"approved"}`},
	} {
		code := fmt.Sprintf("CASE%d", i)
		d := m.Command(ctx, `Z:\here\`+tc.program+".exe", "--request="+code)
		for at, arg := range d.Args {
			if arg == "DISPLAY=" {
				d.Args[at] = "DISPLAY=" + display
			}
		}
		in, err := d.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		d.Stdout, d.WaitDelay = &out, 2*time.Second // Windows' own services hold the pipe as well
		if err := d.Start(); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(in, `{"kind":%q,"code":%q,"program":"C:\\tool.exe","target":"Administrator","commandLine":"tool","text":"Well?","secret":true}`+"\n", tc.kind, code)
		window := ""
		for end := time.Now().Add(time.Minute); window == "" && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			window = xdotool("search", "--onlyvisible", "--name", "^Keeper Privilege Manager - "+code)
		}
		if window == "" {
			t.Fatalf("%s %s: no window", tc.program, code)
		}
		xdotool("windowactivate", "--sync", window)
		tc.do(window, d, in)
		_ = d.Wait() // what it has printed says how it ended
		in.Close()
		if got := strings.TrimSpace(out.String()); got != tc.want {
			t.Errorf("%s %d: %q, expected %q", tc.program, i, got, tc.want)
		}
	}
}

// screen starts an X server and a window manager, until the end of the test.
func screen(t *testing.T) string {
	t.Helper()
	numbers, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer numbers.Close()
	start := func(cmd *exec.Cmd) {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
	}
	server := exec.Command("Xvfb", "-displayfd", "3", "-screen", "0", "1024x768x24", "-nolisten", "tcp", "-noreset")
	server.ExtraFiles = []*os.File{theirs}
	start(server)
	theirs.Close()
	number, err := bufio.NewReader(numbers).ReadString('\n')
	if err != nil {
		t.Fatalf("Xvfb says no display: %v", err)
	}
	manager := exec.Command("openbox", "--sm-disable")
	manager.Env = append(os.Environ(), "DISPLAY=:"+strings.TrimSpace(number), "HOME="+t.TempDir())
	start(manager)
	return ":" + strings.TrimSpace(number)
}

// kills ends what Linux knows the program by that was started with an argument.
func kills(argument string) {
	entries, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, entry := range entries {
		line, err := os.ReadFile(entry)
		if err != nil || !bytes.Contains(line, []byte("KeeperMFA.exe")) || !bytes.Contains(line, []byte(argument)) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(entry))); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}
