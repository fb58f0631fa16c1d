package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"kpm/core"
)

// ErrSettings is wrapped by every error of Settings.
var ErrSettings = errors.New("settings")

// maxSettings bounds the answer in bytes.
const maxSettings = 1 << 20

// Settings fetches the effective settings of a plugin, a flat object of strings
// (docs/settings.md), within at most five seconds.
func Settings(ctx context.Context, network Network, plugin string) (map[string]string, error) {
	if !core.ValidName(plugin) {
		return nil, fmt.Errorf("sdk: %w: %q is no plugin id", ErrSettings, plugin)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	status, body, err := call(ctx, network, fmt.Sprintf("GET /api/PluginSettings/%s HTTP/1.0\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n\r\n", plugin))
	if err != nil {
		return nil, fmt.Errorf("sdk: %w of %s: %w", ErrSettings, plugin, err)
	}
	if status != "200" {
		return nil, fmt.Errorf("sdk: %w of %s: the API answered %s %s", ErrSettings, plugin, status, problem(body))
	}
	var values map[string]string
	if err := json.Unmarshal(body, &values); err != nil {
		return nil, fmt.Errorf("sdk: %w of %s: %w", ErrSettings, plugin, err)
	}
	return values, nil
}

// asked is a question for the settings whose answer is taken once. nil is none.
type asked struct {
	done   chan struct{}
	values map[string]string
	err    error
	taken  atomic.Bool
}

func ask(ctx context.Context, cfg Config) *asked {
	a := &asked{done: make(chan struct{})}
	go func() {
		defer close(a.done)
		a.values, a.err = Settings(ctx, cfg.Network, cfg.ID)
	}()
	return a
}

// wait waits for the end of the question.
func (a *asked) wait() {
	if a != nil {
		<-a.done
	}
}

// take waits for the answer. There is none if it was taken, or if nobody could answer.
func (a *asked) take() (map[string]string, bool) {
	if a == nil || a.taken.Swap(true) {
		return nil, false
	}
	<-a.done
	return a.values, a.err == nil
}

// call sends one request and reads its answer. That does not need net/http:
// HTTP/1.0 asks for an answer that ends with the connection, and that is all there
// is to read.
func call(ctx context.Context, network Network, request string) (status string, body []byte, err error) {
	conn, err := network.DialAPI(ctx)
	if err != nil {
		return "", nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.WriteString(conn, request); err != nil {
		return "", nil, err
	}
	return readAnswer(conn)
}

// readAnswer reads an HTTP/1.0 response to its end.
func readAnswer(r io.Reader) (status string, body []byte, err error) {
	data, err := io.ReadAll(io.LimitReader(r, maxSettings+1))
	if err != nil {
		return "", nil, err
	}
	if len(data) > maxSettings {
		return "", nil, fmt.Errorf("an answer of more than %d bytes", maxSettings)
	}
	head, body, whole := bytes.Cut(data, []byte("\r\n\r\n"))
	if !whole {
		return "", nil, errors.New("an answer that is cut short")
	}
	line, _, _ := strings.Cut(string(head), "\r\n")
	words := strings.Fields(line)
	if len(words) < 2 || !strings.HasPrefix(words[0], "HTTP/1.") {
		return "", nil, fmt.Errorf("an answer that is not HTTP: %.40q", line)
	}
	return words[1], body, nil
}

// problem takes what a person can use from problem details (RFC 9457).
func problem(body []byte) string {
	var p struct{ Title, Detail string }
	if json.Unmarshal(body, &p) != nil {
		return ""
	}
	return strings.TrimSpace(p.Title + " " + p.Detail)
}
