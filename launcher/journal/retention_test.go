package journal

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// last is where the last record lies.
func last(j *Journal) position {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.at
}

// keptBy are the numbers of the first records of the segments that are kept.
func keptBy(j *Journal) []uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.kept)
}

// filled is an open journal with so many segments.
// Somebody has to close it.
func filled(t *testing.T, cfg Config, n int) *Journal {
	t.Helper()
	j, _, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, j, n)
	return j
}

func fill(t *testing.T, j *Journal, n int) {
	t.Helper()
	for range n {
		for at := last(j).Segment; last(j).Segment == at; {
			put(t, j, Record{Type: Control, Request: "R", Message: strings.Repeat("x", 100)})
		}
	}
	time.Sleep(2 * headDelay)
	synctest.Wait()
}

func fault(t *testing.T, cfg Config) (Report, string) {
	t.Helper()
	report, err := Verify(context.Background(), cfg.AuditDir, cfg.StateDir, Demand{})
	if err != nil {
		t.Fatal(err)
	}
	if report.Fault == nil {
		return report, ""
	}
	return report, report.Fault.Error()
}

// The oldest segment is removed by somebody else: a fault at once, and noted by
// the service that finds it, for as long as its record is kept.
func TestTheOldestSegmentIsMissing(t *testing.T) {
	for name, then := range map[string]func(t *testing.T, cfg Config, j *Journal) *Journal{
		"a start": func(t *testing.T, cfg Config, j *Journal) *Journal {
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			j, replay, err := Open(cfg)
			if err != nil || replay.Fault == nil {
				t.Fatalf("the start finds %v, %v", replay.Fault, err)
			}
			return j
		},
		"a rotation": func(t *testing.T, cfg Config, j *Journal) *Journal { fill(t, j, 1); return j },
		"time": func(t *testing.T, cfg Config, j *Journal) *Journal {
			time.Sleep(2 * lookEvery)
			synctest.Wait()
			return j
		},
	} {
		for _, rewritten := range []bool{false, true} { // the head too, as root can
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cfg := config(t.TempDir())
					cfg.SegmentBytes = 2000
					j := filled(t, cfg, 3)
					first, second := keptBy(j)[0], keptBy(j)[1]
					remove(t, filepath.Join(cfg.AuditDir, segmentName(first)))
					synctest.Wait() // what the journal does by itself is done
					if rewritten {
						say := func(first uint64) {
							j.headMu.Lock()
							defer j.headMu.Unlock()
							j.written.First = first
						}
						say(second) // as if the service had
						if err := j.writeHead(last(j), second); err != nil {
							t.Fatal(err)
						}
						say(first)
					}
					if _, f := fault(t, cfg); !strings.Contains(f, segmentName(first)) || !strings.Contains(f, "the service has not removed it") {
						t.Errorf("before: %q", f)
					}
					defer then(t, cfg, j).Close()
					report, f := fault(t, cfg)
					if f != "" || len(report.Noted) != 1 || !strings.Contains(report.Noted[0], segmentName(first)) {
						t.Errorf("after: %q, noted %v", f, report.Noted)
					}
				})
			})
		}
	}
}

// What is changed in a segment is noted before retention removes it.
func TestRetentionInspectsWhatItRemoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t.TempDir())
		cfg.SegmentBytes, cfg.KeepSegments = 2000, 4
		j := filled(t, cfg, 3)
		defer j.Close()
		path := filepath.Join(cfg.AuditDir, segmentName(keptBy(j)[0]))
		edit(t, path, func(l []string) []string { l[2] = strings.Replace(l[2], "xxx", "yyy", 1); return l })
		fill(t, j, 1)
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Fatalf("it is still there: %v", err)
		}
		report, f := fault(t, cfg)
		if f != "" || len(report.Noted) != 1 || !strings.Contains(report.Noted[0], path+", line 4") {
			t.Errorf("%q, noted %v", f, report.Noted)
		}
	})
}

// A segment that cannot be read keeps nothing from being removed.
func TestRetentionOfASegmentThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t.TempDir())
		cfg.SegmentBytes, cfg.KeepSegments = 2000, 4
		j := filled(t, cfg, 3)
		defer j.Close()
		path := filepath.Join(cfg.AuditDir, segmentName(keptBy(j)[0]))
		remove(t, path)
		if err := os.Mkdir(path, 0o700); err != nil { // opens, and cannot be read
			t.Fatal(err)
		}
		fill(t, j, 1)
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Fatalf("it is still there: %v", err)
		}
		if report, f := fault(t, cfg); f != "" || len(report.Noted) != 1 || !strings.Contains(report.Noted[0], "a segment that can be read") {
			t.Errorf("%q, noted %v", f, report.Noted)
		}
	})
}

// A crash between the record and the removal is no fault, and the next start
// removes what was left.
func TestRetentionThatIsInterrupted(t *testing.T) {
	for name, steps := range map[string]int{"before the head": 0, "before the files": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := config(t.TempDir())
				cfg.SegmentBytes = 2000
				j := filled(t, cfg, 3)
				kept := keptBy(j)
				if steps == 0 {
					put(t, j, Record{Type: Removed, First: kept[2], Count: 2})
					if err := j.Settle(); err != nil {
						t.Fatal(err)
					}
				} else if err := j.retire(kept, 2, "size"); err != nil {
					t.Fatal(err)
				}
				verified(t, cfg)
				crash(t, j)
				_, replay := opened(t, cfg)
				time.Sleep(2 * headDelay)
				synctest.Wait()
				if report := verified(t, cfg); replay.Fault != nil || report.First != kept[2] || len(report.Noted) > 0 {
					t.Errorf("%v, %+v", replay.Fault, report)
				}
				if list, err := segments(cfg.AuditDir); err != nil || list[0] != kept[2] {
					t.Errorf("%v lie there (%v), expected from %d on", list, err, kept[2])
				}
			})
		})
	}
}

func TestSegmentsGoWhenTheyAreOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const part = 2 * time.Hour
		cfg := config(t.TempDir())
		cfg.Keep = 8 * part
		j, _ := opened(t, cfg)
		for range 30 {
			put(t, j, Record{Type: Control})
			time.Sleep(part)
		}
		synctest.Wait()
		report := verified(t, cfg)
		if age := time.Since(report.Since); age < 8*part || age > 10*part {
			t.Errorf("it reaches back %v", age)
		}
		if report.Segments < 8 || report.Segments > 12 {
			t.Errorf("%d segments", report.Segments)
		}
		for _, r := range lines(t, cfg) {
			if r.Type == Removed && r.Cause != "age" {
				t.Errorf("%+v", r)
			}
		}
	})
}

// A clock that is years ahead by mistake does not remove everything.
func TestAClockThatIsAheadRemovesLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t.TempDir())
		cfg.SegmentBytes, cfg.Keep = 2000, 240*time.Hour
		c := testClock(&cfg)
		j := filled(t, cfg, 6)
		defer j.Close()
		before := len(keptBy(j))
		c.set(10 * 365 * 24 * time.Hour)
		time.Sleep(agedEvery / 2)
		synctest.Wait()
		c.set(-10 * 365 * 24 * time.Hour)
		time.Sleep(2 * lookEvery)
		synctest.Wait()
		if report := verified(t, cfg); report.Segments < before-1 || len(report.Clock) != 2 {
			t.Errorf("of %d segments are left %d; %q", before, report.Segments, report.Clock)
		}
	})
}
