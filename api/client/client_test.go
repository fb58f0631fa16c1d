package client_test

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"kpm/api/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// local returns a client of a server that answers with h.
func local(t *testing.T, h http.HandlerFunc) *client.Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	c := client.Local(func() (net.Conn, error) { return net.Dial("tcp", server.Listener.Addr().String()) })
	t.Cleanup(c.Close)
	return c
}

func TestCall(t *testing.T) {
	c := local(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		io.WriteString(w, `{"saw":"`+r.Method+" "+r.URL.Path+" "+string(body)+`"}`)
	})
	var answer struct{ Saw string }
	if err := c.Get(t.Context(), "/api/x", &answer); err != nil || answer.Saw != "GET /api/x " {
		t.Errorf("%+v, %v", answer, err)
	}
	if got, err := c.Call(t.Context(), http.MethodPost, "/y", []byte("z")); err != nil || string(got) != `{"saw":"POST /y z"}` {
		t.Errorf("%s, %v", got, err)
	}
	var list []string
	if err := c.Get(t.Context(), "/api/x", &list); err == nil || !strings.HasPrefix(err.Error(), "/api/x: ") {
		t.Errorf("an object read as a list: %v", err)
	}
}

// What another server at the same place says is not taken for an answer.
func TestAnswersThatAreNotTheService(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"not JSON":        func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") },
		"empty":           func(http.ResponseWriter, *http.Request) {},
		"another refusal": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) },
		"a redirect":      func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"without end": func(w http.ResponseWriter, _ *http.Request) {
			for chunk := []byte(strings.Repeat(" ", 1<<20)); ; {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		},
	} {
		asked := 0
		c := local(t, func(w http.ResponseWriter, r *http.Request) { asked++; h(w, r) })
		_, err := c.Call(t.Context(), http.MethodGet, "/", nil)
		if err == nil || !strings.Contains(err.Error(), "is that the service?") || asked != 1 {
			t.Errorf("%s: %v after %d requests", name, err, asked)
		}
	}
}

func TestRefusal(t *testing.T) {
	c := local(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"status":400,"code":"invalid","detail":"two faults","errors":[{"pointer":"/a","detail":"x"},{"detail":"y"}]}`)
	})
	_, err := c.Call(t.Context(), http.MethodGet, "/", nil)
	var r *client.Refusal
	if !errors.As(err, &r) || r.Status != 400 || err.Error() != "refused (invalid): two faults; /a: x; body: y" {
		t.Errorf("%v", err)
	}
	for code, remedy := range map[string]string{"tier-too-low": "run this as root", "client-certificate-required": "--client-cert"} {
		if text := (&client.Refusal{Code: code}).Error(); !strings.Contains(text, remedy) {
			t.Errorf("%s: %q", code, text)
		}
	}
}

func TestNobodyAnswers(t *testing.T) {
	closed := errors.New("closed")
	c := client.Local(func() (net.Conn, error) { return nil, closed })
	defer c.Close()
	if _, err := c.Call(context.Background(), http.MethodGet, "/", nil); !errors.Is(err, client.ErrNotRunning) || !errors.Is(err, closed) ||
		strings.Contains(err.Error(), "http://") {
		t.Errorf("%v", err)
	}
}

// Whoever stops asking has not found out that nobody answers.
func TestInterruptedIsNotUnanswered(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := local(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	for _, when := range []string{"while it waits", "before it asks"} {
		if _, err := c.Call(ctx, http.MethodGet, "/x", nil); !errors.Is(err, context.Canceled) || errors.Is(err, client.ErrNotRunning) ||
			err.Error() != "GET /x: context canceled" {
			t.Errorf("%s: %v", when, err)
		}
	}
}

// Anchors that are not the server's are tested with a real service in admincli.
func TestHTTPSTrustsTheAnchors(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "1") }))
	defer server.Close()
	host := server.Listener.Addr().String()
	anchors := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	c, err := client.HTTPS(host, anchors)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, err := c.Call(t.Context(), http.MethodGet, "/", nil); err != nil || string(got) != "1" {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := client.HTTPS(host, []byte("nothing")); !errors.Is(err, client.ErrNoCertificate) {
		t.Errorf("anchors without a certificate: %v", err)
	}
}
