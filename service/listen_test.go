package service

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kpm/core"
	"kpm/platform"
)

// served collects the listeners that a port is served on.
type served struct {
	mu        sync.Mutex
	listeners []net.Listener
}

func (s *served) serve(ln net.Listener) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = append(s.listeners, ln)
	return nil
}

func (s *served) addresses() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for _, ln := range s.listeners {
		list = append(list, ln.Addr().String())
	}
	return list
}

func (s *served) close() {
	for _, ln := range s.listeners {
		ln.Close()
	}
}

// lines is a log that is read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newPort(t *testing.T, want int) (*tcpPort, *served, *lines) {
	t.Helper()
	var log lines
	s := &served{}
	t.Cleanup(s.close)
	return &tcpPort{
		name: "HTTPS", key: "Settings:KestrelHttpsPort", want: want, retry: time.Millisecond, serve: s.serve,
		log:     slog.New(slog.NewTextHandler(&log, nil)),
		taken:   platform.Tools("").Facts.PortTaken,
		owner:   func(int) (int, core.UserID, error) { return 77, "4242", nil },
		changed: func() {},
	}, s, &log
}

func TestAPortIsHeldOnBothLoopbackAddresses(t *testing.T) {
	p, s, _ := newPort(t, 0)
	if err := p.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	number := strconv.Itoa(p.Held())
	if got, want := strings.Join(s.addresses(), " "), "127.0.0.1:"+number+" [::1]:"+number; got != want || number == "0" {
		t.Errorf("held %s, want %s", got, want)
	}
}

func TestOneAddressOnlyIfTheSettingSaysSo(t *testing.T) {
	p, s, _ := newPort(t, 0)
	p.only = netip.MustParseAddr("127.0.0.2")
	if err := p.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.addresses(); len(got) != 1 || !strings.HasPrefix(got[0], "127.0.0.2:") {
		t.Errorf("held %v, want 127.0.0.2 alone", got)
	}
}

func TestABusyPortIsReportedAndAcquiredLater(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		other, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		p, s, log := newPort(t, other.Addr().(*net.TCPAddr).Port)
		acquired := make(chan struct{})
		p.changed = func() { close(acquired) }
		if err := p.open(t.Context()); err != nil {
			t.Fatal(err)
		}
		if p.Held() != 0 || len(s.addresses()) != 0 {
			t.Errorf("%s: holds %d, serves %v; want nothing", address, p.Held(), s.addresses())
		}
		for _, text := range []string{"port in use", "owner_pid=77", "owner_uid=4242", "Settings:KestrelHttpsPort", strconv.Itoa(p.want)} {
			if !strings.Contains(log.String(), text) {
				t.Errorf("%s: the report lacks %q: %s", address, text, log)
			}
		}
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
		<-acquired
		p.wait()
		if p.Held() != p.want || len(s.addresses()) != 2 {
			t.Errorf("%s: afterwards holds %d on %v, want %d on both", address, p.Held(), s.addresses(), p.want)
		}
	}
}

func TestWaitingForAPortEndsWithTheService(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	p, _, _ := newPort(t, other.Addr().(*net.TCPAddr).Port)
	ctx, stop := context.WithCancel(t.Context())
	if err := p.open(ctx); err != nil {
		t.Fatal(err)
	}
	stop()
	p.wait()
}

func TestAPortThatCannotBeServedIsAnError(t *testing.T) {
	p, _, _ := newPort(t, 0)
	broken := errors.New("broken")
	p.serve = func(ln net.Listener) error { ln.Close(); return broken }
	if err := p.open(t.Context()); !errors.Is(err, broken) || p.Held() != 0 {
		t.Errorf("%v, holds %d; want the error and nothing", err, p.Held())
	}
}

// A port that cannot be served is not held and not advertised: others may see
// that it is closed. It is taken when the reason has gone.
func TestAPortThatCannotBeServedYet(t *testing.T) {
	p, s, log := newPort(t, 0)
	var reason atomic.Pointer[error]
	missing := errors.New("no certificate")
	reason.Store(&missing)
	p.usable = func() error { return *reason.Load() }
	acquired := make(chan struct{})
	p.changed = func() { close(acquired) }
	if err := p.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.Held() != 0 || len(s.addresses()) != 0 {
		t.Errorf("holds %d, serves %v; want nothing", p.Held(), s.addresses())
	}
	var none error
	reason.Store(&none)
	<-acquired
	p.wait()
	if p.Held() == 0 || len(s.addresses()) != 2 {
		t.Errorf("holds %d, serves %v", p.Held(), s.addresses())
	}
	if strings.Contains(log.String(), "port in use") {
		t.Errorf("somebody is accused of holding it:\n%s", log)
	}
}

// By then somebody else may have it, and that is said, once.
func TestAPortThatIsTakenWhileItWaits(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	p, _, log := newPort(t, other.Addr().(*net.TCPAddr).Port)
	var tries atomic.Int32
	p.usable = func() error {
		if tries.Add(1) == 1 {
			return errors.New("no certificate")
		}
		return nil
	}
	ctx, stop := context.WithCancel(t.Context())
	if err := p.open(ctx); err != nil {
		t.Fatal(err)
	}
	for tries.Load() < 5 {
		time.Sleep(time.Millisecond)
	}
	stop()
	p.wait()
	if n := strings.Count(log.String(), "port in use"); n != 1 {
		t.Errorf("reported %d times:\n%s", n, log)
	}
}
