package keeperlogger

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"kpm/core/wire"
	"kpm/plugins/sdk"
)

// ID is the plugin's id and the name of its own lines.
const ID = "KeeperLogger"

// flushAfter is how long a line may wait for the disk.
const flushAfter = 5 * time.Second

// Run writes the log until ctx is done. owned reports whether a folder belongs
// to an administrator; nil checks the mode bits only. stderr hears of what
// cannot be written.
func Run(ctx context.Context, a *sdk.Agent, root string, owned func(fs.FileInfo) error, stderr io.Writer) error {
	values, unset := a.Settings(ctx)
	cfg, faults := configure(root, values)
	file, err := cfg.open(owned)
	if err != nil {
		return err
	}
	w := &writer{file: file, stderr: stderr, now: time.Now}
	defer w.close()
	if unset != nil {
		faults = append(faults, unset)
	}
	for _, fault := range faults {
		w.say("Warning", fault.Error())
	}
	if err := a.Subscribe(ctx, wire.TopicLogger, func(m sdk.Message) { w.take(m.Payload) }); err != nil {
		return err
	}
	<-ctx.Done()
	a.Drain() // into the file, before it is closed
	return nil
}

// output is a rotating file.
type output interface {
	io.WriteCloser
	Sync() error
}

// writer writes records and counts those that it cannot write.
type writer struct {
	file   output
	stderr io.Writer
	now    func() time.Time

	mu     sync.Mutex
	lost   int
	torn   bool        // the last write left half a line
	flush  *time.Timer // nil while nothing waits for the disk
	closed bool
}

func (w *writer) take(payload []byte) {
	if r, ok := parse(payload, w.now()); ok {
		w.write(r)
	}
}

// say writes a line of the logger's own.
func (w *writer) say(level, message string) {
	w.write(record{at: w.now(), level: level, source: ID, message: message})
}

// write appends a line. While the disk is full lines are lost; the first one
// after it says how many, and stderr hears of it when it begins.
func (w *writer) write(r record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	if w.lost > 0 {
		lost := record{at: w.now(), level: "Error", source: ID, message: "lines could not be written and are lost", fields: map[string]any{"lines": w.lost}}
		if w.append(lost.line()) != nil {
			w.lost++
			return
		}
		w.lost = 0
	}
	if err := w.append(r.line()); err != nil {
		w.lost++
		fmt.Fprintf(w.stderr, "KeeperLogger: the log cannot be written: %v\n", err)
		return
	}
	if w.flush == nil {
		w.flush = time.AfterFunc(flushAfter, w.sync)
	}
}

func (w *writer) append(line []byte) error {
	if w.torn {
		line = append([]byte{'\n'}, line...)
	}
	n, err := w.file.Write(line)
	w.torn = err != nil && (w.torn || n > 0)
	return err
}

func (w *writer) sync() {
	w.mu.Lock()
	w.flush = nil
	closed := w.closed
	w.mu.Unlock()
	if closed {
		return
	}
	if err := w.file.Sync(); err != nil {
		fmt.Fprintf(w.stderr, "KeeperLogger: the log cannot be flushed: %v\n", err)
	}
}

// close flushes and ends; later lines are dropped.
func (w *writer) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.flush != nil {
		w.flush.Stop()
	}
	if err := w.file.Sync(); err != nil {
		fmt.Fprintf(w.stderr, "KeeperLogger: the log cannot be flushed: %v\n", err)
	}
	if err := w.file.Close(); err != nil {
		fmt.Fprintf(w.stderr, "KeeperLogger: the log cannot be closed: %v\n", err)
	}
}
