package api_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// scribbler makes requests of parts that are each plausible, and of garbage.
type scribbler struct{ *rand.Rand }

func pick[T any](s scribbler, from ...T) T { return from[s.IntN(len(from))] }

func (s scribbler) text() string {
	junk := make([]byte, s.IntN(12))
	for i := range junk {
		junk[i] = byte(s.IntN(256))
	}
	return string(junk)
}

func (s scribbler) path() string {
	var b strings.Builder
	for range s.IntN(6) {
		b.WriteString(pick(s, "/", "/api", "/Jobs", "/jobs", "/inventory", "/run", "/trigger", "/PluginSettings", "/Chat",
			"/colour", "/plugins", "/health", "/launch", "/refuse", "/..", "/.", "//", "/%2F", "/%00", "/%ff", "/%zz", "?a=b", "#x", ";v=1", "*",
			"/"+s.text()))
	}
	return b.String()
}

func (s scribbler) body() string {
	return pick(s, "", "{}", "[]", "null", `"x"`, "7", `{"RequestId":7}`, fmt.Sprintf(`{"RequestId":%q}`, request1),
		`{"RequestId":"`+strings.Repeat("A", s.IntN(100))+`","Message":null}`, strings.Repeat("[", s.IntN(20000)), s.text())
}

func (s scribbler) request() []byte {
	var b bytes.Buffer
	body := s.body()
	fmt.Fprintf(&b, "%s %s HTTP/%s\r\n", pick(s, "GET", "GET", "POST", "POST", "HEAD", "PUT", "get", "OPTIONS", "CONNECT", "", s.text()),
		pick(s, s.path(), s.path(), "http://attacker.example"+s.path(), "*", s.text()), pick(s, "1.1", "1.1", "1.1", "1.1", "1.0", "2.0", "0.9", s.text()))
	fmt.Fprintf(&b, "Host: %s\r\n", pick(s, "keeper", "localhost", "127.0.0.1", "[::1]", "attacker.example", "", s.text()))
	for range s.IntN(4) {
		fmt.Fprintf(&b, "%s: %s\r\n",
			pick(s, "Origin", "Sec-Fetch-Site", "Expect", "Transfer-Encoding", "Content-Length", "Connection", "Upgrade", "X-"+s.text(), "Cookie", "Authorization", "X-Forwarded-For"),
			pick(s, "null", "none", "same-origin", "100-continue", "chunked", "close", "7", "-1", "keep-alive", s.text(), strings.Repeat("x", s.IntN(20000))))
	}
	if s.IntN(4) > 0 {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body)+pick(s, 0, 0, 0, 0, 1, -1))
	}
	b.WriteString("\r\n" + body)
	return b.Bytes()
}

// exchange sends raw bytes on a connection of its own, hangs up when they are
// sent, and reads until the server has hung up too. Whatever the bytes are, the
// first answer must be one that the API can give.
func exchange(t testing.TB, p *place, raw []byte) {
	t.Helper()
	conn, err := net.Dial("unix", p.sock)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	go func() {
		conn.Write(raw)
		conn.(*net.UnixConn).CloseWrite()
	}()
	method, _, _ := strings.Cut(string(raw), " ")
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, &http.Request{Method: method})
	if err != nil {
		return // it hung up without a word
	}
	body, _ := io.ReadAll(response.Body)
	if response.StatusCode >= 500 && response.StatusCode != 501 && response.StatusCode != 505 { // net/http's own
		t.Errorf("%q: %d %s", raw, response.StatusCode, body)
	}
	if strings.HasSuffix(response.Header.Get("Content-Type"), "json") && method != "HEAD" && !json.Valid(body) {
		t.Errorf("%q: %d is not JSON: %q", raw, response.StatusCode, body)
	}
	io.Copy(io.Discard, reader)
}

// No request that anyone can think of breaks the server, leaves a connection
// behind, or moves anything for a caller without authority.
func TestRandomRequests(t *testing.T) {
	p := newPlace(t)
	p.connectAs(user)
	var senders sync.WaitGroup
	for seed := range uint64(4) {
		senders.Go(func() {
			s := scribbler{rand.New(rand.NewPCG(1, seed))}
			for range 2500 {
				exchange(t, p, s.request())
			}
		})
	}
	senders.Wait()
	if p.runs != nil || p.moves != nil {
		t.Errorf("a user without authority did something: %v %v", p.runs, p.moves)
	}
}

func FuzzRequest(f *testing.F) {
	p := newPlace(f)
	p.connectAs(user)
	s := scribbler{rand.New(rand.NewPCG(3, 4))}
	for range 50 {
		f.Add(s.request())
	}
	f.Add([]byte("POST /api/launch HTTP/1.1\r\nHost: keeper\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		exchange(t, p, raw)
		if p.runs != nil || p.moves != nil {
			t.Errorf("%q did something: %v %v", raw, p.runs, p.moves)
		}
	})
}
