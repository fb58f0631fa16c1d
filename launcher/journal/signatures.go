package journal

import (
	"crypto/ecdsa"
	"fmt"
	"path/filepath"
	"time"
)

// Demand is what checkpoints have to show. The zero value asks for nothing but
// that each names a record that is there.
type Demand struct {
	// Keys are those that may have signed; several, since keys change. Without
	// any no signature is checked. They must come from elsewhere than the
	// machine whose journal it is: whoever can rewrite that can replace its
	// keys.
	Keys []*ecdsa.PublicKey
	// MaxUnsigned is for how long records may have been added after the last
	// one that is signed; 0 is for ever. It cannot be less than the time
	// between two checkpoints.
	MaxUnsigned time.Duration
	// MaxAge is how old the last signature may be at Now; 0 is any age.
	MaxAge time.Duration
	Now    time.Time
}

// SignedReport is what came of the signatures.
type SignedReport struct {
	// Record is the last one that a signature covers; 0 if none does.
	Record uint64 `json:"record"`
	// Time is when that was signed, by the machine's clock, and Key by which
	// key (SHA-256 of its SubjectPublicKeyInfo, hex).
	Time time.Time `json:"time,omitzero"`
	Key  string    `json:"key,omitempty"`
	// Unsigned is how many records came after it.
	Unsigned uint64 `json:"unsigned"`
}

// maxBehind is how many records may lie between a signed one and its
// checkpoint: more than are written while a key signs.
const maxBehind = 1 << 16

// signatures follows the records and checks the checkpoints among them.
type signatures struct {
	want   Demand
	keys   map[string]*ecdsa.PublicKey
	recent []mark // the last maxBehind records, by seq
	first  uint64
	last   uint64
	oldest uint64 // the first record kept, as records say
	count  int
	report *SignedReport // nil without keys

	since, latest time.Time     // of the first record that is not signed, and the last
	gap           time.Duration // before the last start, or by which the clock was last set, among these
}

// mark is what is kept of a record.
type mark struct {
	hash string // of its line; known once the next one is
	time time.Time
}

func newSignatures(want Demand) *signatures {
	s := &signatures{want: want, recent: make([]mark, maxBehind)}
	if len(want.Keys) > 0 {
		s.keys, s.report = map[string]*ecdsa.PublicKey{}, &SignedReport{}
	}
	for _, key := range want.Keys {
		if id, err := keyID(key); err == nil {
			s.keys[id] = key
		}
	}
	return s
}

// check takes the next record.
func (s *signatures) check(r *Record) *Fault {
	if s.first == 0 {
		s.first, s.since = r.Seq, r.at()
	}
	s.recent[(r.Seq-1)%maxBehind].hash = r.Prev
	// One only, so that many of them do not hide a long time.
	switch {
	case r.Type == Start && r.Seq > s.first:
		s.gap = r.at().Sub(s.latest)
	case r.Type == Clock:
		s.gap = time.Duration(r.Shift) * time.Millisecond
	}
	s.recent[r.Seq%maxBehind] = mark{time: r.at()}
	s.last, s.latest, s.oldest = r.Seq, r.at(), r.oldest(s.oldest)
	if (r.Type == Checkpoint) != (r.Signed != nil) {
		return &Fault{Found: "a record of type " + string(r.Type), Expected: "a signature in a checkpoint and nowhere else"}
	}
	if r.Type != Checkpoint {
		return nil
	}
	s.count++
	return s.checkpoint(r)
}

func (s *signatures) checkpoint(r *Record) *Fault {
	signed := r.Signed
	// Attack: a checkpoint from before a change is kept, or copied, to make what
	// was changed look signed. The hash of a record binds all before it.
	switch {
	case signed.Seq >= r.Seq || r.Seq-signed.Seq >= maxBehind:
		return &Fault{Found: fmt.Sprintf("a checkpoint of record %d", signed.Seq),
			Expected: fmt.Sprintf("one of a record before it, by less than %d", maxBehind), Remedy: remedyRewritten}
	case signed.Seq+1 >= s.first && s.recent[signed.Seq%maxBehind].hash != signed.Hash:
		return &Fault{Found: fmt.Sprintf("a checkpoint of record %d with hash %s", signed.Seq, signed.Hash),
			Expected: "hash " + s.recent[signed.Seq%maxBehind].hash + ", which record " + fmt.Sprint(signed.Seq) + " has: the journal was rewritten",
			Remedy:   remedyRewritten}
	case s.oldest > 0 && signed.First > s.oldest:
		return &Fault{Found: fmt.Sprintf("a checkpoint of a journal that begins with record %d", signed.First),
			Expected: fmt.Sprintf("one that begins with record %d, as records say", s.oldest), Remedy: remedyRewritten}
	}
	if s.keys == nil {
		return nil
	}
	key, ok := s.keys[signed.Key]
	if !ok {
		return &Fault{Found: "a checkpoint of the key " + signed.Key, Expected: "one of a key that was given",
			Remedy: "if the machine had this key once, give it too; if it never had, somebody without the machine's key has written here"}
	}
	if !signed.verify(key) {
		return &Fault{Found: fmt.Sprintf("a checkpoint of record %d whose signature does not verify", signed.Seq),
			Expected: "a signature of the key " + signed.Key, Remedy: remedyRewritten}
	}
	if signed.Seq+1 < s.first || signed.Seq < s.report.Record {
		return nil // of what is not here any more, or older than another
	}
	s.report.Record, s.report.Time, s.report.Key = signed.Seq, signed.Time, signed.Key
	s.since, s.gap = s.recent[(signed.Seq+1)%maxBehind].time, 0
	return nil
}

const remedyRewritten = "somebody without the machine's key has written here: keep these files, and compare them with copies elsewhere"

// end judges what the last signature leaves open, once all records are read.
func (s *signatures) end(dir string, list []uint64) *Fault {
	if s.report == nil || s.last == 0 {
		return nil
	}
	s.report.Unsigned = s.last - max(s.report.Record, s.first-1)
	found := fmt.Sprintf("no signature after record %d of %d", s.report.Record, s.last)
	if s.report.Time.IsZero() {
		found = fmt.Sprintf("no signature over any of %d records", s.last-s.first+1)
	}
	fault := &Fault{File: filepath.Join(dir, segmentName(list[len(list)-1])), Found: found}
	// While the service is stopped nothing is added and nothing signed, and when
	// the clock is set no time passes; one of these is not counted.
	unsigned := s.latest.Sub(s.since) - s.gap
	switch {
	case s.want.MaxUnsigned > 0 && unsigned > s.want.MaxUnsigned:
		fault.Expected = fmt.Sprintf("one within %v; records have been added for %v", s.want.MaxUnsigned, unsigned.Round(time.Second))
		fault.Remedy = "if the service has just been started, ask again; if it signs less often (Journal:CheckpointMinutes), allow more time; else checkpoints were removed"
		return fault
	case s.want.MaxAge > 0 && s.want.Now.Sub(s.report.Time) > s.want.MaxAge:
		fault.Expected = fmt.Sprintf("one since %s", s.want.Now.Add(-s.want.MaxAge).UTC().Format(time.RFC3339))
		fault.Remedy = "if the machine was off, start it and ask again; else this is an older copy of its journal, or its end was cut off"
		return fault
	}
	return nil
}
