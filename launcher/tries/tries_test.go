package tries

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core/statefile"
)

// disk is one file that may be full.
type disk struct {
	mu   sync.Mutex
	data []byte
	full error
}

func (d *disk) read(string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.data == nil {
		return nil, fs.ErrNotExist
	}
	return d.data, nil
}

func (d *disk) write(_ string, data []byte, _ os.FileMode) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full == nil {
		d.data = data
	}
	return d.full
}

func (d *disk) open() *Counter {
	return Open(Config{File: statefile.File{Path: "tries", Read: d.read, WriteAtomic: d.write}, LockOut: 15 * time.Minute})
}

func locked(err error) bool {
	var l *Locked
	return errors.As(err, &l)
}

func TestFiveWrongAnswersLockOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		c := d.open()
		for i := range Most {
			if locks, err := c.Take("a", "1000"); err != nil || locks != (i == Most-1) {
				t.Fatalf("answer %d: %v, %v", i+1, locks, err)
			}
			c = d.open() // killed: what was counted is counted
		}
		if _, err := c.Take("a", "1000"); !locked(err) {
			t.Errorf("the sixth is looked at: %v", err)
		}
		if _, err := c.Take("a", "1001"); err != nil {
			t.Errorf("somebody else: %v", err)
		}
		if _, err := c.Take("b", "1000"); err != nil {
			t.Errorf("another question: %v", err)
		}
		time.Sleep(14 * time.Minute)
		if _, err := d.open().Take("a", "1000"); !locked(err) {
			t.Errorf("after a restart: %v", err)
		}
		time.Sleep(time.Minute)
		for _, again := range []*Counter{c, d.open()} {
			if locks, err := again.Take("a", "1000"); err != nil || locks {
				t.Errorf("afterwards: %v, %v", locks, err)
			}
		}
	})
}

func TestWhoIsRightBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		c := d.open()
		for range 3 * Most {
			if _, err := c.Take("a", "1000"); err != nil {
				t.Fatal(err)
			}
			if err := c.Clear("a", "1000"); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Attack: all are tried at once.
func TestAnswersAtOnceAreCounted(t *testing.T) {
	c := (&disk{}).open()
	var all sync.WaitGroup
	looked := make(chan bool, 100)
	for range 100 {
		all.Go(func() {
			_, err := c.Take("a", "1000")
			looked <- err == nil
		})
	}
	all.Wait()
	close(looked)
	n := 0
	for yes := range looked {
		if yes {
			n++
		}
	}
	if n != Most {
		t.Errorf("%d answers were looked at", n)
	}
}

func TestWhatCannotBeCountedIsNotLookedAt(t *testing.T) {
	d := &disk{full: errors.New("no space left")}
	c := d.open()
	for range 2 * Most {
		if _, err := c.Take("a", "1000"); !errors.Is(err, ErrNotKept) {
			t.Fatalf("%v", err)
		}
	}
	if d.full = nil; c.Left("a", "1000") != 0 {
		t.Error("locked out by a full disk")
	}
	d.data = []byte("{")
	if c = d.open(); !errors.Is(c.Err(), ErrNotKept) {
		t.Errorf("a file that cannot be read: %v", c.Err())
	}
	if _, err := c.Take("a", "1000"); !errors.Is(err, ErrNotKept) {
		t.Errorf("counted in a file that cannot be read: %v", err)
	}
}
