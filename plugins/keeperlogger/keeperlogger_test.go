package keeperlogger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"kpm/core/wire"
	"kpm/plugins/sdk"
	"kpm/plugins/sdk/sdktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	sent = time.Date(2026, 11, 21, 18, 0, 0, 123456789, time.UTC)
	now  = sent.Add(time.Second)
)

// envelope is what a plugin publishes, with its payload as text.
func envelope(messageType, source, payload string) string {
	return fmt.Sprintf(`{"MessageId": "M", "MessageType": %q, "Source": %q, "Timestamp": %q, "Payload": %s}`,
		messageType, source, sent.Format(time.RFC3339Nano), payload)
}

func TestLines(t *testing.T) {
	for _, tc := range []struct{ name, payload, want string }{
		{"a record", envelope("Log", "KeeperPolicy", `{"Level": "Information", "Message": "decided", "Fields": {"user": "alice", "decision": "ALLOW"}}`),
			"2026-11-21T18:00:00.123Z [INF] KeeperPolicy: decided decision=ALLOW user=alice"},
		{"levels, case aside", envelope("Log", "x", `{"Level": "WARNING", "Message": "m"}`), "2026-11-21T18:00:00.123Z [WRN] x: m"},
		{"critical", envelope("Log", "x", `{"Level": "Critical", "Message": "m"}`), "2026-11-21T18:00:00.123Z [FTL] x: m"},
		{"unknown level", envelope("Log", "x", `{"Level": "Loud", "Message": "m"}`), "2026-11-21T18:00:00.123Z [INF] x: m"},
		{"kinds of values", envelope("Log", "x", `{"Level": "Error", "Message": "m", "Fields": {"n": 12345678901234567890, "f": 1.50, "b": true, "z": null, "l": ["a", 1], "o": {"k": "v"}, "e": ""}}`),
			`2026-11-21T18:00:00.123Z [ERR] x: m b=true e="" f=1.50 l=["a",1] n=12345678901234567890 o={"k":"v"} z=null`},
		{"values that need quotes", envelope("Log", "x", `{"Level": "Debug", "Message": "m", "Fields": {"a b": "c=d", "q": "say \"x\"", "s": "two words"}}`),
			`2026-11-21T18:00:00.123Z [DBG] x: m "a b"="c=d" q="say \"x\"" s="two words"`},
		{"a source that needs quotes", envelope("Log", "x: [ERR] y", `{"Level": "Trace", "Message": "m"}`), `2026-11-21T18:00:00.123Z [TRC] "x: [ERR] y": m`},
		{"a bare JSON string", `"hello"`, "2026-11-21T18:00:01.123Z [INF] -: hello"},
		{"bare text", "hello there", "2026-11-21T18:00:01.123Z [INF] -: hello there"},
		{"another type", envelope("CustomEvent", "x", `{"EventName": "Startup"}`), `2026-11-21T18:00:00.123Z [INF] x: {"EventName": "Startup"} MessageType=CustomEvent`},
		{"a payload of the wrong shape", envelope("Log", "x", `["a"]`), `2026-11-21T18:00:00.123Z [INF] x: ["a"] MessageType=Log`},
		{"half an envelope", `{"MessageType": "Log"}`, `2026-11-21T18:00:01.123Z [INF] -: {"MessageType": "Log"}`},
		{"a flat record", `{"Source": "MyBridge", "Level": "Warning", "Message": "m", "Fields": {"k": 1}}`, "2026-11-21T18:00:01.123Z [WRN] MyBridge: m k=1"},
		{"a flat record without source and level", `{"Message": "m"}`, "2026-11-21T18:00:01.123Z [INF] -: m"},
		{"no JSON at all", "\x00\xff{", "2026-11-21T18:00:01.123Z [INF] -: \ufffd\ufffd{"},
		// Attacks: a forged line, a moved cursor, hidden text.
		{"line breaks", envelope("Log", "x\ny", `{"Level": "Information", "Message": "a\r\nb\nc\rd", "Fields": {"k\nl": "v\n2026-11-21T18:00:00.000Z [INF] KeeperPolicy: decided"}}`),
			`2026-11-21T18:00:00.123Z [INF] "x | y": a | b | c` + "\ufffd" + `d "k | l"="v | 2026-11-21T18:00:00.000Z [INF] KeeperPolicy: decided"`},
		{"terminal control", envelope("Log", "x", `{"Level": "Information", "Message": "\u001b[2J\u009b1m\u202e"}`), "2026-11-21T18:00:00.123Z [INF] x: \ufffd[2J\ufffd1m\ufffd"},
		{"control inside a nested value", envelope("Log", "x", `{"Level": "Information", "Message": "m", "Fields": {"l": ["\u001b\u202e"]}}`),
			"2026-11-21T18:00:00.123Z [INF] x: m l=[\"\\u001b\ufffd\"]"},
		{"a clock that is far off", strings.Replace(envelope("Log", "x", `{"Level": "Information", "Message": "m"}`), "2026", "1999", 1), "2026-11-21T18:00:01.123Z [INF] x: m"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, ok := parse([]byte(tc.payload), now)
			if !ok {
				t.Fatal("no record")
			}
			if got := string(r.line()); got != tc.want+"\n" {
				t.Errorf("got  %q\nwant %q", got, tc.want+"\n")
			}
		})
	}
	for _, nothing := range []string{"", " \n"} {
		if _, ok := parse([]byte(nothing), now); ok {
			t.Errorf("%q is a record", nothing)
		}
	}
}

func TestLongLinesAreCut(t *testing.T) {
	fields := map[string]any{}
	for i := range 100 {
		fields[fmt.Sprintf("k%03d", i)] = strings.Repeat("ä", 2_000)
	}
	payload, err := json.Marshal(map[string]any{"Level": "Error", "Message": strings.Repeat("ö", 100_000), "Fields": fields})
	if err != nil {
		t.Fatal(err)
	}
	r, _ := parse([]byte(envelope("Log", strings.Repeat("s", 1000), string(payload))), now)
	line := r.line()
	if len(line) > 128<<10 || !utf8.Valid(line) {
		t.Errorf("%d bytes, valid %v", len(line), utf8.Valid(line))
	}
	for _, want := range []string{"(936 bytes more)", "(191808 bytes more)", " ...=36\n"} {
		if !bytes.Contains(line, []byte(want)) {
			t.Errorf("%q is missing", want)
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add([]byte(envelope("Log", "KeeperPolicy", `{"Level": "Information", "Message": "decided", "Fields": {"user": "alice", "l": [1, {"a": "\u0007"}]}}`)))
	f.Add([]byte(`"text"`))
	f.Add([]byte("\x1b[2J\n"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		r, ok := parse(payload, now)
		if !ok {
			return
		}
		line := string(r.line())
		body, whole := strings.CutSuffix(line, "\n")
		if !whole || wire.Printable(body) != body || len(line) > 128<<10 {
			t.Errorf("%q", line)
		}
		if object := r.object(); !json.Valid(object) || bytes.ContainsAny(object, "\n\x1b") || len(object) > 1<<20 {
			t.Errorf("%q", object)
		}
	})
}

func TestConfigure(t *testing.T) {
	standard := config{path: "/r/Plugins/bin/KeeperLogger/Log/KeeperLogger.log", sizeMB: 10, days: 15, totalMB: 200, system: "off", http: httpConfig{batch: 100}}
	with := func(change func(c *config)) config {
		c := standard
		change(&c)
		return c
	}
	for _, tc := range []struct {
		name   string
		values map[string]string
		want   config
		faults int
	}{
		{"nothing", nil, standard, 0},
		{"the old name", map[string]string{"logRetentionDays": "7"}, with(func(c *config) { c.days = 7 }), 0},
		{"both names", map[string]string{"logRetentionDays": "7", "log.retention.days": "15"}, with(func(c *config) { c.days = 7 }), 0},
		{"lines of JSON", map[string]string{"log.format": "json", "log.system": "auto"}, with(func(c *config) { c.json, c.system = true, "auto" }), 0},
		{"levels", map[string]string{"log.level": "warning", "log.level.My.Bridge": "Trace"},
			with(func(c *config) { c.levels = levels{3, map[string]int{"My.Bridge": 0}} }), 0},
		{"a small total", map[string]string{"log.rotation.size_mb": "100", "log.retention.total_mb": "150"}, with(func(c *config) { c.sizeMB, c.totalMB = 100, 200 }), 1},
		{"a receiver", map[string]string{"log.http.url": "https://logs.example/in", "log.http.authorization": "Bearer x", "log.http.ca_file": "/ca.pem", "log.http.batch": "7"},
			with(func(c *config) { c.http = httpConfig{"https://logs.example/in", "Bearer x", "/ca.pem", 7} }), 0},
		{"a receiver here", map[string]string{"log.http.url": "http://127.0.0.1:9/"}, with(func(c *config) { c.http.url = "http://127.0.0.1:9/" }), 0},
		{"a receiver elsewhere without TLS", map[string]string{"log.http.url": "http://logs.example/in"}, standard, 1},
		{"no address", map[string]string{"log.http.url": "logs.example"}, standard, 1},
		{"other nonsense", map[string]string{"log.format": "xml", "log.system": "yes", "log.level": "loud", "log.level.x": "", "log.http.batch": "0"}, standard, 5},
		{"everything", map[string]string{"log.file.path": "/var/log/k/../x.log", "log.rotation.size_mb": "1", "log.retention.days": "3650"}, with(func(c *config) { c.path, c.sizeMB, c.days = "/var/log/x.log", 1, 3650 }), 0},
		{"nonsense", map[string]string{"log.file.path": "x.log", "log.rotation.size_mb": "0", "log.retention.days": "many"}, standard, 3},
		{"an unknown variable", map[string]string{"log.file.path": "/{home}/x.log"}, standard, 1},
	} {
		got, faults := configure("/r", tc.values)
		if !reflect.DeepEqual(got, tc.want) || len(faults) != tc.faults {
			t.Errorf("%s: got %+v, %v", tc.name, got, faults)
		}
	}
}

// plain makes a folder and lets it lie anywhere.
func plain(dir string) (string, error) { return dir, os.MkdirAll(dir, 0o750) }

// Attack: a log folder that a user can write to, with a link for the log.
func TestAFolderThatOthersCanWriteToIsRefused(t *testing.T) {
	refused := errors.New("mode 0777")
	path := filepath.Join(t.TempDir(), "log", "x.log")
	c := config{path: path, sizeMB: 1, days: 1}
	folder := func(dir string) (string, error) {
		if dir != filepath.Dir(path) {
			t.Errorf("asked about %s", dir)
		}
		return "", refused
	}
	if _, err := c.open(folder); !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
	// Where a link led when it was looked at is where the log lies.
	real := t.TempDir()
	if log, err := c.open(func(string) (string, error) { return real, nil }); err != nil || log.Filename != filepath.Join(real, "x.log") {
		t.Errorf("by a link: %v, %v", log, err)
	}
}

// published is what the names of rotated files are like.
var published = regexp.MustCompile(`^KeeperLogger_\d{8}_\d{6}\.log$`)

func TestFileModeAndRotation(t *testing.T) {
	c := config{path: filepath.Join(t.TempDir(), "Log", "KeeperLogger.log"), sizeMB: 1, days: 1}
	old := filepath.Join(filepath.Dir(c.path), "KeeperLogger-20200101_000000-time.log")
	if err := os.MkdirAll(filepath.Dir(c.path), 0o750); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{c.path, old} {
		if err := os.WriteFile(path, []byte("before\n"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	file, err := c.open(plain)
	if err != nil {
		t.Fatal(err)
	}
	w := &writer{file: file, stderr: t.Output(), now: time.Now, total: total{path: c.path, most: 1 << 30, days: c.days}}
	for range 200 { // 200 lines of 8 KiB are more than 1 MiB
		say(w, "Information", strings.Repeat("x", maxMessage))
	}
	w.close()
	entries, err := os.ReadDir(filepath.Dir(c.path))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	lines := 0
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o640 || info.Size() > 1<<20 {
			t.Errorf("%s: mode %v, %d bytes", entry.Name(), info.Mode(), info.Size())
		}
		data, err := os.ReadFile(filepath.Join(filepath.Dir(c.path), entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		lines += bytes.Count(data, []byte("\n"))
		names = append(names, entry.Name())
	}
	if len(names) != 2 || names[0] != "KeeperLogger.log" || !published.MatchString(names[1]) {
		t.Errorf("files: %v", names)
	}
	if lines != 201 {
		t.Errorf("%d lines, want 201", lines)
	}
}

// say has w write a line of the logger's own.
func say(w *writer, level, message string) {
	w.put(w.render(record{at: w.now(), level: level, source: ID, message: message}))
}

// flaky is a file on a disk that fills up.
type flaky struct {
	bytes.Buffer
	room  int // bytes left; negative is no limit
	syncs int
}

func (f *flaky) Write(p []byte) (int, error) {
	if f.room < 0 || len(p) <= f.room {
		f.room = max(f.room-len(p), -1)
		return f.Buffer.Write(p)
	}
	n := f.room
	f.room = 0
	f.Buffer.Write(p[:n])
	return n, errors.New("no space left on device")
}

func (f *flaky) Sync() error  { f.syncs++; return nil }
func (f *flaky) Close() error { return nil }

func TestAFullDiskIsToldAndCounted(t *testing.T) {
	file := &flaky{room: 50}
	var stderr bytes.Buffer
	w := &writer{file: file, stderr: &stderr, now: func() time.Time { return now }}
	for i := range 5 {
		say(w, "Information", fmt.Sprintf("line %d", i))
	}
	file.room = -1
	say(w, "Information", "again")
	w.close()
	say(w, "Information", "too late")
	lines := strings.Split(strings.TrimSuffix(file.String(), "\n"), "\n")
	want := []string{
		"2026-11-21T18:00:01.123Z [INF] KeeperLogger: line ", // where the disk was full
		"2026-11-21T18:00:01.123Z [ERR] KeeperLogger: lines could not be written and are lost lines=5",
		"2026-11-21T18:00:01.123Z [INF] KeeperLogger: again",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
	if n := strings.Count(stderr.String(), "no space left"); n != 1 {
		t.Errorf("stderr was told %d times:\n%s", n, &stderr)
	}
}

func TestLinesReachTheDiskInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := &flaky{room: -1}
		w := &writer{file: file, stderr: t.Output(), now: time.Now}
		say(w, "Information", "a")
		say(w, "Information", "b")
		time.Sleep(flushAfter)
		synctest.Wait()
		if file.syncs != 1 {
			t.Errorf("flushed %d times", file.syncs)
		}
		time.Sleep(time.Hour) // nothing to do, nothing done
		w.close()
		if file.syncs != 2 {
			t.Errorf("flushed %d times at the end", file.syncs)
		}
	})
}

func TestPluginWritesWhatIsPublished(t *testing.T) {
	bus := sdktest.New(t)
	root := t.TempDir()
	path := filepath.Join(root, "logs", "agent.log")
	bus.Set(ID, map[string]string{"log.file.path": path, "log.retention.days": "forever"})
	a, err := sdk.Start(t.Context(), sdk.Config{ID: ID, Network: bus.Network()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, a, Config{Root: root, Folder: plain, Stderr: t.Output()}) }()
	bus.Subscribed(wire.TopicLogger)
	const many = 500
	for i := range many {
		m, err := wire.New(wire.TypeLog, "MyBridge", wire.LogEntry{Level: "Information", Message: fmt.Sprintf("number %d", i)})
		if err != nil {
			t.Fatal(err)
		}
		bus.Send(wire.TopicLogger, m)
		bus.Publish(wire.TopicLogger, []byte{0xff, byte(i)})
	}
	deadline := time.Now().Add(sdktest.Patience)
	for count(t, path) < 2*many+1 && time.Now().Before(deadline) {
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	a.Close()
	if got := count(t, path); got != 2*many+1 {
		t.Errorf("%d lines, want %d", got, 2*many+1)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`[WRN] KeeperLogger: log.retention.days: found "forever", expected 1 to 3650`, "[INF] MyBridge: number 0\n", "[INF] MyBridge: number 499\n"} {
		if !bytes.Contains(data, []byte(want)) {
			t.Errorf("%q is missing", want)
		}
	}
}

func count(t *testing.T, path string) int {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return bytes.Count(data, []byte("\n"))
}

// Without settings and without a place to write there is no logger, and the
// agent hears why.
func TestPluginEndsWithoutAFile(t *testing.T) {
	bus := sdktest.New(t)
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "Plugins"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	a, err := sdk.Start(t.Context(), sdk.Config{ID: ID, Network: bus.Network()})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if err := Run(t.Context(), a, Config{Root: root, Folder: plain, Stderr: t.Output()}); err == nil || !strings.Contains(err.Error(), "Plugins") {
		t.Errorf("got %v", err)
	}
}

func TestRotationAtMidnightAndRetention(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		file, err := config{path: filepath.Join(dir, "KeeperLogger.log"), sizeMB: 1, days: 2}.open(plain)
		if err != nil {
			t.Fatal(err)
		}
		w := &writer{file: file, stderr: t.Output(), now: time.Now, total: total{path: file.Filename, most: 1 << 30, days: 2}}
		for day := range 5 {
			say(w, "Information", fmt.Sprint("day ", day))
			time.Sleep(24 * time.Hour)
			synctest.Wait()
		}
		w.close()
		rotated, err := filepath.Glob(filepath.Join(dir, "KeeperLogger_*_000000.log"))
		if err != nil || len(rotated) < 2 || len(rotated) > 3 {
			t.Errorf("after five days there are %v, %v", rotated, err)
		}
		last, err := os.ReadFile(rotated[len(rotated)-1])
		if err != nil || !strings.Contains(string(last), "day 4") {
			t.Errorf("the last one holds %q, %v", last, err)
		}
	})
}
