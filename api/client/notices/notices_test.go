package notices

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/core/dialog"
	"kpm/core/port"
)

// service plays streams, one after the other, and answers calls.
type service struct {
	streams []func(ctx context.Context, each func(string, []byte) error) error
	answers map[string]string
}

func (s *service) Call(_ context.Context, method, path string, _ []byte) (json.RawMessage, error) {
	if text, ok := s.answers[method+" "+path]; ok {
		return json.RawMessage(text), nil
	}
	return nil, errors.New("refused")
}

func (s *service) Stream(ctx context.Context, path string, each func(string, []byte) error) error {
	if path != Path || len(s.streams) == 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	next := s.streams[0]
	s.streams = s.streams[1:]
	return next(ctx, each)
}

func says(texts ...string) func(context.Context, func(string, []byte) error) error {
	return func(_ context.Context, each func(string, []byte) error) error {
		for _, text := range texts {
			if err := each("approval-approved", []byte(text)); err != nil {
				return err
			}
		}
		return errors.New("the service has stopped")
	}
}

// A service that is restarted is heard again, with less and less haste.
func TestNoticesAreShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		from := &service{streams: []func(context.Context, func(string, []byte) error) error{
			says(`{"id":"K7QP-3M2X","text":"approval K7QP-3M2X is given\nby bob\u001b"}`), says(), says(), says(), says(), says(), says(`{"id":"A","text":"last"}`), says("not JSON"),
		}}
		shown, waits := make(chan dialog.Question, 8), []time.Duration{}
		done := make(chan error)
		go func() {
			done <- Watch(ctx, from, func(_ context.Context, _ dialog.Desktop, q dialog.Question) (dialog.Answer, error) {
				shown <- q
				return dialog.Answer{Outcome: dialog.Declined}, nil
			}, func(d time.Duration) <-chan time.Time { waits = append(waits, d); return time.After(d) })
		}()
		if q := <-shown; q.Kind != dialog.KindNotice || q.Code != "K7QP-3M2X" || q.Text != "approval K7QP-3M2X is given; by bob\uFFFD" {
			t.Errorf("%+v", q)
		}
		if q := <-shown; q.Text != "last" {
			t.Errorf("%+v", q)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got, want := fmt.Sprint(waits), "[500ms 1s 2s 4s 8s 16s 500ms 500ms 1s]"; got != want {
			t.Errorf("waited %s, expected %s", got, want)
		}
	})
}

// Who does not close notices sees the next ones all the same, and no more than fit.
func TestNoticesBesideEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		texts := make([]string, 10)
		for i := range texts {
			texts[i] = fmt.Sprintf(`{"id":"%d","text":"x"}`, i)
		}
		from := &service{streams: []func(context.Context, func(string, []byte) error) error{says(texts...)}}
		shown := make(chan string, len(texts))
		done := make(chan error)
		go func() {
			done <- Watch(ctx, from, func(ctx context.Context, _ dialog.Desktop, q dialog.Question) (dialog.Answer, error) {
				shown <- q.Code
				<-ctx.Done()
				return dialog.Answer{}, ctx.Err()
			}, time.After)
		}()
		synctest.Wait()
		if len(shown) != maxShown {
			t.Errorf("%d at once", len(shown))
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestWithoutADesktopItEnds(t *testing.T) {
	from := &service{streams: []func(context.Context, func(string, []byte) error) error{says(`{"id":"A","text":"x"}`)}}
	err := Watch(t.Context(), from, func(context.Context, dialog.Desktop, dialog.Question) (dialog.Answer, error) {
		return dialog.Answer{Outcome: dialog.Unavailable, Text: "no display"}, nil
	}, time.After)
	if !errors.Is(err, ErrNoDesktop) || !strings.Contains(err.Error(), "no display") {
		t.Errorf("%v", err)
	}
}

// Only this person's own, and only what is open, is listed.
func TestWhatIsOpen(t *testing.T) {
	from := &service{answers: map[string]string{
		"GET /api/approvals": `[{"id":"A","own":true,"status":"pending","arguments":["id","\u001b"],"filePath":"/usr/bin/id","expireIn":30},
			{"id":"B","own":false,"status":"pending"},{"id":"C","own":true,"status":"denied"},{"id":"D","own":true,"status":"approved","used":true}]`,
		"GET /api/grants": `[{"id":"G","policy":{"PolicyId":"p"},"target":"root","secondsLeft":90}]`,
	}}
	var out bytes.Buffer
	cfg := Config{Stdout: &out}
	cfg.Host.Facts.Platform = core.Linux
	if err := printOpen(t.Context(), from, cfg, false); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{"approval A pending: /usr/bin/id", "(expires in 30", "grant G: ", "as root, for 1m30s"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in %q", want, text)
		}
	}
	if strings.Contains(text, "approval B") || strings.Contains(text, "approval C") || strings.Contains(text, "approval D") || strings.Contains(text, "\x1b") {
		t.Errorf("%q", text)
	}
	out.Reset()
	if err := printOpen(t.Context(), from, cfg, true); err != nil || !json.Valid(out.Bytes()) {
		t.Errorf("%v: %s", err, out.String())
	}
	from.answers["GET /api/approvals"], from.answers["GET /api/grants"] = "[]", "[]"
	out.Reset()
	if err := printOpen(t.Context(), from, cfg, false); err != nil || out.String() != "Nothing of yours is open.\n" {
		t.Errorf("%v: %q", err, out.String())
	}
	delete(from.answers, "GET /api/grants")
	if err := printOpen(t.Context(), from, cfg, false); err == nil {
		t.Error("no fault")
	}
}

func TestTheCommandLine(t *testing.T) {
	for args, want := range map[string]int{"--help": exitOK, "--version": exitOK, "--nonsense": exitUsage, "--root /nonexistent/kpm": exitUsage} {
		var out, errs bytes.Buffer
		if got := Run(t.Context(), strings.Fields(args), Config{Version: "1", Host: port.Host{Files: refuses{}}, Stdout: &out, Stderr: &errs}); got != want {
			t.Errorf("%s: status %d, expected %d: %s%s", args, got, want, out.String(), errs.String())
		}
	}
}

// refuses is a file system on which nothing can be trusted.
type refuses struct{ port.Files }

func (refuses) ProtectedRoot(string) error { return core.ErrNotProtected }
