package fair

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

// One person's hundred pieces of work delay another's by one.
func TestTurnsGoFromPersonToPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := NewQueue[string](nil)
		done, err := turns.Take(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []string
		for _, who := range []string{"a", "a", "a", "b", "b", "c"} {
			go func() {
				done, err := turns.Take(t.Context(), who)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				order = append(order, who)
				mu.Unlock()
				done()
			}()
			synctest.Wait()
		}
		done()
		synctest.Wait()
		if want := []string{"a", "b", "c", "a", "b", "a"}; !slices.Equal(order, want) {
			t.Errorf("served were %v, expected %v", order, want)
		}
		if turns.busy || len(turns.people) != 0 || len(turns.waiting) != 0 {
			t.Errorf("left behind: %+v", turns)
		}
	})
}

// Whoever has one piece waits for one of another's, and not for all that the rest of
// the process has to do; a chain of many people's pieces is broken all the same.
func TestWhenTheRestGoesOn(t *testing.T) {
	for _, c := range []struct {
		name    string
		waiting []string
		pauses  []bool // after each of "a" and those who wait
	}{
		{"nobody waits", nil, []bool{false}},
		{"another person", []string{"b"}, []bool{false, false}},
		{"the same person", []string{"a"}, []bool{true, false}},
		{"another person first", []string{"b", "a"}, []bool{false, false, false}},
		{"many people", []string{"b", "c", "d", "e", "f", "g"}, []bool{false, false, false, true, false, false, false}},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := NewQueue[string](nil)
			q.enqueue("a")
			for _, who := range c.waiting {
				q.enqueue(who)
			}
			for i, want := range c.pauses {
				if got := q.pauses(); got != want {
					t.Errorf("after piece %d: %t", i+1, got)
				}
				q.next()
			}
		})
	}
}

func TestWhoGivesUpHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := NewQueue[int](nil)
		done, err := turns.Take(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		impatient, leave := context.WithCancel(t.Context())
		gaveUp, served := make(chan error, 1), make(chan bool, 1)
		go func() {
			_, err := turns.Take(impatient, 1)
			gaveUp <- err
		}()
		synctest.Wait()
		go func() {
			done, err := turns.Take(t.Context(), 2)
			if err != nil {
				t.Error(err)
				return
			}
			done()
			served <- true
		}()
		synctest.Wait()
		leave()
		if err := <-gaveUp; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		done()
		<-served
		if turns.busy || len(turns.people) != 0 || len(turns.waiting) != 0 {
			t.Errorf("left behind: %+v", turns)
		}
	})
}

// What has arrived on a connection is noticed while others work without pause.
func TestABreathLetsOthersGoOn(t *testing.T) {
	// With another processor the system decides when whoever heard goes on.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	yielder := NewYielder()
	if yielder == nil {
		t.Fatal("this system has no yielder")
	}
	defer yielder.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	heard := make(chan error, 1)
	go func() {
		_, err := r.Read(make([]byte, 1))
		heard <- err
	}()
	if _, err := fmt.Fprint(w, "x"); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		yielder.Yield()
		select {
		case err := <-heard:
			if err != nil {
				t.Error(err)
			}
			return
		default:
		}
	}
	t.Error("a thousand breaths, and nobody has heard")
}

func TestBreathsAtOnceAndAfterTheEnd(t *testing.T) {
	yielder := NewYielder()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				yielder.Yield()
			}
		})
	}
	all.Wait()
	yielder.Close()
	yielder.Yield() // does what it can
	(*Yielder)(nil).Yield()
	(*Yielder)(nil).Close()
}

func BenchmarkBreath(b *testing.B) {
	yielder := NewYielder()
	defer yielder.Close()
	for b.Loop() {
		yielder.Yield()
	}
}
