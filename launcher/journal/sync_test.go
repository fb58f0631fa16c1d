package journal

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// slowFile counts syncs and lets the test decide when each one returns.
type slowFile struct {
	file
	syncs   atomic.Int32
	entered chan struct{}
	release chan error
}

func (f *slowFile) Sync() error {
	f.syncs.Add(1)
	if f.entered == nil {
		return f.file.Sync()
	}
	f.entered <- struct{}{}
	return <-f.release
}

// slowly opens a journal whose syncs, from the second on, wait for the test.
func slowly(t *testing.T) (*Journal, *slowFile) {
	t.Helper()
	cfg := config(t.TempDir())
	var slow *slowFile
	cfg.open = func(path string) (file, error) {
		f, err := openFile(path)
		slow = &slowFile{file: f}
		return slow, err
	}
	j, _, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	slow.syncs.Store(0)
	slow.entered, slow.release = make(chan struct{}), make(chan error)
	t.Cleanup(func() {
		close(slow.release) // every further sync succeeds at once
		go func() {
			for range slow.entered {
			}
		}()
		j.Close()
		close(slow.entered)
	})
	return j, slow
}

func TestConcurrentSyncsShareOne(t *testing.T) {
	j, disk := slowly(t)
	ctx := context.Background()
	put(t, j, Record{Type: Control})
	var wait sync.WaitGroup
	results := make(chan error, 101)
	syncing := func() { results <- j.Sync(ctx) }
	wait.Go(syncing)
	<-disk.entered
	// While the first sync is under way, records can be appended; the sync
	// does not cover them, so that all who want those share a second one.
	for range 100 {
		put(t, j, Record{Type: Control})
		wait.Go(syncing)
	}
	disk.release <- nil
	<-disk.entered
	disk.release <- nil
	wait.Wait()
	for range 101 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if n := disk.syncs.Load(); n != 2 {
		t.Errorf("%d syncs for 101 callers, expected 2", n)
	}
	if err := j.Sync(ctx); err != nil || disk.syncs.Load() != 2 {
		t.Errorf("a sync of what is durable touched the disk (%v)", err)
	}
}

func TestAWaiterLeavesWhenItsContextEnds(t *testing.T) {
	j, disk := slowly(t)
	put(t, j, Record{Type: Control})
	leader := make(chan error)
	go func() { leader <- j.Sync(context.Background()) }()
	<-disk.entered
	ctx, cancel := context.WithCancel(context.Background())
	follower := make(chan error)
	go func() { follower <- j.Sync(ctx) }()
	cancel()
	if err := <-follower; !errors.Is(err, context.Canceled) {
		t.Errorf("the follower heard %v", err)
	}
	disk.release <- nil
	if err := <-leader; err != nil {
		t.Error(err)
	}
}

func TestAFailedSyncIsFinal(t *testing.T) {
	j, disk := slowly(t)
	put(t, j, Record{Type: Control})
	result := make(chan error)
	go func() { result <- j.Sync(context.Background()) }()
	<-disk.entered
	disk.release <- errors.New("input/output error")
	if err := <-result; !errors.Is(err, ErrUnavailable) {
		t.Errorf("sync: %v", err)
	}
	// The kernel may have dropped the pages: a sync that succeeds now would
	// say nothing about them.
	if err := j.Sync(context.Background()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("second sync: %v", err)
	}
	if err := j.Append(Record{Type: Control}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("append: %v", err)
	}
}

func TestASegmentEndsWhileItIsSynced(t *testing.T) {
	cfg := config(t.TempDir())
	cfg.SegmentBytes = 4096
	j, _ := opened(t, cfg)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 200 {
				if err := errors.Join(j.Append(Record{Type: Control}), j.Sync(context.Background())); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	if report := verified(t, cfg); report.Records < 1600 || report.Segments < 50 {
		t.Errorf("verified as %+v", report)
	}
}

func TestTheHeadFollowsWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t.TempDir())
		var writes atomic.Int32
		cfg.WriteAtomic = func(path string, data []byte, perm os.FileMode) error {
			if filepath.Base(path) == headName {
				writes.Add(1)
			}
			return replace(path, data, perm)
		}
		j, _, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		atStart := writes.Load()
		for range 1000 {
			put(t, j, Record{Type: Control})
		}
		time.Sleep(headDelay)
		synctest.Wait()
		h, err := readHead(cfg.StateDir)
		if err != nil || h.Seq != 1002 || writes.Load() != atStart+1 {
			t.Errorf("after 1000 records and a second the head names %d (%v), written %d times", h.Seq, err, writes.Load()-atStart)
		}
		time.Sleep(10 * headDelay)
		synctest.Wait()
		if writes.Load() != atStart+1 {
			t.Errorf("an idle journal wrote its head %d times", writes.Load()-atStart-1)
		}
	})
}

func TestCloseIsRecorded(t *testing.T) {
	cfg := config(t.TempDir())
	j, _, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Append(Record{Type: Control}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("append after close: %v", err)
	}
	opened(t, cfg)
	expected := []Type{Segment, Start, Stop, Start}
	if diff := cmp.Diff(expected, types(lines(t, cfg))); diff != "" {
		t.Error(diff)
	}
	h, err := readHead(cfg.StateDir)
	if report := verified(t, cfg); err != nil || h.Seq != 4 || report.Last != 4 {
		t.Errorf("head %+v (%v), verified as %+v", h, err, report)
	}
}

// lossyFile counts syncs, which fail with err.
type lossyFile struct {
	file
	syncs atomic.Int32
	err   error
}

func (f *lossyFile) Sync() error {
	f.syncs.Add(1)
	return errors.Join(f.err, f.file.Sync())
}

// A start waits for the disk in Settle, and hears there what is wrong with it.
func TestOpenLeavesTheDiskToSettle(t *testing.T) {
	for _, fault := range []error{nil, errors.New("lost")} {
		cfg := config(t.TempDir())
		first, _, err := Open(cfg)
		if err == nil {
			err = first.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		disk := &lossyFile{err: fault}
		cfg.SettleLater = true
		cfg.open = func(path string) (file, error) {
			disk.file, err = openFile(path)
			return disk, err
		}
		synctest.Test(t, func(t *testing.T) { // so that what the journal does by itself comes later
			j, replay, err := Open(cfg)
			if err != nil || replay.Records == 0 || disk.syncs.Load() != 0 {
				t.Fatalf("%v, %d records read, %d syncs", err, replay.Records, disk.syncs.Load())
			}
			if err := j.Settle(); !errors.Is(err, fault) || disk.syncs.Load() != 1 || (j.written.Seq == j.at.Seq) != (fault == nil) {
				t.Errorf("%v, %d syncs, the head names %d of %d", err, disk.syncs.Load(), j.written.Seq, j.at.Seq)
			}
			if err := j.Close(); err != nil && fault == nil {
				t.Error(err)
			}
		})
	}
}
