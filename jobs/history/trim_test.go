package history

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestTheHistoryIsShortenedWhenNothingIsWrittenAndOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		after := func(want time.Duration, age bool, trimming *trimming) {
			t.Helper()
			<-trimming.timer.C
			if got := time.Since(began); got != want {
				t.Errorf("shortened after %s, want %s", got, want)
			}
			if trimming.age() != age {
				t.Errorf("what is too old goes: %t, want %t", !age, age)
			}
			trimming.done(age)
			began = time.Now()
		}
		trimming := newTrimming()
		defer trimming.timer.Stop()
		after(trimAfter, true, trimming) // what an earlier service left
		after(trimAnyway, true, trimming)
		time.Sleep(trimAnyway)
		trimming.done(false) // it could not be done
		if !trimming.age() {
			t.Error("what is too old was not dropped, and stays for another hour")
		}
		trimming.done(true)
		began = time.Now()
		trimming.written()
		time.Sleep(trimAfter - time.Second)
		trimming.written()
		after(2*trimAfter-time.Second, false, trimming)
		for range 13 {
			trimming.written()
			time.Sleep(trimAtLast / 13)
		}
		after(trimAtLast, false, trimming)
	})
}
