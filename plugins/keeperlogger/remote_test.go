package keeperlogger

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kpm/plugins/sdk/sdktest"
)

// receiver takes records over TLS, and answers with answers first.
type receiver struct {
	*httptest.Server
	caFile string

	mu       sync.Mutex
	answers  []int
	requests int
	lines    []string
	wrong    []string
}

func newReceiver(t *testing.T, answers ...int) *receiver {
	r := &receiver{answers: answers}
	r.Server = httptest.NewTLSServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Close)
	r.caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(r.caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *receiver) serve(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	body, err := io.ReadAll(q.Body)
	if err != nil || q.Method != http.MethodPost || q.Header.Get("Content-Type") != "application/x-ndjson" || q.Header.Get("Authorization") != "Bearer secret" {
		r.wrong = append(r.wrong, fmt.Sprint(q.Method, q.Header, err))
	}
	if len(r.answers) > 0 {
		answer := r.answers[0]
		r.answers = r.answers[1:]
		w.Header().Set("Location", "https://elsewhere.example/")
		w.WriteHeader(answer)
		return
	}
	for line := range strings.Lines(string(body)) {
		r.lines = append(r.lines, strings.TrimSuffix(line, "\n"))
	}
}

func (r *receiver) got() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.lines)
}

func object(i int) entry { return entry{json: fmt.Appendf(nil, `{"n":%d}`, i)} }

// Records arrive once, in order and together; while the receiver does not take
// them, they wait.
func TestRecordsReachTheReceiver(t *testing.T) {
	for name, answers := range map[string][]int{"at once": nil, "after an error": {503}, "after a redirect": {302}} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t, answers...)
			var said bytes.Buffer
			sink, err := newRemote(httpConfig{url: r.URL, authorization: "Bearer secret", caFile: r.caFile, batch: 100}, &said)
			if err != nil {
				t.Fatal(err)
			}
			const many = 250
			for i := range many {
				sink.write(object(i))
			}
			for deadline := time.Now().Add(sdktest.Patience); r.got() < many && time.Now().Before(deadline); {
				time.Sleep(5 * time.Millisecond)
			}
			sink.write(object(many)) // the end does not wait for others
			sink.close()
			if len(r.lines) != many+1 || r.lines[0] != `{"n":0}` || r.lines[many] != fmt.Sprintf(`{"n":%d}`, many) {
				t.Errorf("%d lines; %s", len(r.lines), said.String())
			}
			if want := 4 + len(answers); r.requests != want || len(r.wrong) > 0 {
				t.Errorf("%d requests, expected %d; %v", r.requests, want, r.wrong)
			}
			if (said.Len() > 0) != (answers != nil) {
				t.Errorf("said: %q", said.String())
			}
		})
	}
}

// What a receiver cannot read does not hold up what comes after it, and is
// counted.
func TestRecordsThatNobodyTakes(t *testing.T) {
	r := newReceiver(t, http.StatusBadRequest)
	sink, err := newRemote(httpConfig{url: r.URL, authorization: "Bearer secret", caFile: r.caFile, batch: 2}, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		sink.write(object(i))
	}
	sink.close()
	if got := strings.Join(r.lines, " "); !strings.HasPrefix(got, `{"n":2} {"n":3} {"time":`) || !strings.Contains(got, `"fields":{"records":2}`) {
		t.Errorf("%s", got)
	}
}

// A receiver that is gone keeps nobody waiting, and takes no more memory than
// it is given.
func TestAReceiverThatIsGone(t *testing.T) {
	r := newReceiver(t)
	url := r.URL
	r.Close()
	var said bytes.Buffer
	sink, err := newRemote(httpConfig{url: url, caFile: r.caFile, batch: 100}, &said)
	if err != nil {
		t.Fatal(err)
	}
	line := entry{json: make([]byte, 64<<10)}
	for range 200 {
		sink.write(line)
	}
	sink.mu.Lock()
	waiting, lost := sink.bytes, sink.lost
	sink.mu.Unlock()
	if waiting > remoteQueued || lost < 100 {
		t.Errorf("%d bytes wait, %d records are counted", waiting, lost)
	}
	sink.close()
	if !strings.Contains(said.String(), "could not be sent") {
		t.Errorf("%q", said.String())
	}
}

func TestTheReceiversCertificate(t *testing.T) {
	r := newReceiver(t)
	r.Config.ErrorLog = nil
	var said bytes.Buffer
	sink, err := newRemote(httpConfig{url: r.URL, batch: 1}, &said) // the system's CAs do not know it
	if err != nil {
		t.Fatal(err)
	}
	sink.write(object(1))
	sink.close()
	if r.got() != 0 || !strings.Contains(said.String(), "certificate") {
		t.Errorf("%d records; %q", r.got(), said.String())
	}
	for _, file := range []string{"/nowhere.pem", os.Args[0]} {
		if _, err := newRemote(httpConfig{url: r.URL, caFile: file}, &said); err == nil || !strings.Contains(err.Error(), "log.http.ca_file") {
			t.Errorf("%s: %v", file, err)
		}
	}
}
