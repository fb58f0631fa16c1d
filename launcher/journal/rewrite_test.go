package journal

import (
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// rewrite does what root can do without the key: it changes records as it
// likes, and makes segments, hashes and head anew so that all of them fit.
func rewrite(t testing.TB, cfg Config, change func(records []Record) []Record) {
	t.Helper()
	records := change(lines(t, cfg))
	list, err := segments(cfg.AuditDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, seq := range list {
		remove(t, filepath.Join(cfg.AuditDir, segmentName(seq)))
	}
	h := head{First: records[0].Seq}
	h.Hash = records[0].Prev
	for i, r := range records {
		r.Seq, r.Prev = h.First+uint64(i), h.Hash
		if r.First > 0 {
			r.First = h.First
		}
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if r.Type == Segment {
			h.Segment, h.Offset = r.Seq, 0
		}
		file, err := os.OpenFile(filepath.Join(cfg.AuditDir, segmentName(h.Segment)), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write(append(line, '\n')); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		h.Seq, h.Hash = r.Seq, hashLine(line)
		h.Offset += int64(len(line)) + 1
	}
	data, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(cfg.StateDir, headName), string(data))
}

// history is a journal of several segments over six hours, signed every half an
// hour, and closed.
func history(t *testing.T, cfg Config, key crypto.Signer) {
	t.Helper()
	j, _, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		for k := range 4 {
			put(t, j, Record{Type: Opened, User: "ada", Request: "A"}, Record{Type: Denied, Request: "A", Cause: fmt.Sprint(i, k)})
			time.Sleep(7 * time.Minute)
		}
		checkpoint(t, j, key)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// The attack that hashes alone cannot show (docs/journal.md, "What it shows, and
// what not"): everything is rewritten so that it fits. In each case the journal
// passes Verify without keys, or would if its checkpoints were not there.
func TestRewritingEverythingIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, thief := newKey(t), newKey(t)
		id, err := keyID(&key.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		place := func(records []Record, n int) int { // of the nth checkpoint
			for i, r := range records {
				if r.Type == Checkpoint {
					if n--; n < 0 {
						return i
					}
				}
			}
			t.Fatal("not so many checkpoints")
			return 0
		}
		isCheckpoint := func(r Record) bool { return r.Type == Checkpoint }
		// resign makes every checkpoint again, with the hashes as they are now.
		resign := func(cfg Config, keyName string) {
			for _, r := range lines(t, cfg) {
				if r.Type != Checkpoint {
					continue
				}
				seq := r.Seq
				rewrite(t, cfg, func(records []Record) []Record {
					at := int(seq - records[0].Seq)
					s := *records[at].Signed
					s.Seq, s.Hash, s.Key = records[at-1].Seq, records[at].Prev, keyName
					var err error
					if s.Signature, err = thief.Sign(rand.Reader, s.digest(), crypto.SHA256); err != nil {
						t.Fatal(err)
					}
					records[at].Signed = &s
					return records
				})
			}
		}
		thiefID, err := keyID(&thief.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		forge := func(records []Record) []Record {
			records[4].User = "bob"
			return records
		}
		cases := map[string]struct {
			do    func(cfg Config)
			says  string
			plain bool // Verify without keys finds it too
		}{
			"a record": {func(cfg Config) { rewrite(t, cfg, forge) }, "the journal was rewritten", true},
			"a record and the hashes that are signed": {func(cfg Config) {
				rewrite(t, cfg, forge)
				for range 12 { // each changes the hash of the next
					rewrite(t, cfg, func(records []Record) []Record {
						for i, r := range records {
							if isCheckpoint(r) {
								records[i].Signed.Hash = r.Prev
							}
						}
						return records
					})
				}
			}, "does not verify", false},
			"signed by the thief":                   {func(cfg Config) { rewrite(t, cfg, forge); resign(cfg, thiefID) }, "one of a key that was given", false},
			"signed by the thief in another's name": {func(cfg Config) { rewrite(t, cfg, forge); resign(cfg, id) }, "does not verify", false},
			"without checkpoints": {func(cfg Config) {
				rewrite(t, cfg, func(records []Record) []Record { return slices.DeleteFunc(forge(records), isCheckpoint) })
			}, "no signature over any of", false},
			"without the last checkpoints": {func(cfg Config) {
				rewrite(t, cfg, func(records []Record) []Record {
					at := place(records, 8)
					records[at+1].User = "bob"
					return append(records[:at+1], slices.DeleteFunc(records[at+1:], isCheckpoint)...)
				})
			}, "no signature after record", false},
			"the last checkpoints replaced by the one before": {func(cfg Config) {
				rewrite(t, cfg, func(records []Record) []Record {
					at := place(records, 6)
					records[at+1].User = "bob"
					for i := at + 1; i < len(records); i++ {
						if isCheckpoint(records[i]) {
							records[i].Signed = records[at].Signed
						}
					}
					return records
				})
			}, "no signature after record", false},
			"a checkpoint moved to the front": {func(cfg Config) {
				rewrite(t, cfg, func(records []Record) []Record {
					at := place(records, 3)
					moved := records[at]
					return slices.Insert(slices.Delete(records, at, at+1), 2, moved)
				})
			}, "one of a record before it", true},
			"a record removed": {func(cfg Config) {
				rewrite(t, cfg, func(records []Record) []Record { return slices.Delete(records, 5, 6) })
			}, "one of a record before it", true},
			"a record put in": {func(cfg Config) {
				rewrite(t, cfg, func(records []Record) []Record { return slices.Insert(records, 5, records[4]) })
			}, "the journal was rewritten", true},
			"two exchanged": {func(cfg Config) {
				rewrite(t, cfg, func(records []Record) []Record { records[4], records[5] = records[5], records[4]; return records })
			}, "the journal was rewritten", true},
			"a later signature": {func(cfg Config) {
				rewrite(t, cfg, func(records []Record) []Record {
					at := place(records, 11)
					records[at].Signed.Time = records[at].Signed.Time.Add(time.Hour)
					return records
				})
			}, "does not verify", false},
			"another record signed": {func(cfg Config) {
				rewrite(t, cfg, func(records []Record) []Record {
					at := place(records, 11)
					records[at].Signed.Seq, records[at].Signed.Hash = records[at-2].Seq, records[at-1].Prev
					return records
				})
			}, "does not verify", false},
			"a record signed that is not there": {func(cfg Config) {
				rewrite(t, cfg, func(records []Record) []Record { at := place(records, 11); records[at].Signed.Seq += 2; return records })
			}, "one of a record before it", true},
			"record 0 signed": {func(cfg Config) {
				rewrite(t, cfg, func(records []Record) []Record { at := place(records, 11); records[at].Signed.Seq = 0; return records })
			}, "the journal was rewritten", true},
			"a signature cut": {func(cfg Config) {
				rewrite(t, cfg, func(records []Record) []Record {
					at := place(records, 11)
					s := records[at].Signed
					s.Signature = s.Signature[:len(s.Signature)-1]
					return records
				})
			}, "does not verify", false},
			"no signature": {func(cfg Config) {
				rewrite(t, cfg, func(records []Record) []Record { records[place(records, 11)].Signed.Signature = nil; return records })
			}, "does not verify", false},
			"an empty checkpoint": {func(cfg Config) {
				rewrite(t, cfg, func(records []Record) []Record { records[place(records, 11)].Signed = nil; return records })
			}, "a signature in a checkpoint and nowhere else", true},
			"called something else": {func(cfg Config) {
				rewrite(t, cfg, func(records []Record) []Record { records[place(records, 11)].Type = Control; return records })
			}, "a signature in a checkpoint and nowhere else", true},
			"the front cut off, the rest rewritten": {func(cfg Config) {
				rewrite(t, cfg, func(records []Record) []Record {
					at := slices.IndexFunc(records[1:], func(r Record) bool { return r.Type == Segment }) + 1
					records = slices.DeleteFunc(records[at:], isCheckpoint)
					records[1].User = "bob"
					return records
				})
			}, "no signature over any of", false},
		}
		for name, c := range cases {
			cfg := config(t.TempDir())
			cfg.SegmentBytes = 9000
			history(t, cfg, key)
			if report := signedBy(t, cfg, key); report.Segments < 3 || report.Checkpoints != 12 {
				t.Fatalf("%+v", report)
			}
			c.do(cfg)
			report := verifySigned(t, cfg, demand(key))
			f := report.Fault
			if f == nil || !strings.Contains(f.Found+" "+f.Expected, c.says) || f.File == "" {
				t.Errorf("%s: %+v", name, f)
				continue
			}
			if strings.Contains(f.Found, "no signature") == (f.Line > 0) {
				t.Errorf("%s: line %d", name, f.Line)
			}
			if f.Remedy == "" && !strings.Contains(f.Expected, "nowhere else") {
				t.Errorf("%s: no remedy", name)
			}
			if plain := verifySigned(t, cfg, Demand{}); (plain.Fault != nil) != c.plain {
				t.Errorf("%s, without keys: %v", name, plain.Fault)
			}
		}
	})
}

// A journal that ends early, because its end was cut off or it is an older
// copy, is seen by the age of its last signature.
func TestTheAgeOfTheLastSignature(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, key := config(t.TempDir()), newKey(t)
		history(t, cfg, key)
		d := demand(key)
		d.MaxAge = 40 * time.Minute
		if report := verifySigned(t, cfg, d); report.Fault != nil {
			t.Errorf("%v", report.Fault)
		}
		rewrite(t, cfg, func(records []Record) []Record {
			last := len(records) - 1
			for records[last].Type != Checkpoint || records[last].Signed.Seq > 60 {
				last--
			}
			return records[:last+1]
		})
		if report := verifySigned(t, cfg, demand(key)); report.Fault != nil {
			t.Errorf("a journal that was cut at a checkpoint is sound in itself: %v", report.Fault)
		}
		report := verifySigned(t, cfg, d)
		if f := report.Fault; f == nil || !strings.Contains(f.Remedy, "its end was cut off") || report.Signed.Unsigned != 1 {
			t.Errorf("%+v, %+v", f, report.Signed)
		}
	})
}

// While the service is stopped nothing can be signed, and need not be.
func TestARestIsNotUnsigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, key := config(t.TempDir()), newKey(t)
		history(t, cfg, key)
		time.Sleep(72 * time.Hour)
		j, _, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		put(t, j, Record{Type: Opened, Request: "B"})
		if s := signedBy(t, cfg, key).Signed; s.Unsigned != 4 {
			t.Errorf("%+v", s)
		}
		time.Sleep(2 * time.Hour)
		put(t, j, Record{Type: Denied, Request: "B"})
		if report := verifySigned(t, cfg, demand(key)); report.Fault == nil || !strings.Contains(report.Fault.Expected, "2h0m0s") {
			t.Errorf("%v", report.Fault)
		}
		checkpoint(t, j, key)
		signedBy(t, cfg, key)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		// Attack: a start now and then makes many rests of the time without
		// signatures.
		rewrite(t, cfg, func(records []Record) []Record {
			for range 5 {
				last := records[len(records)-1].Time
				records = append(records, Record{Type: Start, Time: last.Add(50 * time.Minute)}, Record{Type: Opened, Request: "C", Time: last.Add(55 * time.Minute)})
			}
			return records
		})
		if report := verifySigned(t, cfg, demand(key)); report.Fault == nil {
			t.Error("many starts hide four hours without a signature")
		}
	})
}

// No bit of a checkpoint can be turned over.
func TestEveryBitOfACheckpointCounts(t *testing.T) {
	cfg, key := config(t.TempDir()), newKey(t)
	j, _ := opened(t, cfg)
	checkpoint(t, j, key)
	records := lines(t, cfg)
	try := func(signed Signed) *Fault {
		s := newSignatures(demand(key))
		for _, r := range records {
			if r.Type == Checkpoint {
				r.Signed = &signed
			}
			if fault := s.check(&r); fault != nil {
				return fault
			}
		}
		return nil
	}
	good := *records[2].Signed
	if fault := try(good); fault != nil {
		t.Fatal(fault)
	}
	for i := range 8 * len(good.Signature) {
		changed := good
		changed.Signature = slices.Clone(good.Signature)
		changed.Signature[i/8] ^= 1 << (i % 8)
		if try(changed) == nil {
			t.Errorf("bit %d of the signature", i)
		}
	}
	for i := range 64 {
		changed := good
		changed.Seq ^= 1 << i
		if try(changed) == nil {
			t.Errorf("bit %d of the number", i)
		}
		changed = good
		changed.Time = changed.Time.Add(1 << i)
		if try(changed) == nil && i < 63 {
			t.Errorf("bit %d of the time", i)
		}
	}
	for i := range 8 * len(good.Hash) {
		for _, field := range []func(s *Signed) *string{func(s *Signed) *string { return &s.Hash }, func(s *Signed) *string { return &s.Key }} {
			changed := good
			text := []byte(*field(&changed))
			text[i/8] ^= 1 << (i % 8)
			*field(&changed) = string(text)
			if try(changed) == nil {
				t.Errorf("bit %d of a hash", i)
			}
		}
	}
}

func FuzzCheckpoint(f *testing.F) {
	cfg, key := config(f.TempDir()), newKey(f)
	j, _ := opened(f, cfg)
	checkpoint(f, j, key)
	records := lines(f, cfg)
	line, err := json.Marshal(records[2])
	if err != nil {
		f.Fatal(err)
	}
	good := records[2].Signed
	f.Add(line)
	f.Add([]byte(`{"seq":3,"type":"checkpoint","signed":{"seq":18446744073709551615,"signature":"AAAA"},"prev":"` + noHash + `"}`))
	f.Add([]byte(`{"seq":3,"type":"checkpoint","signed":{"seq":2,"hash":"` + records[2].Prev + `","signature":"` +
		base64.StdEncoding.EncodeToString(good.Signature) + `"},"prev":"` + records[2].Prev + `"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := parseLine(line)
		if err != nil {
			return
		}
		s := newSignatures(demand(key))
		for _, before := range records[:2] {
			s.check(&before)
		}
		r.Seq = 3
		if s.check(&r) == nil && s.report.Record != 0 && string(r.Signed.digest()) != string(good.digest()) {
			t.Errorf("signed: %s", line)
		}
	})
}
