package journal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	// lookEvery is how often the keeper looks after clock, refusals and
	// segments while nothing is appended.
	lookEvery = 2 * time.Minute
	// agedEvery is the least time between two segments that go for their age.
	// A clock that is years ahead by mistake removes one, and not all.
	agedEvery = time.Hour
	// agedParts is in how many parts Config.Keep is divided: a segment ends
	// after one of them, however little it holds.
	agedParts = 8
)

// missing is the fault of an oldest segment that retention has not removed.
func missing(dir string, first uint64) *Fault {
	return &Fault{File: filepath.Join(dir, segmentName(first)), Found: "no such file",
		Expected: "the oldest segment kept: the service has not removed it"}
}

// retain removes the segments that are too many or too old. It says so first,
// durably, in a record, then lets the head say so, then removes: a segment
// that is missing otherwise is tampering. The keeper alone calls it.
func (j *Journal) retain() error {
	if err := j.notice(); err != nil {
		return err
	}
	if err := j.age(); err != nil {
		return err
	}
	j.mu.Lock()
	kept := slices.Clone(j.kept)
	j.mu.Unlock()
	n, cause := max(0, len(kept)-j.cfg.KeepSegments), "size"
	if n == 0 && j.old(kept) {
		_, j.aged = j.cfg.clock()
		n, cause = 1, "age"
	}
	if n > 0 {
		if err := j.retire(kept, n, cause); err != nil {
			return err
		}
	}
	return j.sweep(kept[n])
}

// overdue reports whether retain has something to do.
func (j *Journal) overdue() bool {
	present, err := segments(j.cfg.AuditDir)
	if err != nil {
		return true
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return !slices.Equal(present, j.kept) || len(j.kept) > j.cfg.KeepSegments || j.old(j.kept) || j.full(j.at.Segment)
}

// retire records that the first n segments go, and what is wrong with them:
// after that nobody can tell any more.
func (j *Journal) retire(kept []uint64, n int, cause string) error {
	fault := j.inspect(kept[:n+1])
	var err error
	j.mu.Lock()
	if fault != nil {
		err = j.append(Record{Type: Faulty, Fault: fault.Error(), First: kept[0]})
	}
	if err == nil {
		err = j.append(Record{Type: Removed, First: kept[n], Count: n, Cause: cause})
	}
	at := j.at
	j.mu.Unlock()
	if err != nil {
		return err
	}
	if err := j.Sync(context.Background()); err != nil {
		return err
	}
	j.mu.Lock()
	j.kept = slices.DeleteFunc(j.kept, func(seq uint64) bool { return seq < kept[n] })
	j.mu.Unlock()
	return j.writeHead(at, kept[n])
}

// inspect walks segments, of the last only the first record. What cannot be read
// is a fault like any other: it must not keep the journal from being bounded.
func (j *Journal) inspect(list []uint64) *Fault {
	var walk chain
	last := list[len(list)-1]
	for _, seq := range list[:len(list)-1] {
		fault, err := walk.segment(j.cfg.AuditDir, seq)
		if err != nil {
			return j.unreadable(seq, err)
		}
		if fault != nil {
			return fault
		}
	}
	next, err := firstRecord(j.cfg.AuditDir, last)
	if err != nil {
		return j.unreadable(last, err)
	}
	if next.Seq == walk.at.Seq+1 && next.Prev == walk.at.Hash {
		return nil
	}
	return &Fault{File: filepath.Join(j.cfg.AuditDir, segmentName(last)), Line: 1, Seq: walk.at.Seq + 1,
		Found: fmt.Sprintf("record %d with prev %s", next.Seq, next.Prev), Expected: "prev " + walk.at.Hash}
}

func (j *Journal) unreadable(seq uint64, err error) *Fault {
	return &Fault{File: filepath.Join(j.cfg.AuditDir, segmentName(seq)), Found: err.Error(), Expected: "a segment that can be read"}
}

// notice records segments that somebody else has removed while the service
// runs. Attack: the oldest is removed, and after some time the journal looks as
// if it had been the service.
func (j *Journal) notice() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	present, err := segments(j.cfg.AuditDir)
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(slices.Clone(j.kept), func(seq uint64) bool {
		return seq != j.at.Segment && !slices.Contains(present, seq)
	})
	gone := len(j.kept) - len(left)
	if gone == 0 {
		return nil
	}
	var first string
	for _, seq := range j.kept {
		if !slices.Contains(left, seq) {
			first = filepath.Join(j.cfg.AuditDir, segmentName(seq))
			break
		}
	}
	fault := fmt.Sprintf("%d segments are missing that the service has not removed, the first is %s", gone, first)
	if err := j.append(Record{Type: Faulty, Fault: fault, First: left[0]}); err != nil {
		return err
	}
	j.kept = slices.DeleteFunc(j.kept, func(seq uint64) bool { return seq < j.at.Segment && !slices.Contains(left, seq) })
	j.stir() // the head
	return nil
}

// sweep removes what lies before the oldest segment kept.
func (j *Journal) sweep(first uint64) error {
	present, err := segments(j.cfg.AuditDir)
	if err != nil {
		return err
	}
	for _, seq := range present {
		if seq >= first {
			break
		}
		if err := os.Remove(filepath.Join(j.cfg.AuditDir, segmentName(seq))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// age begins a new segment if the last one has been written to for long enough.
func (j *Journal) age() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.full(j.at.Segment) {
		return nil
	}
	if j.broken != nil {
		return j.broken
	}
	return j.rotate()
}

// full reports whether a segment has been written to for a part of Config.Keep.
func (j *Journal) full(segment uint64) bool {
	if j.cfg.Keep == 0 {
		return false
	}
	r, err := firstRecord(j.cfg.AuditDir, segment)
	return err == nil && j.now().Sub(r.Time) > j.cfg.Keep/agedParts
}

// old reports whether the oldest segment has only records that are too old, and
// may go now. The last two stay.
func (j *Journal) old(kept []uint64) bool {
	if j.cfg.Keep == 0 || len(kept) < 3 {
		return false
	}
	if _, running := j.cfg.clock(); j.aged > 0 && running-j.aged < agedEvery {
		return false
	}
	next, err := firstRecord(j.cfg.AuditDir, kept[1])
	return err == nil && j.now().Sub(next.Time) > j.cfg.Keep
}

// firstRecord reads the first record of a segment.
func firstRecord(dir string, seq uint64) (Record, error) {
	file, err := os.Open(filepath.Join(dir, segmentName(seq)))
	if err != nil {
		return Record{}, err
	}
	defer file.Close()
	line, err := readLine(bufio.NewReader(file), nil)
	if err != nil {
		return Record{}, err
	}
	return parseLine(line)
}
