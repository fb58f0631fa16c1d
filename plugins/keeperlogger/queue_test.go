package keeperlogger

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// shelf is a sink that is stuck until it is told to go on.
type shelf struct {
	mu      sync.Mutex
	entries []entry
	stuck   chan struct{}
}

func (s *shelf) write(e entry) {
	if s.stuck != nil {
		<-s.stuck
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries = append(s.entries, e)
}

func (s *shelf) close() {}

func (s *shelf) lines() (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.entries {
		out = append(out, strings.TrimSuffix(string(e.text), "\n"))
	}
	return out
}

// Publishers are not kept waiting by a disk that hangs, one publisher's flood
// leaves room for the others, and what is lost is counted.
func TestAFloodIsCounted(t *testing.T) {
	s := &shelf{stuck: make(chan struct{})}
	q := newQueue(config{system: "off"}, func() time.Time { return now }, s)
	long := strings.Repeat("x", maxMessage)
	const many = 2000
	for range many {
		q.take([]byte(envelope("Log", "Flood", `{"Level":"Information","Message":"`+long+`"}`)))
	}
	q.take([]byte(envelope("Log", "MyBridge", `{"Level":"Information","Message":"mine"}`)))
	q.mu.Lock()
	waiting := q.bytes
	q.mu.Unlock()
	if waiting > maxQueued {
		t.Errorf("%d bytes wait", waiting)
	}
	close(s.stuck)
	q.close()
	written, lost, mine := 0, 0, false
	for _, line := range s.lines() {
		switch {
		case strings.Contains(line, "Flood: x"):
			written++
		case strings.HasSuffix(line, "MyBridge: mine"):
			mine = true
		default:
			_, count, _ := strings.Cut(line, "[WRN] KeeperLogger: messages came faster than they could be written, and are lost messages=")
			var n int
			if _, err := fmt.Sscan(count, &n); err != nil {
				t.Errorf("%q: %v", line, err)
			}
			lost += n
		}
	}
	if !mine || lost == 0 || written+lost != many {
		t.Errorf("the other's line: %v; %d written, %d counted as lost, of %d", mine, written, lost, many)
	}
	q.say("Information", "too late")
	if got := s.lines(); strings.Contains(got[len(got)-1], "too late") {
		t.Error("written after the end")
	}
}

func TestLevels(t *testing.T) {
	l, faults := readLevels(map[string]string{
		"log.level": "Warning", "log.level.My.Bridge": "debug", "log.level.Noisy": "Critical", "log.level.Noisy/Part": "Trace", "log.levels": "x", "log.level.": "x"})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	for _, tc := range []struct {
		source, level string
		want          bool
	}{
		{"x", "Information", false}, {"x", "warning", true}, {"x", "Critical", true}, {"x", "loud", false},
		{"My.Bridge", "Debug", true}, {"My.Bridge", "Trace", false}, {"My.Bridge/Worker", "Debug", true},
		{"Noisy", "Error", false}, {"Noisy", "Critical", true}, {"Noisy/Part", "Trace", true}, {"Noisy/Other", "Error", false},
	} {
		if got := l.wants(tc.source, tc.level); got != tc.want {
			t.Errorf("%s of %s: %v", tc.level, tc.source, got)
		}
	}
	s := &shelf{}
	q := newQueue(config{system: "off", levels: l}, func() time.Time { return now }, s)
	for _, level := range []string{"Debug", "Error"} {
		q.take([]byte(envelope("Log", "x", `{"Level":"`+level+`","Message":"m"}`)))
	}
	q.close()
	if diff := cmp.Diff([]string{"2026-11-21T18:00:00.123Z [ERR] x: m"}, s.lines()); diff != "" {
		t.Error(diff)
	}
}

func TestObjects(t *testing.T) {
	r, _ := parse([]byte(envelope("Log", "x\ny", `{"Level":"WARNING","Message":"a\n\u001bb","Fields":{"n":12345678901234567890,"s":"t","o":{"k":[1]},"b":true,"z":null}}`)), now)
	want := `{"time":"2026-11-21T18:00:00.123Z","level":"Warning","source":"x\ny","message":"a\n\u001bb","fields":{"b":true,"n":12345678901234567890,"o":{"k":[1]},"s":"t","z":null}}`
	if got := string(r.object()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	fields := map[string]any{}
	for i := range 100 {
		fields[fmt.Sprintf("k%03d", i)] = []string{strings.Repeat("\x01", 2_000)}
	}
	long := record{at: now, source: strings.Repeat("s", 1000), message: strings.Repeat("m", 100_000), fields: fields}
	data := long.object()
	var o map[string]any
	if err := json.Unmarshal(data, &o); err != nil || len(data) > 1<<20 || o["fieldsLeftOut"] != 36.0 || !strings.HasSuffix(o["message"].(string), "...(91808 bytes more)") {
		t.Errorf("%d bytes, %v, %.200s", len(data), err, data)
	}
}

// The folder's size is bounded: the oldest rotated files go, and nothing else.
func TestTheTotalIsBounded(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "KeeperLogger.log")
	put := func(name string, n int) {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, n), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	others := []string{"KeeperLogger-notes.log", "KeeperLogger-20260101_000000", "Other-20260101_000000-size.log", "KeeperLogger.log"}
	for _, name := range others {
		put(name, 1000)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "KeeperLogger-20200101_000000-size.log")); err != nil {
		t.Fatal(err)
	}
	for day := range 5 {
		put(fmt.Sprintf("KeeperLogger-2026010%d_000000-time.log", day+1), 100)
	}
	if err := (total{path: path, most: 250}).trim(time.Now()); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "KeeperLogger_2026010*_000000.log"))
	if err != nil || len(left) != 2 || !strings.Contains(left[0], "20260104") {
		t.Errorf("%v, %v", left, err)
	}
	for _, name := range append(others, "KeeperLogger-20200101_000000-size.log") {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	at := time.Date(2026, 1, 6, 12, 0, 0, 0, time.Local) // the younger one is a day and a half old
	if err := (total{path: path, most: 1 << 20, days: 2}).trim(at); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "KeeperLogger_2026010*")); err != nil || len(left) != 1 {
		t.Errorf("of an age there are %v, %v", left, err)
	}
	if err := (total{path: filepath.Join(dir, "none", "x.log")}).trim(time.Now()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// recorder is a system log that fails now and then.
type recorder struct {
	lines []string
	fail  bool
}

func (r *recorder) Write(level, line string) error {
	if r.fail {
		return errors.New("connection refused")
	}
	r.lines = append(r.lines, level+" "+line)
	return nil
}

func (r *recorder) Close() error { return nil }

func TestTheSystemsLog(t *testing.T) {
	var said strings.Builder
	log := &recorder{}
	sinks, faults := withSystem(nil, nil, Config{System: func() (SystemLog, error) { return log, nil }, Stderr: &said})
	if len(sinks) != 1 || len(faults) > 0 {
		t.Fatal(faults)
	}
	q := newQueue(config{system: "auto", json: true}, func() time.Time { return now }, sinks...)
	for i := range 4 {
		log.fail = i == 1 || i == 2
		e := q.entry(record{at: now, level: "Error", source: "x", message: fmt.Sprint("a] b ", i), fields: map[string]any{"k": "v"}})
		sinks[0].write(e)
	}
	q.close()
	want := []string{"Error x: a] b 0 k=v", "Warning KeeperLogger: 2 lines could not be written here; the log file may have them", "Error x: a] b 3 k=v"}
	if diff := cmp.Diff(want, log.lines); diff != "" {
		t.Error(diff)
	}
	if strings.Count(said.String(), "connection refused") != 1 {
		t.Errorf("%q", said.String())
	}
	for name, open := range map[string]func() (SystemLog, error){"none": nil, "broken": func() (SystemLog, error) { return nil, errors.New("no log daemon") }} {
		if sinks, faults := withSystem(nil, nil, Config{System: open}); len(sinks) > 0 || len(faults) != 1 {
			t.Errorf("%s: %v", name, faults)
		}
	}
}
