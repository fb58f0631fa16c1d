package plugins

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Files are read when their folders have been quiet for a while, and at the latest
// after the limit.
const (
	quiet      = 300 * time.Millisecond
	quietLimit = 3 * time.Second
	// maxFolders of programs are watched.
	maxFolders = 256
)

// Watch calls changed once at first, and after changes of files in folders, and in those that lie
// directly in bin, until ctx is done. It returns when it follows them, or with the
// error of a system that watches nothing: then a reload has to be asked for.
func Watch(ctx context.Context, folders []string, bin string, changed func()) (wait func(), err error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("plugins: watch: %w", err)
	}
	follow := func() {
		for _, dir := range append(append([]string{}, folders...), below(bin)...) {
			_ = notify.Add(dir) // what is not there yet is followed after the next change
		}
	}
	follow()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer notify.Close()
		timer := time.NewTimer(time.Hour)
		timer.Stop()
		defer timer.Stop()
		var first time.Time // of the changes that have not been read
		soon := func() {
			now := time.Now()
			if first.IsZero() {
				first = now
			}
			timer.Reset(max(0, min(quiet, first.Add(quietLimit).Sub(now))))
		}
		soon() // a file may have changed since it was read, and before it was followed
		for {
			select {
			case <-ctx.Done():
				return
			case event := <-notify.Events:
				if event.Op != fsnotify.Chmod || filepath.Ext(event.Name) == ".json" {
					soon()
				}
			case <-notify.Errors: // events were lost
				soon()
			case <-timer.C:
				first = time.Time{}
				follow()
				changed()
			}
		}
	}()
	return func() { <-done }, nil
}

// below are bin and the folders in it.
func below(bin string) []string {
	if bin == "" {
		return nil
	}
	list := []string{bin}
	entries, err := os.ReadDir(bin)
	if err != nil {
		return list
	}
	for _, e := range entries {
		if e.IsDir() && len(list) < maxFolders {
			list = append(list, filepath.Join(bin, e.Name()))
		}
	}
	return list
}
