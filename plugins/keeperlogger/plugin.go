package keeperlogger

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"kpm/core/idle"
	"kpm/core/reserve"
	"kpm/core/wire"
	"kpm/plugins/sdk"
)

// ID is the plugin's id and the name of its own lines.
const ID = "KeeperLogger"

// flushAfter is how long a line may wait for the disk.
const flushAfter = 5 * time.Second

// spareThreads are made, once lines are taken, so that the log goes on when the
// machine takes no more processes; after spareAfter, for the other plugins start when
// this one takes lines, and people wait for them.
const (
	spareThreads = 8
	spareAfter   = 200 * time.Millisecond
)

// Config is what the plugin needs of the system it runs on.
type Config struct {
	Root string // of the agent
	// Folder makes the log's folder if there is none and returns it without links,
	// or says who else than administrators could put something in the log's place.
	Folder func(dir string) (string, error)
	// System opens the system's own log; nil if there is none.
	System func() (SystemLog, error)
	// Stderr hears of what cannot be written.
	Stderr io.Writer
	Pace   idle.Pace // nil if it does not change
}

// Run writes the log until ctx is done.
func Run(ctx context.Context, a *sdk.Agent, host Config) error {
	values, unset := a.Settings(ctx)
	cfg, faults := configure(host.Root, values)
	file, err := cfg.open(host.Folder)
	if err != nil {
		return err
	}
	w := &writer{file: file, stderr: host.Stderr, now: time.Now, json: cfg.json, every: int64(cfg.sizeMB) << 20,
		total: total{path: file.Filename, most: int64(cfg.totalMB-cfg.sizeMB) << 20, days: cfg.days}}
	w.tidy()
	sinks := []sink{w}
	if cfg.system != "off" {
		sinks, faults = withSystem(sinks, faults, host)
	}
	if cfg.http.url != "" {
		remote, err := newRemote(cfg.http, host.Stderr)
		if err != nil {
			faults = append(faults, err)
		} else {
			sinks = append(sinks, remote)
		}
	}
	memory := idle.Memory(host.Pace)
	defer memory.Close()
	memory.Busy()
	q := newQueue(cfg, time.Now, sinks...)
	defer q.close()
	if unset != nil {
		faults = append(faults, unset)
	}
	for _, fault := range faults {
		q.say("Warning", fault.Error())
	}
	// On the reader's goroutine: a queue of messages could be as long as all of
	// them together, one of lines cannot.
	if err := a.SubscribeDirect(ctx, wire.TopicLogger, func(m sdk.Message) {
		q.take(m.Payload)
		memory.Busy()
	}); err != nil {
		return err
	}
	select {
	case <-time.After(spareAfter):
		reserve.Threads(spareThreads)
		<-ctx.Done()
	case <-ctx.Done():
	}
	a.Drain() // into the queue, before it is closed
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
	json   bool
	total  total
	every  int64 // bytes between two looks at the total; 0 is never

	mu     sync.Mutex
	since  int64 // bytes since the last
	lost   int
	torn   bool        // the last write left half a line
	flush  *time.Timer // nil while nothing waits for the disk
	closed bool
}

// write implements sink.
func (w *writer) write(e entry) {
	if w.json {
		w.put(append(e.json, '\n'))
		return
	}
	w.put(e.text)
}

// put appends a line. While the disk is full lines are lost; the first one
// after it says how many, and stderr hears of it when it begins.
func (w *writer) put(line []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	if w.lost > 0 {
		lost := record{at: w.now(), level: "Error", source: ID, message: "lines could not be written and are lost", fields: map[string]any{"lines": w.lost}}
		if w.append(w.render(lost)) != nil {
			w.lost++
			return
		}
		w.lost = 0
	}
	if err := w.append(line); err != nil {
		w.lost++
		fmt.Fprintf(w.stderr, "KeeperLogger: the log cannot be written: %v\n", err)
		return
	}
	if w.since += int64(len(line)); w.every > 0 && w.since >= w.every {
		w.since = 0
		w.tidy()
	}
	if w.flush == nil {
		w.flush = time.AfterFunc(flushAfter, w.sync)
	}
}

func (w *writer) render(r record) []byte {
	if w.json {
		return append(r.object(), '\n')
	}
	return r.line()
}

// tidy looks after rotated files.
func (w *writer) tidy() {
	if err := w.total.trim(w.now()); err != nil {
		fmt.Fprintf(w.stderr, "KeeperLogger: rotated logs cannot be renamed or removed: %v\n", err)
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
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tidy() // the file may have rotated at midnight
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
	w.tidy()
}
