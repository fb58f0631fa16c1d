package plugins

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Files that change, come and go are noticed, and so are programs; many changes
// are one.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	if err := os.MkdirAll(filepath.Join(bin, "A"), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	changed := make(chan struct{}, 16)
	wait, err := Watch(ctx, []string{dir}, bin, func() { changed <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	defer wait()
	defer cancel()
	noticed := func(what string) {
		t.Helper()
		select {
		case <-changed:
		case <-time.After(10 * time.Second):
			t.Fatalf("not noticed: %s", what)
		}
	}
	for range 20 {
		writeFile(t, filepath.Join(dir, "A.json"), "{}")
	}
	noticed("a file that came")
	if len(changed) != 0 {
		t.Error("twenty writes were more than one change")
	}
	writeFile(t, filepath.Join(bin, "A", "A"), "x")
	noticed("a program that came")
	remove(t, filepath.Join(dir, "A.json"))
	noticed("a file that went")
}
