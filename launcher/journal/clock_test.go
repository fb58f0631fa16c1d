package journal

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// wallClock is a clock that somebody sets.
type wallClock struct {
	mu    sync.Mutex
	ahead time.Duration
	begun time.Time
}

func testClock(cfg *Config) *wallClock {
	c := &wallClock{begun: time.Now()}
	cfg.clock = c.read
	return c
}

func (c *wallClock) read() (time.Time, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Round(0).Add(c.ahead), time.Since(c.begun)
}

func (c *wallClock) set(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += by
}

// A clock that is set is on record, remarked on, and neither a fault nor time
// without a signature.
func TestAClockThatIsSet(t *testing.T) {
	for name, c := range map[string]struct {
		by    time.Duration
		idle  bool // nothing happens when it is set
		says  string
		shift time.Duration
	}{
		"forward":              {3 * time.Hour, false, "forward by 3h0m0s, or the machine slept", 3 * time.Hour},
		"forward, nobody asks": {3 * time.Hour, true, "forward by 3h0m0s, or the machine slept", 3 * time.Hour},
		"back":                 {-24 * time.Hour, false, "back by 24h0m0s", -24 * time.Hour},
		"back, nobody asks":    {-24 * time.Hour, true, "back by 24h0m0s", -24 * time.Hour},
		"slewed":               {4 * time.Second, false, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg, key := config(t.TempDir()), newKey(t)
				clock := testClock(&cfg)
				j, _ := opened(t, cfg)
				checkpoint(t, j, key)
				put(t, j, Record{Type: Opened, Request: "A"})
				clock.set(c.by)
				if c.idle {
					time.Sleep(2 * lookEvery)
					synctest.Wait()
				}
				put(t, j, Record{Type: Denied, Request: "A"})
				d := demand(key)
				d.Now = time.Now().Add(clock.ahead)
				report := verifySigned(t, cfg, d)
				if report.Fault != nil {
					t.Errorf("a false fault: %v", report.Fault)
				}
				if said := strings.Join(report.Clock, "; "); (said == "") != (c.says == "") || !strings.Contains(said, c.says) {
					t.Errorf("said: %q, expected %q", said, c.says)
				}
				var shift time.Duration
				for _, r := range lines(t, cfg) {
					if r.Type == Clock {
						shift += time.Duration(r.Shift) * time.Millisecond
					}
				}
				if shift != c.shift {
					t.Errorf("recorded are %v", shift)
				}
				select {
				case <-j.ClockSet():
					if c.shift == 0 {
						t.Error("a signature is asked for")
					}
				default:
					if c.shift != 0 {
						t.Error("no signature is asked for")
					}
				}
			})
		})
	}
}

// Attack: many clocks that were set hide a long time without a signature.
func TestManyStepsHideNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, key := config(t.TempDir()), newKey(t)
		clock := testClock(&cfg)
		j, _ := opened(t, cfg)
		checkpoint(t, j, key)
		for range 5 {
			put(t, j, Record{Type: Control})
			clock.set(55 * time.Minute)
		}
		put(t, j, Record{Type: Control})
		if report := verifySigned(t, cfg, demand(key)); report.Fault == nil {
			t.Error("no fault")
		}
	})
}

// Times that go backwards are remarked on, whoever wrote them.
func TestTimesThatGoBackwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t.TempDir())
		clock := testClock(&cfg)
		crashed(t, cfg, Record{Type: Control})
		clock.set(-48 * time.Hour)
		j, _ := opened(t, cfg)
		put(t, j, Record{Type: Control})
		report := verified(t, cfg)
		if said := strings.Join(report.Clock, "; "); len(report.Clock) != 1 || !strings.Contains(said, "set back by at least 48h0m0s") || !strings.Contains(said, "while the service was stopped") {
			t.Errorf("%q", said)
		}
		if err := j.Settle(); err != nil {
			t.Fatal(err)
		}
		rewrite(t, cfg, func(records []Record) []Record {
			records[len(records)-1].Time = records[len(records)-1].Time.Add(-time.Hour)
			return records
		})
		report = verified(t, cfg)
		if said := strings.Join(report.Clock, "; "); len(report.Clock) != 2 || !strings.Contains(said, "earlier than the record before it, and none says") {
			t.Errorf("%q", said)
		}
	})
}

func TestRemarksAreBounded(t *testing.T) {
	var said []string
	var times times
	for i := range 10 * maxRemarks {
		said = times.remark(said, &Record{Seq: uint64(i), Time: time.Unix(int64(-2*i), 0)})
	}
	if len(said) != maxRemarks+1 {
		t.Errorf("%d remarks", len(said))
	}
}
