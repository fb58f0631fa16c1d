package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Replay is what Open found.
type Replay struct {
	// Open are the requests without a final record, and what ended ones left
	// running, in order of opening.
	Open []Unfinished
	// Records is how many records were read: those since the last segment
	// began.
	Records int
	// Cut is how many bytes of an unfinished tail were removed.
	Cut int64
	// Fault is a loss or change before the head: tampering, or a broken disk.
	// What was found is left as it is and a new segment says so; Open may be
	// incomplete. nil if all is well.
	Fault *Fault

	last time.Time // of the last record
}

// Open reads the journal from the last segment on, removes an unfinished tail,
// and appends a start record that says what it found. With SettleLater the record is
// on the disk, and the head names it, when Settle returns. Errors name the file.
func Open(cfg Config) (*Journal, Replay, error) {
	if cfg.SegmentBytes == 0 {
		cfg.SegmentBytes = 1 << 20
	}
	if cfg.KeepSegments == 0 {
		cfg.KeepSegments = 512
	}
	if cfg.KeepSegments < 2 {
		return nil, Replay{}, fmt.Errorf("journal: open: KeepSegments is %d, at least 2 are needed", cfg.KeepSegments)
	}
	if cfg.open == nil {
		cfg.open = openFile
	}
	if cfg.clock == nil {
		begun := time.Now()
		cfg.clock = func() (time.Time, time.Duration) { return time.Now(), time.Since(begun) }
	}
	j := &Journal{
		cfg:     cfg,
		open:    openSet{},
		repeats: newRepeats(cfg),
		dirty:   make(chan struct{}, 1),
		closing: make(chan struct{}),
		ended:   make(chan struct{}),
		step:    make(chan struct{}, 1),
	}
	j.clock.begin(cfg.clock())
	replay, err := j.recover()
	if err == nil {
		err = j.greet(replay)
	}
	if err != nil {
		if j.file != nil {
			j.file.Close()
		}
		return nil, Replay{}, fmt.Errorf("journal: open: %w", err)
	}
	_ = j.hold() // again when a request begins, who is told why not
	go j.keep()
	if cfg.SettleLater {
		return j, replay, nil
	}
	if err := j.Settle(); err != nil {
		return nil, Replay{}, errors.Join(fmt.Errorf("journal: open: %w", err), j.Close())
	}
	return j, replay, nil
}

// greet records the start.
func (j *Journal) greet(replay Replay) error {
	r := Record{Type: Start, Cut: replay.Cut, First: j.kept[0], Time: j.now()}
	if back := r.Time.Sub(replay.last); back < -steady {
		r.Shift = back.Milliseconds()
	}
	if replay.Fault != nil {
		r.Fault = replay.Fault.Error()
	}
	if err := j.append(r); err != nil {
		return err
	}
	j.stir() // what retention left half done
	return nil
}

// recover leaves j at the end of the journal, with an open segment.
func (j *Journal) recover() (Replay, error) {
	for _, dir := range []string{j.cfg.AuditDir, j.cfg.StateDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return Replay{}, err
		}
	}
	list, err := segments(j.cfg.AuditDir)
	if err != nil {
		return Replay{}, err
	}
	h, headFault, err := j.head(list)
	if err != nil {
		return Replay{}, err
	}
	var replay Replay
	var said uint64 // the oldest record that must be there, as records say
	walk := chain{head: h, visit: func(r *Record) {
		j.open.apply(*r)
		replay.Records++
		replay.last = r.at()
		said = r.oldest(said)
	}}
	fault, last, err := walkFrom(&walk, j.cfg.AuditDir, list, max(h.Segment, 1), headFault != nil)
	if err != nil {
		return Replay{}, err
	}
	j.open.detach()
	// A fault at or before the head is tampering. After it, records were not
	// yet known to be durable: a crash may leave anything there, but only at
	// the end of the last segment, and never without its first record.
	torn := walk.at.Seq >= h.Seq && walk.at.Offset > 0 && len(list) > 0 && last == list[len(list)-1]
	if headFault == nil && fault != nil && !torn {
		headFault = fault
	}
	j.kept = slices.Clone(list)
	if headFault == nil && h.Seq > 0 {
		headFault = j.begins(h, said)
	}
	replay.Open, replay.Fault = j.open.list(), headFault
	j.at = walk.at
	switch {
	case replay.Fault != nil:
		// The evidence stays. The chain goes on from the head, if there is
		// one, in a segment whose name is free.
		if h.Seq >= j.at.Seq && h.Hash != "" {
			j.at.Hash = h.Hash
		}
		if j.at.Hash == "" {
			j.at.Hash = noHash
		}
		j.at.Seq = max(j.at.Seq, h.Seq)
		if len(list) > 0 {
			j.at.Seq = max(j.at.Seq, list[len(list)-1])
		}
		return replay, j.begin()
	case len(list) == 0:
		j.at.Hash = noHash
		return replay, j.begin()
	}
	path := filepath.Join(j.cfg.AuditDir, segmentName(last))
	if fault != nil {
		replay.Cut = walk.tail
		if err := os.Truncate(path, walk.at.Offset); err != nil {
			return Replay{}, err
		}
	}
	j.file, err = j.cfg.open(path)
	return replay, err
}

// begins asks that the journal begin where head and records say. What lies
// before is what retention had yet to remove.
func (j *Journal) begins(h head, said uint64) *Fault {
	// Attack: the oldest segments are removed, and the head says so. Retention
	// says so in a record before it does in the head.
	first := h.First
	if said > 0 && said < first {
		first = said
	}
	if !slices.Contains(j.kept, first) {
		return missing(j.cfg.AuditDir, first)
	}
	first = max(first, said)
	j.kept = slices.DeleteFunc(j.kept, func(seq uint64) bool { return seq < first })
	if len(j.kept) == 0 || j.kept[0] != first {
		return missing(j.cfg.AuditDir, first)
	}
	return nil
}

// head reads the head. A journal without segments and head is new: it gets the
// head of an empty one first, so that segments without a head always mean that
// the head was removed.
func (j *Journal) head(list []uint64) (head, *Fault, error) {
	path := filepath.Join(j.cfg.StateDir, headName)
	h, err := readHead(j.cfg.StateDir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && len(list) == 0:
		h = head{position: position{Hash: noHash}, First: 1}
		return h, nil, j.writeHead(h.position, h.First)
	case errors.Is(err, fs.ErrNotExist):
		return h, &Fault{File: path, Found: "no such file", Expected: "the head of the segments in " + j.cfg.AuditDir}, nil
	case errors.Is(err, errHead):
		return h, &Fault{File: path, Found: err.Error(), Expected: "a head"}, nil
	case err == nil && h.Seq > 0 && !slices.Contains(list, h.Segment):
		return h, &Fault{File: filepath.Join(j.cfg.AuditDir, segmentName(h.Segment)), Found: "no such file",
			Expected: fmt.Sprintf("the segment of record %d, which the head names", h.Seq)}, nil
	}
	return h, nil, err
}

// walkFrom walks the segments from first on; lastOnly if first is not known.
// It returns the first fault and the segment at which it stopped.
func walkFrom(walk *chain, dir string, list []uint64, first uint64, lastOnly bool) (*Fault, uint64, error) {
	var last uint64
	for i, seq := range list {
		if lastOnly && i < len(list)-1 || seq < first {
			continue
		}
		last = seq
		if fault, err := walk.segment(dir, seq); fault != nil || err != nil {
			return fault, last, err
		}
	}
	if fault := walk.short(dir); fault != nil {
		return fault, last, nil
	}
	return nil, last, nil
}
