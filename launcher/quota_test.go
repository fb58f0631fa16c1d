package launcher

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/fair"
	"kpm/launcher/journal"
)

func TestOneUserCannotTurnTheJournalOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const capacity = 512 << 20
		q := newQuota(capacity)
		begun := time.Now()
		for written := 0; written < capacity; {
			n := 800 << 10
			if wait := q.Take("1000", n); wait > 0 {
				if q.Take("1000", n) < wait/2 {
					t.Fatal("asking in vain changes the wait")
				}
				time.Sleep(wait)
				continue
			}
			written += n
		}
		if took := time.Since(begun); took < 4*time.Hour || took > 5*time.Hour {
			t.Errorf("the journal was turned over in %v", took)
		}
		if q.Take("1001", 800<<10) != 0 {
			t.Error("another user pays for it")
		}
	})
}

func TestQuotaOfASmallJournal(t *testing.T) {
	q := newQuota(1)
	if q.Take("1000", 100<<20) != 0 { // whatever it costs, it is possible
		t.Error("the first request")
	}
	if wait := q.Take("1000", 1); wait <= 0 || wait > time.Second {
		t.Errorf("the second waits %v", wait)
	}
}

// What is charged covers what is written.
func TestRecordBytes(t *testing.T) {
	for _, s := range []string{"", "plain", "\x00\x1f\n\t", `"\`, "<&>", "käse", "\U0001f512", strings.Repeat("\x01", 1000), "\u2028\u2029"} {
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if journal.EncodedBytes(s)+2 < len(data) {
			t.Errorf("%q: %d bytes, the journal has %d", s, journal.EncodedBytes(s), len(data)-2)
		}
	}
	inBubble(t, func(t *testing.T) {
		w := newWorld(t)
		before := w.path("Audit")
		v := w.elevate(w.submission("tool", strings.Repeat("\x01<", 10000)))
		v.answer(core.Deny)
		v.refused()
		var written int
		err := journal.Tail(t.Context(), before, 100, false, func(line []byte, _ journal.Record) error {
			written += len(line)
			return nil
		})
		part := max(leastQuota, w.cfg.Journal.Capacity()/quotaPart)
		wait := w.quota.Take("1000", int(part)) // until it is whole again
		if charged := wait.Seconds() / quotaRefill * float64(part); err != nil || charged < float64(written) {
			t.Errorf("%v bytes were charged, %d written (%v)", charged, written, err)
		}
	})
}

func TestAFloodOfRequestsIsRefusedAndNotRecorded(t *testing.T) {
	w := newWorld(t)
	const part = requestCost + 1<<10
	w.quota = fair.NewRate[core.UserID](part/quotaRefill, part)
	v := w.elevate(w.submission("tool"))
	v.answer(core.Deny)
	v.refused()
	records := len(w.records())
	r := w.begin(w.submission("tool")).refused()
	if r.Code != door.CodeUnavailable || !strings.Contains(r.Message, "try again in ") || len(w.records()) != records {
		t.Errorf("%+v, %d records more", r, len(w.records())-records)
	}
	k := w.submission("tool")
	k.Peer.User, k.Peer.Administrator = "0", true
	w.quota.Take("0", part)
	v = w.elevate(k) // root could as well remove the files
	v.answer(core.Deny)
	v.refused()
}
