//go:build linux

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kpm/vmtests/agent"
)

// smallSegments makes the journal's segments as small as they may be.
func smallSegments(more string) func(a *agent.Agent) {
	return func(a *agent.Agent) {
		_ = a.Write("appsettings.json", `{"Settings":{"KestrelHttpPort":0,"KestrelHttpsPort":0},"MqttBrokerSettings":{"Port":0},
 "Journal":{"SegmentBytes":65536`+more+`}}`)
	}
}

func segmentsOf(t *testing.T, a *agent.Agent) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(a.Root, "Audit", "journal-*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// journalBytes is how many bytes of records there are.
func journalBytes(t *testing.T, a *agent.Agent) (n int64) {
	t.Helper()
	for _, name := range segmentsOf(t, a) {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		n += info.Size()
	}
	return n
}

// elevateUntil has commands run until ok.
func elevateUntil(t *testing.T, a *agent.Agent, ok func() bool) {
	t.Helper()
	for i := 0; !ok(); i++ {
		if i > 200 {
			t.Fatalf("after %d commands there are %v", i, segmentsOf(t, a))
		}
		if out, err := a.Sudo(t.Context(), 4242, "true", strconv.Itoa(i)+strings.Repeat("x", 12_000)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
}

// verifies asserts what `audit verify` says.
func verifies(t *testing.T, a *agent.Agent, well bool, parts ...string) {
	t.Helper()
	out, err := a.Admin(t.Context(), "audit", "verify")
	if (err == nil) != well {
		t.Errorf("verify: %v\n%s", err, out)
	}
	for _, part := range parts {
		if !strings.Contains(out, part) {
			t.Errorf("verify does not say %q:\n%s", part, out)
		}
	}
}

// TestTheOldestSegmentIsRemoved: by retention it is on record and no fault; by
// anybody else it is a fault, whatever the service does afterwards.
func TestTheOldestSegmentIsRemoved(t *testing.T) {
	a := newAgent(t, allowAll, smallSegments(`,"KeepSegments":4`))
	elevateUntil(t, a, func() bool { return has(a, `"type":"removed"`) })
	eventually(t, "no more than four are kept", func() bool { return len(segmentsOf(t, a)) <= 4 })
	verifies(t, a, true, "unbroken", "it reaches back to ")

	oldest := segmentsOf(t, a)[0]
	if err := os.Remove(oldest); err != nil {
		t.Fatal(err)
	}
	verifies(t, a, false, oldest)
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	verifies(t, a, false, oldest)
	if _, err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	verifies(t, a, false, oldest)
	eventually(t, "the service says so", func() bool { return strings.Contains(a.Log(), "the journal was changed") })
	newest := segmentsOf(t, a)[len(segmentsOf(t, a))-1]
	elevateUntil(t, a, func() bool { return segmentsOf(t, a)[len(segmentsOf(t, a))-1] != newest })
	verifies(t, a, false, oldest)
}

// TestARunningServiceMissesASegment: it notes the loss by itself.
func TestARunningServiceMissesASegment(t *testing.T) {
	a := newAgent(t, allowAll, smallSegments(""))
	elevateUntil(t, a, func() bool { return len(segmentsOf(t, a)) == 4 })
	missing := segmentsOf(t, a)[1]
	if err := os.Remove(missing); err != nil {
		t.Fatal(err)
	}
	newest := segmentsOf(t, a)[2]
	elevateUntil(t, a, func() bool { return segmentsOf(t, a)[len(segmentsOf(t, a))-1] != newest })
	eventually(t, "the loss is on record", func() bool { return has(a, `"type":"fault"`) && has(a, filepath.Base(missing)) })
	verifies(t, a, false, "a segment between is missing")
}

// TestLongArgumentsInTheJournal: arguments of control characters take no more
// room than others, and what they were can be proved.
func TestLongArgumentsInTheJournal(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	long := strings.Repeat("\x01", 100_000)
	before := journalBytes(t, a)
	if out, err := a.Sudo(t.Context(), 4242, "true", long).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	eventually(t, "its end is on record", func() bool { return has(a, `"type":"ended"`) })
	if grown := journalBytes(t, a) - before; grown > 32<<10 {
		t.Errorf("one command took %d bytes", grown)
	}
	for _, r := range records(t, a) {
		if r["type"] != "opened" {
			continue
		}
		argv := r["argv"].([]any)
		whole, _ := r["argvWhole"].(map[string]any)
		h := sha256.New()
		for _, arg := range []string{argv[0].(string), long} {
			h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(arg))))
			h.Write([]byte(arg))
		}
		if part := argv[1].(string); part == "" || !strings.HasPrefix(long, part) ||
			whole["arguments"] != 2.0 || whole["sha256"] != hex.EncodeToString(h.Sum(nil)) {
			t.Errorf("the record has %d arguments, of the second %d bytes, and %v", len(argv), len(part), whole)
		}
	}
}

// records returns all records.
func records(t *testing.T, a *agent.Agent) (list []map[string]any) {
	t.Helper()
	out, err := a.Admin(t.Context(), "audit", "tail", "-n", "100000", "--json")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out) {
		var r map[string]any
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	return list
}

// TestRepeatedDenialsAreCounted: the same request, refused for the same reason,
// is on record once, and counted.
func TestRepeatedDenialsAreCounted(t *testing.T) {
	a := newAgent(t, strings.Replace(allowAll, `"ALLOW"`, `"DENY"`, 1), nil)
	const times = 12
	for range times {
		if out, err := a.Sudo(t.Context(), 4242, "id").CombinedOutput(); err == nil {
			t.Fatalf("allowed: %s", out)
		}
	}
	if out, err := a.Sudo(t.Context(), 4242, "id", "-u").CombinedOutput(); err == nil {
		t.Fatalf("allowed: %s", out)
	}
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	denied, counted := 0, 0.0
	for _, r := range records(t, a) {
		switch r["type"] {
		case "denied":
			denied++
		case "repeated":
			counted += r["count"].(float64)
		}
	}
	if denied != 2 || counted != times-1 {
		t.Errorf("%d denials are on record and %v counted, expected 2 and %d", denied, counted, times-1)
	}
	verifies(t, a, true)
}

// forged writes the journal that a service would have, from records without seq
// and prev; each list is a segment. A checkpoint of the record before is signed
// with key.
func forged(t *testing.T, a *agent.Agent, key *ecdsa.PrivateKey, segments ...[]map[string]any) {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	id := sha256.Sum256(spki)
	var seq, offset int
	prev := strings.Repeat("0", 64)
	var begun int
	for _, dir := range []string{"Audit", "State"} {
		if err := os.MkdirAll(filepath.Join(a.Root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, records := range segments {
		begun = seq + 1
		var data []byte
		for _, r := range records {
			seq++
			if r["type"] == "checkpoint" {
				at := r["time"].(string)
				digest := sha256.New()
				for _, part := range []string{"kpm journal checkpoint v1", strconv.Itoa(seq - 1), prev, at, hex.EncodeToString(id[:])} {
					digest.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
					digest.Write([]byte(part))
				}
				signature, err := ecdsa.SignASN1(rand.Reader, key, digest.Sum(nil))
				if err != nil {
					t.Fatal(err)
				}
				r["signed"] = map[string]any{"seq": seq - 1, "hash": prev, "time": at, "key": hex.EncodeToString(id[:]), "signature": signature}
			}
			r["seq"], r["prev"] = seq, prev
			line, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(line)
			prev = hex.EncodeToString(sum[:])
			data = append(append(data, line...), '\n')
		}
		offset = len(data)
		if err := os.WriteFile(filepath.Join(a.Root, "Audit", fmt.Sprintf("journal-%020d.jsonl", begun)), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	head := fmt.Sprintf(`{"segment":%d,"offset":%d,"seq":%d,"hash":"%s","first":1}`, begun, offset, seq, prev)
	if err := os.WriteFile(filepath.Join(a.Root, "State", "journal.head"), []byte(head), 0o600); err != nil {
		t.Fatal(err)
	}
}

// made is a record of that time.
func made(kind string, at time.Time, more ...any) map[string]any {
	r := map[string]any{"type": kind, "time": at.UTC().Format(time.RFC3339Nano)}
	for i := 0; i < len(more); i += 2 {
		r[more[i].(string)] = more[i+1]
	}
	return r
}

// TestAClockThatWasSet: it is on record and said, and neither a fault nor time
// without a signature.
func TestAClockThatWasSet(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}), 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	t.Run("forward, between two signatures", func(t *testing.T) {
		a := laidOut(t, allowAll)
		forged(t, a, key, []map[string]any{
			made("segment", now.Add(-4*time.Hour)), made("start", now.Add(-4*time.Hour)), made("checkpoint", now.Add(-4*time.Hour)), made("control", now.Add(-4*time.Hour)),
			made("clock", now.Add(-time.Second), "shift", (4 * time.Hour).Milliseconds()), made("control", now.Add(-time.Second)),
		})
		out, err := a.Admin(t.Context(), "audit", "verify", "--key", file)
		if err != nil || !strings.Contains(out, "clock: record 5") || !strings.Contains(out, "the clock was set forward by 4h0m0s") {
			t.Errorf("%v: %s", err, out)
		}
	})
	t.Run("back, while the service was stopped", func(t *testing.T) {
		a := laidOut(t, allowAll)
		t.Cleanup(func() { _ = a.Kill() })
		ahead := -24 * time.Hour
		forged(t, a, key, []map[string]any{made("segment", now.Add(-ahead)), made("start", now.Add(-ahead)), made("checkpoint", now.Add(-ahead)), made("stop", now.Add(-ahead))})
		if _, err := a.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		verifies(t, a, true, "clock: record 5", "the clock was set back by at least 23h59m", "unbroken")
	})
	t.Run("back, and nobody says so", func(t *testing.T) {
		a := laidOut(t, allowAll)
		forged(t, a, key, []map[string]any{made("segment", now.Add(-time.Hour)), made("start", now.Add(-time.Hour)), made("control", now.Add(-3*time.Hour))})
		verifies(t, a, true, "clock: record 3", "2h0m0", "earlier than the record before it", "unbroken")
	})
}

// TestSegmentsGoByAge: with Journal:KeepDays.
func TestSegmentsGoByAge(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := laidOut(t, allowAll)
	t.Cleanup(func() { _ = a.Kill() })
	smallSegments(`,"KeepDays":7`)(a)
	const day = 24 * time.Hour
	now := time.Now()
	forged(t, a, key, []map[string]any{made("segment", now.Add(-20*day)), made("start", now.Add(-20*day))}, []map[string]any{made("segment", now.Add(-10*day)), made("stop", now.Add(-9*day))},
		[]map[string]any{made("segment", now.Add(-3*day)), made("stop", now.Add(-time.Minute))})
	oldest := segmentsOf(t, a)[0]
	if _, err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the oldest has gone", func() bool { return !slices.Contains(segmentsOf(t, a), oldest) })
	eventually(t, "its removal is on record", func() bool { return has(a, `"cause":"age"`) })
	verifies(t, a, true, "unbroken: records 3 to ", "it reaches back to "+now.Add(-10*day).Local().Format("2006-01-02"))
}
