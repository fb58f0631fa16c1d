package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kpm/core"
)

func TestTailGivesTheLastRecords(t *testing.T) {
	cfg := config(t.TempDir())
	cfg.SegmentBytes = 1000 // a few records each
	j, _ := opened(t, cfg)
	for i := range 30 {
		put(t, j, Record{Type: Opened, Request: core.RequestID(fmt.Sprint(i))})
	}
	all := lines(t, cfg)
	for _, n := range []int{0, 1, 2, 7, len(all), len(all) + 5} {
		var got []uint64
		err := Tail(context.Background(), cfg.AuditDir, n, false, func(_ []byte, r Record) error {
			got = append(got, r.Seq)
			return nil
		})
		var expected []uint64
		for _, r := range all[max(0, len(all)-n):] {
			expected = append(expected, r.Seq)
		}
		if diff := cmp.Diff(expected, got); err != nil || diff != "" {
			t.Errorf("last %d: %v %s", n, err, diff)
		}
	}
	stop := errors.New("stop")
	if err := Tail(context.Background(), cfg.AuditDir, 3, false, func([]byte, Record) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("emit's error came back as %v", err)
	}
	if err := Tail(context.Background(), t.TempDir(), 3, false, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty directory: %v", err)
	}
}

func TestTailFollowsThroughSegments(t *testing.T) {
	for _, n := range []int{0, 1} {
		cfg := config(t.TempDir())
		cfg.SegmentBytes = 1000
		j, _ := opened(t, cfg)
		ctx, cancel := context.WithCancel(context.Background())
		seen, ended := make(chan uint64), make(chan error)
		go func() {
			ended <- Tail(ctx, cfg.AuditDir, n, true, func(_ []byte, r Record) error {
				seen <- r.Seq
				return nil
			})
		}()
		// With n == 0 only records that come later are seen: write until one is.
		var first uint64
		for first == 0 {
			put(t, j, Record{Type: Control})
			select {
			case first = <-seen:
			case <-time.After(pollInterval):
			}
		}
		for range 40 {
			put(t, j, Record{Type: Control})
		}
		for expected := first + 1; expected <= last(j).Seq; expected++ {
			if seq := <-seen; seq != expected {
				t.Fatalf("record %d came, expected %d", seq, expected)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
