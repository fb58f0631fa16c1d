//go:build linux

package linux

import (
	"net"
	"path/filepath"
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
	}{{m.Ready, "READY=1"}, {m.Stopping, "STOPPING=1"}} {
		must(t, c.tell())
		buf := make([]byte, 64)
		n, err := conn.Read(buf)
		if err != nil || string(buf[:n]) != c.want {
			t.Errorf("was told %q, %v; expected %q", buf[:n], err, c.want)
		}
	}
}
