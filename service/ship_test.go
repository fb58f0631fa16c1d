package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core/wire"
)

// listener hears what the service says of itself.
type listener struct {
	mu    sync.Mutex
	here  bool
	busy  error
	heard []string
	also  func() // what the service does when it publishes
}

func (l *listener) is(here bool, busy error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.here, l.busy = here, busy
}

func (l *listener) Heard(string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.here
}

func (l *listener) Publish(_ context.Context, topic string, m wire.RequestMessage) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.also != nil {
		l.also()
	}
	if l.busy != nil {
		return l.busy
	}
	var entry wire.LogEntry
	if err := m.Read(wire.TypeLog, &entry); err != nil {
		return err
	}
	l.heard = append(l.heard, fmt.Sprintf("%s %s %s: %s %v", topic, m.Source, entry.Level, entry.Message, entry.Fields))
	return nil
}

func (l *listener) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.heard...)
}

// shipping runs a shipper in a bubble for test.
func shipping(t *testing.T, test func(log *slog.Logger, text *strings.Builder, l *listener)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, l := newShipper(), &listener{}
		s.heard, s.publish = l.Heard, l.Publish
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); s.run(ctx) }()
		level := slog.LevelInfo
		var text strings.Builder
		test(newLog(&text, level, s.handler(level)), &text, l)
		cancel()
		<-done
	})
}

func TestWarningsWaitForWhoeverKeepsThem(t *testing.T) {
	shipping(t, func(log *slog.Logger, text *strings.Builder, l *listener) {
		log.With("component", "x").Warn("early", "error", errors.Join(errors.New("a"), errors.New("b\x1b")))
		log.Info("not a warning")
		time.Sleep(time.Hour)
		if len(l.all()) != 0 {
			t.Errorf("nobody listens, and heard is %q", l.all())
		}
		l.is(true, nil)
		time.Sleep(time.Second)
		log.Error("late")
		time.Sleep(time.Second)
		want := "[KeeperLogger KeeperPrivilegeManager Warning: early map[component:x error:a\nb\x1b] KeeperLogger KeeperPrivilegeManager Error: late map[]]"
		if got := fmt.Sprint(l.all()); got != want {
			t.Errorf("heard %q\nwant  %q", got, want)
		}
		if want := `level=WARN msg=early component=x error="a; b` + "\ufffd" + `"`; !strings.Contains(text.String(), want) || !strings.Contains(text.String(), "not a warning") {
			t.Errorf("the text lacks %q: %s", want, text)
		}
	})
}

// What does not fit is counted, and the count is heard.
func TestMoreWarningsThanFit(t *testing.T) {
	shipping(t, func(log *slog.Logger, _ *strings.Builder, l *listener) {
		for i := range shipQueue + 51 { // the first is under way
			log.Warn("one of many", "i", i)
			if i == 0 {
				synctest.Wait()
			}
		}
		l.is(true, nil)
		time.Sleep(time.Minute)
		heard := l.all()
		told := 0
		for _, line := range heard {
			if strings.Contains(line, "records of the service were lost") && strings.Contains(line, "records:50") {
				told++
			}
		}
		if len(heard) != shipQueue+1+1 || told != 1 {
			t.Errorf("heard %d, of the lost %d times", len(heard), told)
		}
		l.is(true, errors.New("its queue is full"))
		log.Warn("lost")
		time.Sleep(time.Minute)
		l.is(true, nil)
		log.Warn("not lost")
		time.Sleep(time.Minute)
		if heard := l.all(); !strings.Contains(heard[len(heard)-1], "records:1") && !strings.Contains(heard[len(heard)-2], "records:1") {
			t.Errorf("heard %q last", heard[len(heard)-2:])
		}
	})
}

// Attack on itself: each record that is published makes the service say one more.
func TestWarningsAboutWarnings(t *testing.T) {
	shipping(t, func(log *slog.Logger, _ *strings.Builder, l *listener) {
		l.also = func() { log.Warn("somebody was slow"); log.Warn("and was cut") }
		l.is(true, nil)
		log.Warn("the first")
		time.Sleep(10 * time.Second)
		most := int(10*time.Second/shipEvery+1) * (shipAtOnce + 1)
		if n := len(l.all()); n == 0 || n > most {
			t.Errorf("%d records in 10 s, expected at most %d", n, most)
		}
		l.mu.Lock()
		l.also = nil
		l.mu.Unlock()
	})
}

// A record is bounded whatever is put into it.
func TestALongWarning(t *testing.T) {
	shipping(t, func(log *slog.Logger, _ *strings.Builder, l *listener) {
		l.is(true, nil)
		log.Warn(strings.Repeat("ä", maxShipped), "field", strings.Repeat("x", shipBytes))
		time.Sleep(time.Second)
		heard := l.all()
		if len(heard) != 1 || len(heard[0]) > 2*maxShipped || !strings.Contains(heard[0], "its fields are too long") {
			t.Errorf("heard %.200q", heard)
		}
	})
}
