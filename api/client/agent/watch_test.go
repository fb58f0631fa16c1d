package agent

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// said streams what it is, and then ends as it is told.
type said struct {
	events []string
	ends   error
}

func (s said) Stream(_ context.Context, path string, each func(name string, data []byte) error) error {
	if path != "/api/notices" {
		return errors.New(path)
	}
	for _, one := range s.events {
		if err := each("x", []byte(one)); err != nil {
			return err
		}
	}
	return s.ends
}

func TestWatching(t *testing.T) {
	one := `{"kind":"approval-denied","id":"K","text":"it is \u001b[2J refused","secondsLeft":0}`
	for name, tc := range map[string]struct {
		json bool
		from said
		out  string
		err  string
	}{
		"as text":          {false, said{[]string{one}, context.Canceled}, "it is \ufffd[2J refused\n", ""},
		"as JSON":          {true, said{[]string{one, one}, context.Canceled}, one + "\n" + one + "\n", ""},
		"the service ends": {false, said{}, "", "the service has stopped"},
		"no JSON":          {false, said{[]string{"x"}, nil}, "", "invalid character"},
	} {
		p := newPerson("")
		p.json = tc.json
		err := p.watches(t.Context(), tc.from)
		if got := p.out.String(); got != tc.out || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: %v, %q", name, err, got)
		}
	}
}
