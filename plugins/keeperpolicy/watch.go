package keeperpolicy

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"kpm/core/wire"
)

// Policies are read when the folders have been quiet for a while, and at the
// latest after the limit: a file that is written all the time must not keep
// the others out.
const (
	quiet      = 100 * time.Millisecond
	quietLimit = 2 * time.Second
)

// watcher tells of changes to the policy folders, which may come and go.
type watcher struct {
	notify  *fsnotify.Watcher
	folders []string // the root, Policies and what is below it
}

// newWatcher follows from now on: what changes before run is called is not
// missed. The caller calls close.
func newWatcher(root string) (*watcher, error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("keeperpolicy: watch: %w", err)
	}
	w := &watcher{notify: notify, folders: append([]string{root}, folders(root)...)}
	w.follow()
	return w, nil
}

func (w *watcher) close() { w.notify.Close() }

func (w *watcher) follow() {
	for _, dir := range w.folders {
		// What is not there now is followed when its parent tells of it.
		_ = w.notify.Add(dir)
	}
}

// concerns reports whether path is Policies or in it.
func (w *watcher) concerns(path string) bool {
	policies := w.folders[1]
	return path == policies || strings.HasPrefix(path, policies+string(filepath.Separator))
}

// run calls changed after changes, and when told, until ctx is done. What is asked is
// not kept waiting for the folders to be quiet: changed gets all that was asked before
// it is called.
func (w *watcher) run(ctx context.Context, told <-chan os.Signal, asked <-chan wire.RequestMessage, changed func([]wire.RequestMessage)) {
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
	read := func(asked []wire.RequestMessage) {
		timer.Stop()
		first = time.Time{}
		w.follow()
		changed(asked)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case question := <-asked:
			read(append(waiting(asked), question))
		case event := <-w.notify.Events:
			if w.concerns(event.Name) {
				soon()
			}
		case <-w.notify.Errors: // events were lost
			soon()
		case <-told:
			soon()
		case <-timer.C:
			read(nil)
		}
	}
}

// waiting takes what has been asked meanwhile.
func waiting(asked <-chan wire.RequestMessage) (list []wire.RequestMessage) {
	for {
		select {
		case question := <-asked:
			list = append(list, question)
		default:
			return list
		}
	}
}
