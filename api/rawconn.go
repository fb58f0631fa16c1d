package api

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// rawConn is a connection as net/http has it. What net/http answers by itself,
// before any handler sees a request, it writes as plain text in one piece: here
// that becomes problem details, as every other error is.
type rawConn struct {
	net.Conn
	from   *conn
	secure *tls.Conn // nil without TLS
	log    *slog.Logger
}

// rawListener hands rawConns to net/http.
type rawListener struct {
	net.Listener
	log *slog.Logger
}

// Accept implements net.Listener.
func (l rawListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if secure, ok := c.(*tls.Conn); ok {
		return &rawConn{Conn: c, from: secure.NetConn().(*conn), secure: secure, log: l.log}, nil
	}
	return &rawConn{Conn: c, from: c.(*conn), log: l.log}, nil
}

// Read implements net.Conn. Whoever speaks plain HTTP to the HTTPS port is told,
// and a handshake that fails is logged: net/http does both for connections that
// it knows to be TLS.
func (c *rawConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil && c.secure != nil && !errors.Is(err, io.EOF) && !c.secure.ConnectionState().HandshakeComplete {
		c.log.Debug("TLS handshake", "address", c.RemoteAddr(), "error", err)
	}
	var record tls.RecordHeaderError
	if errors.As(err, &record) && record.Conn != nil && looksLikeHTTP(record.RecordHeader) {
		_, _ = record.Conn.Write(rawProblem(problem(codeMalformed, "this port speaks HTTPS: this was plain HTTP"))) // it is over either way
	}
	return n, err
}

// looksLikeHTTP is what net/http asks of the first bytes of a TLS record.
func looksLikeHTTP(header [5]byte) bool {
	switch string(header[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH":
		return true
	}
	return false
}

// Write implements net.Conn.
func (c *rawConn) Write(b []byte) (int, error) {
	said := ownWords(b)
	if said == nil {
		return c.Conn.Write(b)
	}
	if _, err := c.Conn.Write(rawProblem(said)); err != nil {
		return 0, err
	}
	return len(b), nil
}

// CloseWrite tells the other end of a TLS connection that no more comes.
func (c *rawConn) CloseWrite() error {
	if c.secure == nil {
		return nil
	}
	return c.secure.CloseWrite()
}

// state is that of TLS, once the handshake is done; nil without TLS.
func (c *rawConn) state() *tls.ConnectionState {
	if c.secure == nil {
		return nil
	}
	state := c.secure.ConnectionState()
	return &state
}

// ownWords returns what net/http says in b as a problem, nil if b is an answer of
// ours: those are JSON.
func ownWords(b []byte) *Problem {
	const version, marks = "HTTP/1.1 ", "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
	if !bytes.HasPrefix(b, []byte(version)) || len(b) < len(version)+3 {
		return nil
	}
	status, err := strconv.Atoi(string(b[len(version) : len(version)+3]))
	if err != nil || status < 400 || status != http.StatusExpectationFailed && !bytes.Contains(b, []byte(marks)) {
		return nil
	}
	p := problem(codeMalformed, "%s", http.StatusText(status))
	p.Title, p.Status = http.StatusText(status), status
	switch status {
	case http.StatusExpectationFailed:
		p.Detail = "Expect is not 100-continue"
	case http.StatusRequestHeaderFieldsTooLarge:
		p.Detail = "the headers are longer than " + strconv.Itoa(maxHeader>>10) + " KiB"
	default:
		if _, text, ok := strings.Cut(string(b), marks); ok && text != "" {
			p.Detail = "the request is malformed: " + strings.TrimPrefix(text, strconv.Itoa(status)+" ")
		}
	}
	return p
}

// rawProblem is p as a whole response, after which the connection ends.
func rawProblem(p *Problem) []byte {
	body, err := json.Marshal(p)
	if err != nil { // only a programming error gets here
		body = []byte(`{"title":"Bad Request","status":400,"detail":"malformed","code":"malformed-request"}`)
	}
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 " + strconv.Itoa(p.Status) + " " + http.StatusText(p.Status) +
		"\r\nContent-Type: " + problemType + "\r\nContent-Length: " + strconv.Itoa(len(body)) +
		"\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n")
	b.Write(body)
	return b.Bytes()
}
