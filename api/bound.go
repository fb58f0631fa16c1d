package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/reserve"
)

// RoundTripper answers requests of one run of a job, for that run's Http tasks
// (decision 16). There is no connection, which somebody else could come to hold: what
// asks is known by whom this was given to.
func (s *Server) RoundTripper(run core.Principal) http.RoundTripper {
	return boundRun{s, &rawConn{from: &conn{entry: &entry{local: true, bound: true, https: s.heldHTTPS}, principal: run}}}
}

// boundRun is a run of a job, as if it had a connection.
type boundRun struct {
	server *Server
	conn   *rawConn
}

// maxBoundAnswer bounds an answer, in bytes. It is a stream that has more.
const maxBoundAnswer = 16 << 20

// RoundTrip implements http.RoundTripper. The answer is whole when it returns. If the
// request's context ends first, what it has begun is still ended by the server.
func (b boundRun) RoundTrip(req *http.Request) (*http.Response, error) {
	response, begun, err := b.roundTrip(req)
	if !begun && req.Body != nil { // as http.RoundTripper says
		req.Body.Close()
	}
	return response, err
}

// roundTrip is RoundTrip; begun is whether the request's body is the server's to close.
func (b boundRun) roundTrip(req *http.Request) (response *http.Response, begun bool, err error) {
	if run := b.conn.from.principal; run.Kind != core.JobRun {
		return nil, false, fmt.Errorf("local API: asked as %s: only a job run has Http tasks", run)
	}
	ctx, done, err := b.server.bound.enter(context.WithValue(req.Context(), connKey{}, b.conn))
	if err != nil {
		return nil, false, fmt.Errorf("local API: %w", err)
	}
	received, err := asReceived(req, ctx)
	if err != nil {
		done()
		return nil, false, fmt.Errorf("local API: %w", err)
	}
	answered := make(chan *boundAnswer, 1)
	go func() {
		defer done()
		answered <- b.answer(received)
	}()
	select {
	case a := <-answered:
		response, err = a.response(req)
		return response, true, err
	case <-req.Context().Done():
		return nil, true, fmt.Errorf("local API: %w", context.Cause(req.Context()))
	}
}

func (b boundRun) answer(r *http.Request) (a *boundAnswer) {
	reserve.Stack()
	a = &boundAnswer{header: http.Header{}}
	defer func() { // as package http does: one request is not the service
		if p := recover(); p != nil {
			b.server.cfg.Log.Error("a request of a job run", "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
			a.failed = errors.New("the request could not be answered")
		}
		r.Body.Close()
	}()
	b.server.full.Handler.ServeHTTP(a, r)
	return a
}

// asReceived is req as a server has it that has read it from a connection.
func asReceived(req *http.Request, ctx context.Context) (*http.Request, error) {
	target, err := url.ParseRequestURI(req.URL.RequestURI())
	if err != nil {
		return nil, err
	}
	r := req.WithContext(ctx)
	r.URL, r.RequestURI, r.RemoteAddr = target, req.URL.RequestURI(), "bound"
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.1", 1, 1
	r.Header = req.Header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	if r.Host == "" {
		r.Host = req.URL.Host
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	return r, nil
}

// boundAnswer is what a handler answers. It is an http.ResponseWriter.
type boundAnswer struct {
	header http.Header
	status int // 0 until it is known
	body   bytes.Buffer
	failed error
}

// Header implements http.ResponseWriter.
func (a *boundAnswer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *boundAnswer) WriteHeader(status int) {
	if a.status == 0 {
		a.status, a.header = status, a.header.Clone()
	}
}

// Write implements http.ResponseWriter.
func (a *boundAnswer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.body.Len()+len(p) > maxBoundAnswer {
		a.failed = fmt.Errorf("the answer is longer than %d bytes", maxBoundAnswer)
		return 0, a.failed
	}
	return a.body.Write(p)
}

// Flush implements http.Flusher.
func (a *boundAnswer) Flush() {}

// SetReadDeadline and SetWriteDeadline are for http.ResponseController: what lies in
// memory waits for nobody.
func (a *boundAnswer) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline is like SetReadDeadline.
func (a *boundAnswer) SetWriteDeadline(time.Time) error { return nil }

// response is the answer to req as a client has it.
func (a *boundAnswer) response(req *http.Request) (*http.Response, error) {
	if a.failed != nil {
		return nil, fmt.Errorf("local API: %w", a.failed)
	}
	a.WriteHeader(http.StatusOK)
	body, size := a.body.Bytes(), a.body.Len()
	if req.Method == http.MethodHead {
		body = nil // and its length is that of what GET answers
	}
	a.header.Set("Content-Length", strconv.Itoa(size))
	return &http.Response{
		Status: strconv.Itoa(a.status) + " " + http.StatusText(a.status), StatusCode: a.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header, Body: readCloser{bytes.NewReader(body)}, ContentLength: int64(size), Request: req,
	}, nil
}

// readCloser is a body that lies in memory.
type readCloser struct{ *bytes.Reader }

// Close implements io.Closer.
func (readCloser) Close() error { return nil }

// boundRequests are requests of job runs on their way.
type boundRequests struct {
	cut    context.Context // ends when they are not waited for any more
	cancel context.CancelFunc

	mu     sync.Mutex
	closed bool
	inside sync.WaitGroup
}

func newBoundRequests() *boundRequests {
	cut, cancel := context.WithCancel(context.Background())
	return &boundRequests{cut: cut, cancel: cancel}
}

// enter lets one in, until done is called.
func (b *boundRequests) enter(ctx context.Context) (inside context.Context, done func(), err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, nil, net.ErrClosed
	}
	b.inside.Add(1)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(b.cut, cancel)
	return ctx, func() {
		stop()
		cancel()
		b.inside.Done()
	}, nil
}

// close lets nobody in any more, and waits for those who are. When ctx ends they are
// told to.
func (b *boundRequests) close(ctx context.Context) {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	stop := context.AfterFunc(ctx, b.cancel)
	defer stop()
	b.inside.Wait()
	b.cancel()
}
