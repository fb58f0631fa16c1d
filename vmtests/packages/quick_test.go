//go:build linux

package packages

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestQuickStart does what README's quick start says, word for word, on a machine that
// has never seen the agent, and says how long that took.
func TestQuickStart(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, found := strings.Cut(string(text), "\n## Quick start\n")
	part, _, _ = strings.Cut(part, "\n## ")
	if !found {
		t.Fatal("README has no quick start")
	}
	b := boot(t)
	data, err := os.ReadFile(file(t, ".deb"))
	if err != nil {
		t.Fatal(err)
	}
	// What `make packages` has built, in the folder where the commands are typed.
	place := filepath.Join(b.Root, "root/build/packages")
	if err := os.MkdirAll(place, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(place, filepath.Base(file(t, ".deb"))), data, 0o644); err != nil {
		t.Fatal(err)
	}
	begun, commands := time.Now(), 0
	for _, at := range block.FindAllStringSubmatch(part, -1) {
		if at[1] == "console" {
			commands += b.follow(t, at[2])
		}
	}
	if commands < 6 {
		t.Errorf("only %d commands", commands)
	}
	t.Logf("%d commands, from the package to an elevation: %v", commands, time.Since(begun).Round(time.Millisecond))
}
