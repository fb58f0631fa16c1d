package api_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"kpm/api"
)

// What net/http answers before any handler sees a request is problem details too.
func TestWhatIsNotHTTPIsAProblem(t *testing.T) {
	p := newPlace(t)
	for _, c := range []struct {
		name, raw string
		status    int
	}{
		{"no HTTP", "HELLO\r\n\r\n", 400},
		{"a version from the future", "GET / HTTP/3.0\r\nHost: keeper\r\n\r\n", 505},
		{"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
		{"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
		{"a header that is none", "GET / HTTP/1.1\r\nHost: keeper\r\nno colon\r\n\r\n", 400},
		{"long headers", "GET / HTTP/1.1\r\nHost: keeper\r\nX: " + strings.Repeat("x", 32<<10) + "\r\n\r\n", 431},
		{"an unknown coding", "POST /api/Jobs/inventory/run HTTP/1.1\r\nHost: keeper\r\nTransfer-Encoding: zip\r\n\r\n", 501},
		{"another expectation", "GET / HTTP/1.1\r\nHost: keeper\r\nExpect: miracles\r\n\r\n", 417},
	} {
		for _, way := range [][2]string{{"unix", p.sock}, {"tcp", p.plain}} {
			conn, err := net.Dial(way[0], way[1])
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, c.raw); err != nil {
				t.Fatal(err)
			}
			r, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			body, _ := io.ReadAll(r.Body)
			var said struct {
				Code   string
				Status int
			}
			if r.StatusCode != c.status || r.Header.Get("Content-Type") != "application/problem+json" || json.Unmarshal(body, &said) != nil ||
				said.Status != c.status || said.Code != "malformed-request" {
				t.Errorf("%s on %s: %d %v\n%s", c.name, way[0], r.StatusCode, r.Header, body)
			}
		}
	}
}

func TestPlainHTTPOnTheHTTPSPort(t *testing.T) {
	p := newPlace(t)
	conn, err := net.Dial("tcp", p.tls)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(r.Body); r.StatusCode != 400 || !strings.Contains(string(body), "this port speaks HTTPS") {
		t.Errorf("%d %s", r.StatusCode, body)
	}
}

// A handshake that fails is said in the log.
func TestAFailedHandshakeIsLogged(t *testing.T) {
	log := &lockedLog{}
	p := newPlace(t, func(c *api.Config) {
		c.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	conn, err := net.Dial("tcp", p.tls)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("this is neither")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(conn); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); !strings.Contains(log.String(), "TLS handshake"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log says\n%s", log.String())
		}
	}
}

type lockedLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A body that says that it is too long is refused before it is sent.
func TestTooLongIsSaidBeforeTheBody(t *testing.T) {
	p := newPlace(t)
	conn, err := net.Dial("unix", p.sock)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /api/Jobs/inventory/trigger HTTP/1.1\r\nHost: keeper\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 1048577\r\n\r\n")
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || r.StatusCode != 413 {
		t.Errorf("%v %v", r, err)
	}
}

func TestContentTypes(t *testing.T) {
	p := newPlace(t)
	for kind, want := range map[string]int{
		"application/json": 202, "Application/JSON; charset=utf-8": 202, "application/merge-patch+json": 202, "": 202,
		"text/plain": 415, "application/x-www-form-urlencoded": 415, "multipart/form-data; boundary=x": 415, "nonsense": 415, ";": 415,
	} {
		r := newRequest(t, "POST", "http://keeper/api/Jobs/inventory/trigger", `{"a":1}`)
		r.Header.Set("Content-Type", kind)
		if got := send(t, p.overSocket(), r); got.status != want {
			t.Errorf("%q: %d %s, want %d", kind, got.status, got.body, want)
		}
	}
	// Without a body it means nothing.
	r := newRequest(t, "POST", "http://keeper/api/Jobs/inventory/run", "")
	r.Header.Set("Content-Type", "text/plain")
	if got := send(t, p.overSocket(), r); got.status != 202 {
		t.Errorf("without a body: %d %s", got.status, got.body)
	}
}
