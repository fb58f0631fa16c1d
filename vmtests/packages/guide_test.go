//go:build linux

package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// block is a fenced part of a page.
var block = regexp.MustCompile("(?ms)^ *```([a-z]*)\n(.*?)^ *```$")

// TestGuides follows the pages for newcomers word for word on a machine with the
// package: files are saved where the page says, what stands behind # is typed as
// root and behind $ by alice, and the lines after it must be in what they see.
func TestGuides(t *testing.T) {
	b := boot(t)
	b.install(file(t, ".deb"))
	pages, err := filepath.Glob("../../docs/first-*.md")
	if err != nil || len(pages) != 3 {
		t.Fatal(pages, err)
	}
	pages = append(pages, "../../docs/operations.md")
	for _, page := range pages {
		t.Run(filepath.Base(page), func(t *testing.T) {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			steps := 0
			for _, at := range block.FindAllStringSubmatchIndex(string(text), -1) {
				kind, content := string(text[at[2]:at[3]]), string(text[at[4]:at[5]])
				if kind == "" { // shown, not typed
					continue
				}
				if kind == "console" {
					steps += b.follow(t, content)
					continue
				}
				path := saveAs(string(text[:at[0]]))
				if path == "" {
					t.Fatalf("the page does not say where to save:\n%s", content)
				}
				inside := filepath.Join(b.Root, path)
				if err := os.MkdirAll(filepath.Dir(inside), 0o755); err != nil {
					t.Fatal(err)
				}
				mode := os.FileMode(0o644)
				if kind != "json" {
					mode = 0o755
				}
				if err := os.WriteFile(inside, []byte(content), mode); err != nil {
					t.Fatal(err)
				}
			}
			if steps == 0 {
				t.Error("nothing is typed")
			}
		})
	}
}

// saveAs is the last path that the text names after "as", or empty.
func saveAs(text string) string {
	found := regexp.MustCompile("as `(/[^`]+)`").FindAllStringSubmatch(text, -1)
	if found == nil {
		return ""
	}
	return found[len(found)-1][1]
}

// follow runs the commands of a console, and returns how many they are.
func (b box) follow(t *testing.T, console string) (commands int) {
	t.Helper()
	var command string
	var want []string
	run := func() {
		if command == "" {
			return
		}
		commands++
		var out string
		// What was saved a moment ago may not be in force yet.
		for until := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
			cmd := b.shell(command)
			seen, err := cmd.CombinedOutput()
			out = string(seen)
			if (err == nil || len(want) > 0) && containsAll(out, want) {
				return
			}
			if time.Now().After(until) {
				t.Fatalf("%s\n%s%v\nexpected %q", command, out, err, want)
			}
		}
	}
	for line := range strings.Lines(console) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "# ") || strings.HasPrefix(line, "$ ") {
			run()
			command, want = line, nil
			continue
		}
		want = append(want, line)
	}
	run()
	return commands
}

// shell is a command line as somebody types it.
func (b box) shell(line string) *exec.Cmd {
	if after, ok := strings.CutPrefix(line, "$ "); ok {
		return b.as("alice", "sh", "-c", after)
	}
	return b.Command(b.t.Context(), "env", "-C", "/root", "sh", "-c", line[2:])
}

func containsAll(text string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(text, p) {
			return false
		}
	}
	return true
}
