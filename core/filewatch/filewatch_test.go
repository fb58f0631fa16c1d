package filewatch

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run watches until the test ends. noticed waits until a change is told.
func run(t *testing.T, files Files) (noticed func(what string), told chan struct{}) {
	t.Helper()
	w, err := New(files)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	told, done := make(chan struct{}, 256), make(chan struct{})
	go func() {
		defer close(done)
		w.Run(ctx, func() { told <- struct{}{} })
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return func(what string) {
		t.Helper()
		select {
		case <-told:
		case <-time.After(time.Minute):
			t.Fatalf("not noticed: %s", what)
		}
	}, told
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func just(dirs ...string) func() []string { return func() []string { return dirs } }

// Files that change, come and go are noticed, and many changes are one.
func TestChangesAreTold(t *testing.T) {
	dir := t.TempDir()
	noticed, told := run(t, Files{Folders: just(dir), Quiet: 300 * time.Millisecond, Limit: 3 * time.Second, AtFirst: true})
	noticed("the beginning")
	for range 200 {
		write(t, filepath.Join(dir, "a.json"))
	}
	noticed("a file that came")
	if n := len(told); n > 10 { // a writer that is held up makes a few of it
		t.Errorf("200 writes were told %d times", 1+n)
	}
	for len(told) > 0 {
		<-told
	}
	if err := os.Remove(filepath.Join(dir, "a.json")); err != nil {
		t.Fatal(err)
	}
	noticed("a file that went")
}

// Folders come, go and are exchanged while their parent is followed.
func TestFoldersThatComeAndGo(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "files")
	noticed, _ := run(t, Files{Folders: just(root, dir), Quiet: time.Millisecond, Limit: time.Second})
	write(t, filepath.Join(dir, "a"))
	noticed("a folder that came")
	for range 2 { // the first is told when the folder is followed already
		write(t, filepath.Join(dir, "b"))
		noticed("a file in it")
	}
	if err := os.Rename(dir, filepath.Join(root, "old")); err != nil {
		t.Fatal(err)
	}
	noticed("a folder that went")
	write(t, filepath.Join(dir, "a"))
	noticed("another one in its place")
}

// Whoever writes all the time keeps nobody from hearing of it.
func TestAFileThatIsWrittenAllTheTime(t *testing.T) {
	dir, end, written := t.TempDir(), make(chan struct{}), make(chan struct{})
	noticed, _ := run(t, Files{Folders: just(dir), Quiet: time.Hour, Limit: 200 * time.Millisecond})
	go func() {
		defer close(written)
		for {
			select {
			case <-end:
				return
			case <-time.After(time.Millisecond):
				_ = os.WriteFile(filepath.Join(dir, "busy"), nil, 0o600)
			}
		}
	}()
	noticed("a file that is written all the time")
	noticed("the same file, later")
	close(end)
	<-written
}

// What concerns nobody is not told.
func TestWhatConcernsNobody(t *testing.T) {
	dir := t.TempDir()
	ours := filepath.Join(dir, "ours")
	write(t, ours)
	noticed, told := run(t, Files{
		Folders: just(dir), Quiet: time.Millisecond, Limit: time.Second,
		Concerns: func(path string, attributes bool) bool { return path == ours && !attributes },
	})
	write(t, filepath.Join(dir, "other"))
	if err := os.Chmod(ours, 0o400); err != nil {
		t.Fatal(err)
	}
	select {
	case <-told:
		t.Error("told")
	case <-time.After(300 * time.Millisecond):
	}
	if err := os.Remove(ours); err != nil {
		t.Fatal(err)
	}
	noticed("a file that went")
}
