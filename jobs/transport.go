package jobs

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"kpm/core"
)

// Dialer makes a connection to the local API that was bound to a job run
// before its first byte (decision 16).
type Dialer func(run core.Principal) (net.Conn, error)

// Transport returns what sends a run's requests over dial: one connection per
// request, on the caller's goroutine, so that a launch waits for nobody else.
func Transport(dial Dialer) func(run core.Principal) http.RoundTripper {
	return func(run core.Principal) http.RoundTripper { return boundTransport{dial, run} }
}

type boundTransport struct {
	dial Dialer
	run  core.Principal
}

func (t boundTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	conn, err := t.dial(t.run)
	if err != nil {
		return nil, fmt.Errorf("local API: %w", err)
	}
	// An expired deadline, unlike a close, also ends a write in progress on
	// every kind of connection.
	stop := context.AfterFunc(req.Context(), func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	closeConn := func() error { stop(); return conn.Close() }

	req = req.Clone(req.Context())
	req.Close = true
	if err := req.Write(conn); err != nil {
		return nil, t.failed(req, err, closeConn)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		return nil, t.failed(req, err, closeConn)
	}
	resp.Body = boundBody{resp.Body, closeConn}
	return resp, nil
}

func (t boundTransport) failed(req *http.Request, err error, closeConn func() error) error {
	_ = closeConn()
	if ctxErr := context.Cause(req.Context()); ctxErr != nil {
		err = ctxErr
	}
	return fmt.Errorf("local API: %w", err)
}

type boundBody struct {
	io.ReadCloser
	closeConn func() error
}

func (b boundBody) Close() error {
	_ = b.ReadCloser.Close() // what is left unread goes with the connection
	return b.closeConn()
}
