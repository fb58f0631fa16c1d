package sudo

import (
	"bytes"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core/door"
	"kpm/core/port/caller"
	"kpm/core/signal"
)

// restarting is a system whose service goes away, and is back after a while with
// what it says then.
func restarting(before [][]byte, after time.Duration, then ...[]byte) *system {
	s := &system{says: before}
	begun := time.Time{}
	s.connect = func() error {
		switch {
		case begun.IsZero(): // the first time
			begun = time.Now()
		case time.Since(begun) < after:
			return errors.New("it is not running")
		case then != nil:
			s.says, then = then, nil
		}
		return nil
	}
	return s
}

// asks returns the requests that were sent.
func (s *system) asks(t *testing.T) (list []door.Request) {
	t.Helper()
	for _, f := range s.frames {
		kind, body, err := door.Read(bytes.NewReader(f))
		if err != nil {
			t.Fatal(err)
		}
		if kind == door.TypeRequest {
			r, err := door.DecodeRequest(body)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, r)
		}
	}
	return list
}

func TestAServiceThatIsRestarted(t *testing.T) {
	started, exit := frame(door.TypeStarted, nil), frame(door.TypeExit, door.Exit{Code: 3}.Encode())
	for name, tc := range map[string]struct {
		before [][]byte
		after  time.Duration
		over   bool // the command's terminal has ended
		then   [][]byte
		status int
		says   string
		runs   bool // it says that it was told so
	}{
		"before it runs":                {nil, time.Second, false, [][]byte{started, exit}, 3, "", false},
		"before it runs, for long":      {nil, 20 * time.Second, false, [][]byte{started, exit}, 3, waiting, false},
		"before it runs, for good":      {nil, time.Hour, false, nil, 1, waiting + "keepersudo: " + gone.message + "\n", false},
		"while it runs":                 {[][]byte{started}, time.Second, false, [][]byte{started, exit}, 3, "", true},
		"while it runs, for a day":      {[][]byte{started}, 24 * time.Hour, false, [][]byte{started, exit}, 3, "", true},
		"when it has ended, for good":   {[][]byte{started}, time.Hour, true, nil, 1, "keepersudo: " + gone.message + "\n", true},
		"and says nothing ever after":   {nil, 0, false, nil, 1, "keepersudo: " + gone.message + "\n", false},
		"and knows the command no more": {[][]byte{started}, time.Second, false, [][]byte{frame(door.TypeRefused, door.Refused{Code: door.CodeFailed, Message: "no more"}.Encode())}, 1, "keepersudo: no more\n", true},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := restarting(tc.before, tc.after, tc.then...)
			s.over = tc.over
			if status := s.main("id"); status != tc.status || s.stderr.String() != tc.says {
				t.Errorf("%s: %d, %q", name, status, &s.stderr)
			}
			asks := s.asks(t)
			for i, r := range asks {
				if r.Key != asks[0].Key || r.Key == (door.Key{}) || r.Running != (tc.runs && i > 0) {
					t.Errorf("%s: the request number %d is %+v", name, i, r)
				}
			}
			if tc.then != nil && len(asks) != 2 {
				t.Errorf("%s: it has asked %d times", name, len(asks))
			}
		})
	}
}

// Signals are kept for the command, and one that is to end it ends keepersudo if
// nobody is there to tell.
func TestSignalsWhileTheServiceIsAway(t *testing.T) {
	for name, tc := range map[string]struct {
		sig     signal.Signal
		after   time.Duration
		endedBy signal.Signal
	}{
		"it comes back":                 {signal.Interrupt, 5 * time.Second, 0},
		"it does not":                   {signal.Terminate, time.Hour, signal.Terminate},
		"it comes back late, and waits": {signal.User1, time.Hour, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := restarting([][]byte{frame(door.TypeStarted, nil)}, tc.after, frame(door.TypeStarted, nil), frame(door.TypeExit, door.Exit{}.Encode()))
			ended := make(chan int)
			go func() { ended <- s.main("id") }()
			time.Sleep(time.Second)
			synctest.Wait()
			go s.deliver(signal.Sent{Signal: tc.sig})
			if tc.endedBy != 0 {
				time.Sleep(2 * obeyWithin)
				synctest.Wait()
				if s.endedBy != tc.endedBy || atomic.LoadInt32(&s.restored) == 0 {
					t.Errorf("%s: ended by %d, restored %d times", name, s.endedBy, atomic.LoadInt32(&s.restored))
				}
			}
			<-ended
			kinds, bodies := s.sent(t)
			for i, kind := range kinds {
				if sent, err := door.DecodeSignal(bodies[i]); kind == door.TypeSignal && (err != nil || sent.Signal != tc.sig) {
					t.Errorf("%s: sent %+v", name, sent)
				}
			}
			if !strings.Contains(string(bytes.Join(s.frames, nil)), string(door.Append(nil, door.TypeSignal, door.EncodeSignal(signal.Sent{Signal: tc.sig})))) {
				t.Errorf("%s: the command was never told", name)
			}
		})
	}
}

// TestAServiceThatHasJustGone: whoever comes while it is restarted waits for it,
// and whoever comes when it was stopped is told so at once.
func TestAServiceThatHasJustGone(t *testing.T) {
	for name, tc := range map[string]struct {
		gone, back time.Duration // since when, and when it is back
		status     int
		says       string
		within     time.Duration
	}{
		"restarted":             {0, time.Second, 3, "", 1100 * time.Millisecond},
		"restarted, slowly":     {0, 3 * time.Second, 3, waiting, 3100 * time.Millisecond},
		"half way":              {3 * time.Second, time.Second, 3, "", 1100 * time.Millisecond},
		"stopped":               {time.Minute, time.Hour, 1, "keepersudo: it is not running\n", 0},
		"stopped a moment ago":  {4 * time.Second, time.Hour, 1, "keepersudo: it is not running\n", 1100 * time.Millisecond},
		"stopped just now":      {0, time.Hour, 1, waiting + "keepersudo: it is not running\n", 5100 * time.Millisecond},
		"by a clock that lied":  {-time.Hour, time.Hour, 1, waiting + "keepersudo: it is not running\n", 5100 * time.Millisecond},
		"restarted, never seen": {1 << 62, time.Second, 1, "keepersudo: it is not running\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &system{says: [][]byte{frame(door.TypeExit, door.Exit{Code: 3}.Encode())}}
				began := time.Now()
				s.connect = func() error {
					if time.Since(began) >= tc.back {
						return nil
					}
					return &caller.Absent{Reason: "it is not running", Seen: began.Add(-tc.gone)}
				}
				if status := s.main("id"); status != tc.status || s.stderr.String() != tc.says || time.Since(began) > tc.within {
					t.Errorf("%d, %q, after %v", status, &s.stderr, time.Since(began))
				}
			})
		})
	}
}
