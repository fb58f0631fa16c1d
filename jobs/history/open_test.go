package history

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Whoever starts again waits for no disk: the file is as it was, and gives room back as it
// did.
func TestOpeningAgainWritesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jobs.db")
	for again := range 3 {
		s, _, err := Open(path, Limits{Age: time.Hour, Bytes: 1 << 20}, time.Now(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path + "-wal"); again > 0 && err == nil && info.Size() > 0 {
			t.Errorf("start %d has written %d bytes", again, info.Size())
		}
		var mode int
		if err := s.write.QueryRow("PRAGMA auto_vacuum").Scan(&mode); err != nil || mode != 2 {
			t.Errorf("auto_vacuum is %d, %v; want 2, which is incremental", mode, err)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
