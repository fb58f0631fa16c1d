//go:build unix

package systemlog

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// daemon is a log daemon's socket below root.
func daemon(t *testing.T, root, path string) *net.UnixConn {
	t.Helper()
	at := filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: at, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func read(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	data := make([]byte, 1<<16)
	n, err := conn.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	return string(data[:n])
}

func TestLinesAsDaemonsReadThem(t *testing.T) {
	for path, want := range map[string]string{
		"/run/systemd/journal/socket": "^PRIORITY=4\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=KeeperLogger\nMESSAGE\n\x08\x00{7}x: a\nb=c\n$",
		"/dev/log":                    `^<28>[A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d KeeperLogger: x: a\nb=c$`,
		"/var/run/syslog":             `^<28>[A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d KeeperLogger: x: a\nb=c$`,
	} {
		t.Run(path, func(t *testing.T) {
			root := t.TempDir()
			conn := daemon(t, root, path)
			l, err := open("KeeperLogger", daemons, root)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			if err := l.Write("Warning", "x: a\nb=c"); err != nil {
				t.Fatal(err)
			}
			if got := read(t, conn); !regexp.MustCompile(want).MatchString(got) {
				t.Errorf("%q, expected %q", got, want)
			}
		})
	}
}

// journald is asked before syslog, which it usually offers as well.
func TestJournaldComesFirst(t *testing.T) {
	root := t.TempDir()
	daemon(t, root, "/dev/log")
	first := daemon(t, root, "/run/systemd/journal/socket")
	l, err := open("n", daemons, root)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Write("Error", "m"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, first); !strings.HasPrefix(got, "PRIORITY=3\n") {
		t.Errorf("%q", got)
	}
}

func TestADaemonThatIsRestarted(t *testing.T) {
	root := t.TempDir()
	conn := daemon(t, root, "/dev/log")
	l, err := open("n", daemons, root)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := l.Write("Error", "nobody reads this"); err == nil {
			t.Fatal("written to nobody")
		}
	}
	_ = os.Remove(filepath.Join(root, "/dev/log"))
	conn = daemon(t, root, "/dev/log")
	if err := l.Write("Error", "again"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, conn); !strings.HasSuffix(got, "n: again") {
		t.Errorf("%q", got)
	}
}

func TestWithoutADaemon(t *testing.T) {
	if _, err := open("n", daemons, t.TempDir()); err == nil || !strings.Contains(err.Error(), "no log daemon") {
		t.Errorf("%v", err)
	}
}

func TestPriorities(t *testing.T) {
	for level, want := range map[string]int{"Critical": 2, "error": 3, "Warning": 4, "Information": 6, "Debug": 7, "Trace": 7, "?": 6} {
		if got := priority(level); got != want {
			t.Errorf("%s: %d, expected %d", level, got, want)
		}
	}
}

// What is about who was let do what goes where sudo's lines go.
func TestAuthorization(t *testing.T) {
	for path, want := range map[string]string{"/run/systemd/journal/socket": "SYSLOG_FACILITY=10\n", "/dev/log": "<86>"} {
		root := t.TempDir()
		conn := daemon(t, root, path)
		l, err := open("keepersudo", authorization, root)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if err := l.Write("Information", "alice : x"); err != nil {
			t.Fatal(err)
		}
		if got := read(t, conn); !strings.Contains(got, want) {
			t.Errorf("%s: %q", path, got)
		}
	}
}
