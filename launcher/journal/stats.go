package journal

import (
	"sync/atomic"
	"time"

	"kpm/core/metrics"
)

// Stats is what the journal holds, and what it has done since Open.
type Stats struct {
	Records  map[Type]uint64 // appended
	Bytes    uint64          // of them
	Failures uint64          // records that could not be written, and syncs that failed
	Syncs    metrics.Distribution
	// Segments are those kept, First is the first record in them, Last the last
	// one, Durable the last one known to be on the disk.
	Segments             int
	First, Last, Durable uint64
	// Signed is the last record that a checkpoint since Open covers, and SignedAt
	// when that was made; 0 before the first.
	Signed   uint64
	SignedAt time.Time
	// Owed are records that wait for room.
	Owed int
}

type stats struct {
	records         metrics.Counters[Type]
	bytes, failures atomic.Uint64
	syncs           metrics.Histogram
	signed          atomic.Pointer[Signed]
}

// Stats returns the counters.
func (j *Journal) Stats() Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := Stats{
		Records: j.stats.records.All(), Bytes: j.stats.bytes.Load(), Failures: j.stats.failures.Load(), Syncs: j.stats.syncs.Seen(),
		Segments: len(j.kept), First: j.kept[0], Last: j.at.Seq, Durable: j.durable, Owed: len(j.owed),
	}
	if signed := j.stats.signed.Load(); signed != nil {
		s.Signed, s.SignedAt = signed.Seq, signed.Time
	}
	return s
}
