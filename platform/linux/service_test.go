//go:build linux

package linux

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestTheServiceManagerIsTold(t *testing.T) {
	var m ServiceManager
	t.Setenv("NOTIFY_SOCKET", "")
	if err := m.Ready(); err != nil {
		t.Errorf("without a manager: %v", err)
	}
	path := filepath.Join(t.TempDir(), "notify")
	t.Setenv("NOTIFY_SOCKET", path)
	if err := m.Ready(); err == nil {
		t.Error("nobody listens, and there is no error")
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	must(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
	for _, c := range []struct {
		tell func() error
		want string
	}{
		{m.Ready, "READY=1"}, {m.Stopping, "STOPPING=1"}, {m.Alive, "WATCHDOG=1"},
		{m.Reloading, "RELOADING=1\nMONOTONIC_USEC="},
		// A line of its own would be a state of its own.
		{func() error { return m.Status("all\nREADY=1") }, "STATUS=all; READY=1"},
	} {
		must(t, c.tell())
		buf := make([]byte, 64)
		n, err := conn.Read(buf)
		if err != nil || !strings.HasPrefix(string(buf[:n]), c.want) {
			t.Errorf("was told %q, %v; expected %q", buf[:n], err, c.want)
		}
	}
}

func TestWhenTheWatchdogWantsToHear(t *testing.T) {
	var m ServiceManager
	own := strconv.Itoa(os.Getpid())
	for _, c := range []struct {
		micros, pid string
		want        time.Duration
	}{
		{"", "", 0}, {"0", "", 0}, {"-5", "", 0}, {"soon", "", 0},
		{"30000000", "", 30 * time.Second}, {"500000", own, 500 * time.Millisecond},
		{"30000000", "1", 0}, // it is another process's
	} {
		t.Setenv("WATCHDOG_USEC", c.micros)
		t.Setenv("WATCHDOG_PID", c.pid)
		if got := m.Watchdog(); got != c.want {
			t.Errorf("%q of %q: %v, want %v", c.micros, c.pid, got, c.want)
		}
	}
}
