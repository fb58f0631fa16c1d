//go:build linux

package installed

import (
	"bufio"
	"context"
	_ "embed"
	"os"
	"strings"
	"testing"
)

//go:embed attack.py
var attack string

// TestSetuidPrograms: who connects and then becomes a setuid program is not
// root, and not themself either (decision 11). The service looks at nobody
// before they have become it.
func TestSetuidPrograms(t *testing.T) {
	const script = "/usr/local/lib/attack.py"
	if err := os.WriteFile(box.Root+script, []byte(attack), 0o644); err != nil {
		t.Fatal(err)
	}
	// su waits for a password with alice's own uid and root's effective one;
	// sudo becomes root altogether.
	for _, program := range [][]string{{"/usr/bin/su", "-c", "true"}, {"/usr/bin/sudo", "cat"}, nil} {
		for target, want := range map[string]string{"door": "more than one identity", "api": "HTTP/1.1 403", "https": "HTTP/1.1 403"} {
			if program == nil && target == "door" {
				want = "exit" // the script itself is no reason to refuse
			}
			if heard := assault(t, append([]string{"python3", script, target}, program...)); !strings.Contains(heard, want) {
				t.Errorf("%v on %s: %s, expected %q", program, target, heard, want)
			}
		}
	}
	// To root itself the API does answer.
	for _, target := range []string{"api", "https"} {
		if out, err := box.Run(t.Context(), "python3", script, target); err != nil || !strings.Contains(out, "200") {
			t.Errorf("root on %s: %s, %v", target, out, err)
		}
	}
	verified(t)
}

// assault runs the script as alice and returns what it printed. The service
// stands still until the script is ready.
func assault(t *testing.T, argv []string) string {
	t.Helper()
	signal := func(name string) {
		if _, err := box.Run(t.Context(), "systemctl", "kill", "--kill-whom=main", "--signal="+name, service); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := as(ctx, "alice", argv...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	signal("SIGSTOP")
	defer signal("SIGCONT")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var heard strings.Builder
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		heard.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "ready") {
			signal("SIGCONT")
		}
		if strings.Contains(lines.Text(), "HTTP/") || strings.Contains(lines.Text(), "exit") || strings.Contains(lines.Text(), "refused") {
			break
		}
	}
	stdin.Close()
	// Before it ends by itself su makes everybody wait.
	_, _ = box.Run(t.Context(), "pkill", "-KILL", "-x", "su|sudo|cat")
	_ = cmd.Wait()
	return heard.String()
}
