package client

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// maxEvent bounds one event of a stream, in bytes.
const maxEvent = 4 << 20

// Stream reads path as server-sent events and calls each for every one, until they end,
// each returns an error, or ctx is done. Errors are those of Call, or each's.
func (c *Client) Stream(ctx context.Context, path string, each func(name string, data []byte) error) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return err
	}
	patient := c.http
	patient.Timeout = 0 // a run may be silent for long
	response, err := c.do(&patient, request, path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
		if err != nil {
			return fmt.Errorf("GET %s: %w", path, err)
		}
		return refused(response.StatusCode, answer)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, maxEvent)
	name, data := "", []byte(nil)
	for lines.Scan() {
		line := lines.Bytes()
		switch key, value, _ := bytes.Cut(line, []byte(": ")); {
		case len(line) == 0 && name != "":
			if err := each(name, data); err != nil {
				return err
			}
			name, data = "", nil
		case string(key) == "event":
			name = strings.Clone(string(value))
		case string(key) == "data":
			data = bytes.Clone(value)
		}
	}
	switch err := lines.Err(); {
	case ctx.Err() != nil:
		return fmt.Errorf("GET %s: %w", path, ctx.Err())
	case err != nil:
		return fmt.Errorf("GET %s: %w", path, err)
	}
	return nil
}
