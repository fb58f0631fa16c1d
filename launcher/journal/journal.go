package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"kpm/core"
)

// ErrUnavailable is wrapped by every error of Append and Sync that means the
// record is not there: the disk is full, the device failed, or the journal is
// closed. What waits for such a record must not happen (decision 33).
var ErrUnavailable = core.NewError(core.Unavailable, "the journal cannot be written")

// headDelay is how far State/journal.head may lag behind what is durable.
// Replacing a file durably costs as much as the record itself, so it is kept
// off the path of a launch: records after the head are verified by their chain
// alone.
const headDelay = time.Second

// Config says where the journal lies and what bounds it.
type Config struct {
	AuditDir string // segments, 0700
	StateDir string // journal.head, 0700
	// SegmentBytes is the size at which a new segment begins, 1 MiB if 0: a start reads the last one.
	SegmentBytes int64
	// KeepSegments is how many segments are kept, 512 if 0; at least 2.
	KeepSegments int
	// Keep is for how long segments are kept that are not the last two; 0 is as
	// long as KeepSegments allows.
	Keep time.Duration
	// Mask are the rules for arguments whose values are not recorded.
	Mask []*regexp.Regexp
	// WriteAtomic replaces a file durably (port.Files).
	WriteAtomic func(path string, data []byte, perm os.FileMode) error
	// SettleLater has whoever opens the journal call Settle, rather than Open wait for
	// the disk.
	SettleLater bool

	open  func(path string) (file, error)   // tests put a failing disk here
	clock func() (time.Time, time.Duration) // and a clock that somebody sets here
}

// file is what the journal needs of a segment; *os.File is one.
type file interface {
	Write(p []byte) (int, error)
	Sync() error
	Truncate(size int64) error
	Close() error
}

func openFile(path string) (file, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
}

// Journal is the one writer. Its methods may be called concurrently.
type Journal struct {
	cfg Config

	mu       sync.Mutex
	file     file
	at       position // the last record written
	durable  uint64   // seq of the last record known to be on disk
	kept     []uint64 // first seqs of the segments that must be there
	open     openSet
	clock    clock
	repeats  *repeats
	reserved bool          // the reserve is on the disk
	torn     bool          // a partial line may follow at; cut it before the next
	owed     []Record      // what has happened and could not be written
	broken   error         // sticky: a sync failed, or Close
	flushing chan struct{} // closed when the sync under way is done

	headMu  sync.Mutex // one head writer at a time
	written head       // what the head file says

	dirty   chan struct{} // there is something that the head does not name
	closing chan struct{}
	ended   chan struct{} // closed when the keeper has ended

	aged time.Duration // when a segment was last removed for its age; the keeper's own

	step chan struct{} // the clock was set

	stats stats
}

// Capacity is how many bytes of records are kept, about.
func (j *Journal) Capacity() int64 { return j.cfg.SegmentBytes * int64(j.cfg.KeepSegments) }

// Masked returns argv as records show it: without the values that Config.Mask hides.
func (j *Journal) Masked(argv []string) []string { return mask(argv, j.cfg.Mask) }

// Append writes r before it returns, so that it survives a crash of the
// service; Sync makes it survive a power loss. After an error no part of r
// remains, and a later Append works again once the disk does. If r says what
// has happened already, it is not lost: room that is set aside is given up for it,
// and if that is not enough, it is written first, with its time, as soon as there
// is more.
func (j *Journal) Append(r Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	r.Time = j.now()
	err := j.admit(r)
	if err != nil && r.Type.happened() && !errors.Is(err, errLong) && j.free() {
		err = j.admit(r)
	}
	if err != nil && r.Type.happened() && !errors.Is(err, errLong) {
		j.owed = append(append(j.owed, j.repeats.release(r.Request)...), r)
	}
	j.stir()
	if err != nil {
		j.stats.failures.Add(1)
		return fmt.Errorf("journal: append %s: %w: %w", r.Type, ErrUnavailable, err)
	}
	return nil
}

// admit takes r if what comes before it is written.
func (j *Journal) admit(r Record) error {
	if r.Type == Opened {
		if err := j.hold(); err != nil {
			return err
		}
	}
	if err := j.pay(); err != nil {
		return err
	}
	if err := j.look(); err != nil {
		return err
	}
	return j.take(r)
}

// stir tells the keeper that there is something to do.
func (j *Journal) stir() {
	select {
	case j.dirty <- struct{}{}:
	default:
	}
}

// now is the time of a record that is made now.
func (j *Journal) now() time.Time {
	wall, _ := j.cfg.clock()
	return wall.UTC()
}

// pay writes what is owed, in order. While something is owed nothing else is
// written, so that no request begins; this bounds what can be owed by what was
// open.
func (j *Journal) pay() error {
	for len(j.owed) > 0 {
		if err := j.append(j.owed[0]); err != nil && !errors.Is(err, errLong) {
			return err
		}
		j.owed = j.owed[1:]
	}
	return nil
}

func (j *Journal) append(r Record) error {
	if j.broken != nil {
		return j.broken
	}
	shown := mask(r.Argv, j.cfg.Mask)
	r.Argv, r.ArgvBytes = shown, withoutMasked(r.ArgvBytes, r.Argv, shown)
	shorten(&r)
	if now := j.now(); !r.Time.IsZero() && now.Sub(r.Time) > late {
		r.Written = now
	}
	line, err := j.encode(&r)
	if err != nil {
		return err
	}
	if j.at.Offset+int64(len(line)) > j.cfg.SegmentBytes {
		if err := j.rotate(); err != nil {
			return err
		}
		if line, err = j.encode(&r); err != nil { // rotate took a seq
			return err
		}
	}
	if j.torn {
		if err := j.file.Truncate(j.at.Offset); err != nil {
			return err
		}
		j.torn = false
	}
	if _, err := j.file.Write(line); err != nil {
		// A full disk takes a part of the line: nobody may ever read it.
		j.torn = j.file.Truncate(j.at.Offset) != nil
		return err
	}
	j.advance(r, line)
	return nil
}

// encode completes r as the next record and returns its line.
func (j *Journal) encode(r *Record) ([]byte, error) {
	r.Seq, r.Prev = j.at.Seq+1, j.at.Hash
	if r.Time.IsZero() {
		r.Time = j.now()
	}
	line, err := r.line()
	if err != nil {
		return nil, err
	}
	if len(line) > MaxLine {
		return nil, errLong
	}
	return append(line, '\n'), nil
}

func (j *Journal) advance(r Record, line []byte) {
	j.at.Seq, j.at.Hash = r.Seq, hashLine(line[:len(line)-1])
	j.at.Offset += int64(len(line))
	j.stats.bytes.Add(uint64(len(line)))
	j.stats.records.Add(r.Type)
	j.open.apply(r)
	j.repeats.wrote(r, len(line))
}

// rotate begins a new segment, durably and under the lock: once per
// SegmentBytes.
func (j *Journal) rotate() error {
	if err := j.file.Sync(); err != nil {
		j.broken = err
		return err
	}
	j.durable = j.at.Seq
	if err := j.begin(); err != nil {
		return err
	}
	// The head names the new segment, so that the next start reads no older one.
	return j.writeHead(j.at, j.kept[0])
}

// begin makes a segment that starts with what is open and continues the chain,
// and turns to it. Nothing has changed if it fails.
func (j *Journal) begin() error {
	r := Record{Type: Segment, Open: j.open.list(), First: j.at.Seq + 1}
	if len(j.kept) > 0 {
		r.First = j.kept[0]
	}
	line, err := j.encode(&r)
	if err != nil {
		return err
	}
	path := filepath.Join(j.cfg.AuditDir, segmentName(r.Seq))
	if err := j.cfg.WriteAtomic(path, line, 0o600); err != nil {
		return err
	}
	next, err := j.cfg.open(path)
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	if j.file != nil {
		j.file.Close() // synced; a Sync under way finds its records durable
	}
	j.file, j.torn = next, false
	j.at.Segment, j.at.Offset = r.Seq, 0
	j.advance(r, line)
	j.durable = r.Seq
	j.kept = append(j.kept, r.Seq)
	return nil
}

// Sync returns when every record appended before the call is on disk.
// Concurrent callers share one sync, and Append goes on meanwhile. An error of
// the device is final: what it lost cannot be known, so the journal stays
// unavailable until the service starts again and reads it back.
func (j *Journal) Sync(ctx context.Context) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	target := j.at.Seq
	for {
		switch {
		case j.durable >= target:
			return nil
		case j.broken != nil:
			return fmt.Errorf("journal: sync: %w: %w", ErrUnavailable, j.broken)
		case ctx.Err() != nil:
			return fmt.Errorf("journal: sync: %w", ctx.Err())
		case j.flushing == nil:
			j.flush()
		default:
			wait := j.flushing
			j.mu.Unlock()
			select {
			case <-wait:
			case <-ctx.Done():
			}
			j.mu.Lock()
		}
	}
}

// flush syncs what is written now, without the lock.
func (j *Journal) flush() {
	done, file, upto := make(chan struct{}), j.file, j.at.Seq
	j.flushing = done
	j.mu.Unlock()
	begun := time.Now()
	err := file.Sync()
	j.stats.syncs.Observe(time.Since(begun))
	j.mu.Lock()
	j.flushing = nil
	close(done)
	switch {
	case err == nil:
		j.durable = max(j.durable, upto)
	case j.durable < upto: // not a file that rotate has synced and closed
		j.stats.failures.Add(1)
		j.broken = err
	}
}

// keep makes records durable that nobody waits for, lets the head follow, at
// most once per headDelay, and looks after what only time shows.
func (j *Journal) keep() {
	defer close(j.ended)
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-j.dirty:
		case <-ticker.C:
			if !j.due() {
				continue
			}
		case <-j.closing:
			return
		}
		select {
		case <-time.After(headDelay):
		case <-j.closing:
			return
		}
		if err := errors.Join(j.Settle(), j.retain()); err != nil {
			j.stir() // again after headDelay; until then Append says what is wrong
		}
	}
}

// due looks at the clock, at refusals that were counted, and at segments, and
// reports whether there is something to write or to remove.
func (j *Journal) due() bool {
	j.mu.Lock()
	before := j.at.Seq
	_ = j.hold() // again when a request begins, who is told why not
	err := j.look()
	if err == nil {
		err = j.count(false)
	}
	written := j.at.Seq > before
	j.mu.Unlock()
	return err != nil || written || j.overdue()
}

// Settle writes what is owed, syncs, and writes the head if it is behind.
func (j *Journal) Settle() error {
	j.mu.Lock()
	unpaid := j.pay()
	at, first := j.at, j.kept[0]
	j.mu.Unlock()
	if unpaid != nil {
		return unpaid
	}
	if err := j.Sync(context.Background()); err != nil {
		return err
	}
	return j.writeHead(at, first)
}

// writeHead replaces the head unless it is as far already. at is durable.
func (j *Journal) writeHead(at position, first uint64) error {
	j.headMu.Lock()
	defer j.headMu.Unlock()
	next := head{position: at, First: first}
	if at.Seq < j.written.Seq || next == j.written {
		return nil
	}
	data, err := json.Marshal(next)
	if err != nil {
		return err
	}
	if err := j.cfg.WriteAtomic(filepath.Join(j.cfg.StateDir, headName), append(data, '\n'), 0o600); err != nil {
		return err
	}
	j.written = next
	return nil
}

// Close records the stop, makes everything durable and ends the keeper. It is
// called once; Append and Sync fail afterwards.
func (j *Journal) Close() error {
	close(j.closing)
	<-j.ended
	j.mu.Lock()
	err := j.count(true)
	j.mu.Unlock()
	err = errors.Join(err, j.Append(Record{Type: Stop}), j.Settle())
	j.mu.Lock()
	defer j.mu.Unlock()
	j.broken = errors.New("it is closed")
	return errors.Join(err, j.file.Close())
}
