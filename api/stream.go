package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// eventStream is the content type of server-sent events.
const eventStream = "text/event-stream"

// aliveEvery is how often a stream without events says that it is there.
const aliveEvery = 15 * time.Second

// stream is what handle returns to answer with events as they happen. It ends when there
// are no more, or with the error of send: the client has gone. send without a name says
// that the stream is there, whenever alive does. It also ends when the server does.
type stream func(send func(name string, data any) error, alive <-chan time.Time, closing <-chan struct{}) error

// pour answers with a stream. Each event has the time that an answer has.
func (s *Server) pour(c *call, events stream) {
	c.w.Header().Set("Content-Type", eventStream)
	c.w.WriteHeader(http.StatusOK)
	out := http.NewResponseController(c.w)
	ticker := time.NewTicker(aliveEvery)
	defer ticker.Stop()
	err := events(func(name string, data any) error {
		_ = out.SetReadDeadline(time.Time{}) // the request has been read
		if err := out.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return err
		}
		text := ":\n\n"
		if name != "" {
			body, err := json.Marshal(data)
			if err != nil {
				return err
			}
			text = fmt.Sprintf("event: %s\ndata: %s\n\n", name, body)
		}
		if _, err := c.w.Write([]byte(text)); err != nil {
			return err
		}
		return out.Flush()
	}, ticker.C, s.closing)
	if err != nil {
		s.cfg.Log.Debug("a stream ended early", "path", c.URL.Path, "error", err)
	}
}

// relay sends what events has, each by its kind, until there are no more, whoever asked
// has gone, or the server ends.
func relay[T any](c *call, events <-chan T, kind func(T) string, send func(name string, data any) error, alive <-chan time.Time, closing <-chan struct{}) error {
	for {
		select {
		case e, more := <-events:
			if !more {
				return nil
			}
			if err := send(kind(e), e); err != nil {
				return err
			}
		case <-alive:
			if err := send("", nil); err != nil {
				return err
			}
		case <-c.Context().Done():
			return nil
		case <-closing:
			return nil
		}
	}
}
