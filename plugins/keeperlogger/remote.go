package keeperlogger

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// Times and sizes of the way to a receiver.
const (
	remoteQueued  = 4 << 20 // bytes that wait while it does not answer
	remoteBody    = 1 << 20 // bytes of one request
	remoteDelay   = time.Second
	remoteTimeout = 10 * time.Second
	remoteRetry   = time.Second // and twice as long each time, up to
	remoteSlowest = time.Minute
	remoteLast    = 3 * time.Second // to send what is left at the end
)

// remote posts records to a receiver, several at once, as lines of JSON
// (application/x-ndjson). What a receiver does not take is sent again until it
// does; what does not fit meanwhile is counted.
type remote struct {
	cfg    httpConfig
	client *http.Client
	stderr io.Writer

	mu    sync.Mutex
	wait  [][]byte
	bytes int
	lost  int
	wake  chan struct{}

	stop, end context.CancelFunc // of waiting, of sending
	ended     chan struct{}
}

func newRemote(cfg httpConfig, stderr io.Writer) (*remote, error) {
	pool, err := roots(cfg.caFile)
	if err != nil {
		return nil, err
	}
	open, stop := context.WithCancel(context.Background())
	life, end := context.WithCancel(context.Background())
	r := &remote{
		cfg: cfg, stderr: stderr, wake: make(chan struct{}, 1), stop: stop, end: end, ended: make(chan struct{}),
		client: &http.Client{
			Timeout:   remoteTimeout,
			Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, MaxIdleConns: 1},
			// Attack: a receiver has the authorization sent elsewhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	go r.run(open, life)
	return r, nil
}

// write implements sink. It never blocks.
func (r *remote) write(e entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bytes+len(e.json)+1 > remoteQueued {
		r.lost++
		return
	}
	r.wait = append(r.wait, e.json)
	r.bytes += len(e.json) + 1
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run sends until the sink is closed, and then what is left, once.
func (r *remote) run(open, life context.Context) {
	defer close(r.ended)
	defer r.client.CloseIdleConnections()
	silent := false
	for open.Err() == nil {
		select {
		case <-r.wake:
			rest(open, remoteDelay) // others come along
		case <-open.Done():
		}
		for pause := remoteRetry; ; pause = min(2*pause, remoteSlowest) {
			n, err := r.all(life)
			if err == nil {
				silent = false
				break
			}
			if !silent {
				fmt.Fprintf(r.stderr, "KeeperLogger: %s: %v; trying again\n", r.cfg.url, err)
			}
			silent = true
			if n == 0 && !rest(open, pause) {
				break
			}
		}
	}
	if _, err := r.all(life); err != nil {
		fmt.Fprintf(r.stderr, "KeeperLogger: %s: the last records could not be sent: %v\n", r.cfg.url, err)
	}
}

// all sends what waits, and returns how many records went before an error.
func (r *remote) all(ctx context.Context) (sent int, err error) {
	for {
		n, err := r.post(ctx)
		if n == 0 || err != nil {
			return sent, err
		}
		sent += n
	}
}

// rest waits, and reports whether ctx still holds.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// post sends what one request holds and returns how many records that are. They
// wait until the receiver has them.
func (r *remote) post(ctx context.Context) (int, error) {
	r.mu.Lock()
	var body bytes.Buffer
	n := 0
	for n < len(r.wait) && n < r.cfg.batch && (n == 0 || body.Len()+len(r.wait[n]) < remoteBody) {
		body.Write(r.wait[n])
		body.WriteByte('\n')
		n++
	}
	lost := r.lost
	r.mu.Unlock()
	if n == 0 {
		return 0, nil
	}
	size := body.Len()
	if lost > 0 {
		said := record{at: time.Now(), level: "Warning", source: ID, message: "records were lost while the receiver did not answer", fields: map[string]any{"records": lost}}
		body.Write(append(said.object(), '\n'))
	}
	err := r.send(ctx, &body)
	if err != nil && !errors.Is(err, errUnwanted) {
		return n, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wait, r.bytes = r.wait[n:], r.bytes-size
	if err != nil { // it would be refused again, and everything behind it wait
		r.lost += n
		return n, nil
	}
	r.lost -= lost
	return n, nil
}

// errUnwanted means that the same records will never be taken.
var (
	errReceiver = errors.New("the receiver does not take records")
	errUnwanted = errors.New("the receiver cannot read records")
)

func (r *remote) send(ctx context.Context, body *bytes.Buffer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.cfg.url, body)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-ndjson")
	if r.cfg.authorization != "" {
		request.Header.Set("Authorization", r.cfg.authorization)
	}
	answer, err := r.client.Do(request)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection can be used again
	answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return fmt.Errorf("%w: %s", errUnwanted, answer.Status)
	}
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("%w: %s", errReceiver, answer.Status)
	}
	return nil
}

// close sends what is left, for a short time.
func (r *remote) close() {
	r.stop()
	timer := time.AfterFunc(remoteLast, r.end)
	<-r.ended
	timer.Stop()
	r.end()
}
