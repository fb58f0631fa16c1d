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
		case <-time.After(time.Minute):
			t.Fatalf("not noticed: %s", what)
		}
	}
	noticed("the beginning")
	for range 200 {
		writeFile(t, filepath.Join(dir, "A.json"), "{}")
	}
	noticed("a file that came")
	if n := len(changed); n > 10 { // a writer that is held up makes a few of it
		t.Errorf("200 writes were %d changes", 1+n)
	}
	for len(changed) > 0 {
		<-changed
	}
	writeFile(t, filepath.Join(bin, "A", "A"), "x")
	noticed("a program that came")
	remove(t, filepath.Join(dir, "A.json"))
	noticed("a file that went")
}
