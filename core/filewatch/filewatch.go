// Package filewatch says that files have changed, once they have been quiet for a
// while. It says neither which nor how: whoever hears it looks at all of them. Who may
// change them, and what is in them, is its callers' business.
package filewatch

import (
	"context"
	"fmt"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Files are what is watched, and when changes of them are told.
type Files struct {
	// Folders returns what is followed, at first and after each change. A folder that is
	// not there is followed after the next change of another one.
	Folders func() []string
	// Concerns reports whether a change of path is one, attributes if nothing but its
	// times, owner or mode have changed; nil: each is.
	Concerns func(path string, attributes bool) bool
	// Changes are told when there were none for Quiet, and at the latest after Limit: a
	// file that is written all the time keeps nobody from hearing of the others.
	Quiet, Limit time.Duration
	// AtFirst has one change told that was none: files may have changed after they were
	// read, and before they were watched.
	AtFirst bool
}

// Watch follows files.
type Watch struct {
	files  Files
	notify *fsnotify.Watcher
}

// New follows from now on: what changes before Run is called is not missed. An error
// means that this system watches nothing. The caller calls Close, or Run, which does.
func New(files Files) (*Watch, error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("filewatch: %w", err)
	}
	w := &Watch{files: files, notify: notify}
	w.follow()
	return w, nil
}

// Close gives up what New has taken.
func (w *Watch) Close() error { return w.notify.Close() }

func (w *Watch) follow() {
	for _, dir := range w.files.Folders() {
		_ = w.notify.Add(dir)
	}
}

// Run calls changed until ctx is done, and closes w. What changes while changed runs is
// told afterwards.
func (w *Watch) Run(ctx context.Context, changed func()) {
	defer w.Close()
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	var first time.Time // of the changes that have not been told
	soon := func() {
		now := time.Now()
		if first.IsZero() {
			first = now
		}
		timer.Reset(max(0, min(w.files.Quiet, first.Add(w.files.Limit).Sub(now))))
	}
	if w.files.AtFirst {
		soon()
	}
	for {
		select {
		case <-ctx.Done():
			return
		case event := <-w.notify.Events:
			if w.files.Concerns == nil || w.files.Concerns(event.Name, event.Op == fsnotify.Chmod) {
				soon()
			}
		case <-w.notify.Errors: // changes were lost
			soon()
		case <-timer.C:
			first = time.Time{}
			w.follow()
			changed()
		}
	}
}
