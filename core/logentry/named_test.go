package logentry

import (
	"encoding/json"
	"strings"
	"testing"

	"kpm/core/wire"
)

// Whatever a publisher sends, who reads it is told the publisher's name.
func TestRecordsNameTheirPublisher(t *testing.T) {
	for name, tc := range map[string]struct {
		sent, source, level, message string
	}{
		"an envelope":                {`{"MessageType":"Log","Source":"MyBridge","Payload":{"Level":"Error","Message":"m"}}`, "MyBridge", "Error", "m"},
		"in another's name":          {`{"MessageType":"Log","Source":"KeeperPolicy","Payload":{"Level":"Error","Message":"m"}}`, "MyBridge/KeeperPolicy", "Error", "m"},
		"in two names":               {`{"MessageType":"Log","Source":"KeeperPolicy","source":"MyBridge","Payload":{"Level":"Error","Message":"m"}}`, "MyBridge", "Error", "m"},
		"in a name of its own":       {`{"MessageType":"Log","Source":"MyBridge/Worker","Payload":{"Level":"Error","Message":"m"}}`, "MyBridge/Worker", "Error", "m"},
		"without a source":           {`{"MessageType":"Log","Payload":{"Level":"Error","Message":"m"}}`, "MyBridge", "Error", "m"},
		"flat":                       {`{"Source":"MyBridge","Level":"Warning","Message":"m"}`, "MyBridge", "Warning", "m"},
		"flat, in another's name":    {`{"Source":"KeeperPolicy","Level":"Warning","Message":"m"}`, "MyBridge/KeeperPolicy", "Warning", "m"},
		"flat, message only":         {`{"Message":"m"}`, "MyBridge", "Information", "m"},
		"a bare string":              {`"m"`, "MyBridge", "Information", "m"},
		"bare text":                  {"m n", "MyBridge", "Information", "m n"},
		"garbage":                    {"\x00\xff", "MyBridge", "Information", "\x00\ufffd"},
		"an object that is no entry": {`{"a":1}`, "MyBridge", "Information", `{"a":1}`},
		"an envelope and more":       {`{"MessageType":"Log","Source":"MyBridge","Payload":{"Level":"Error","Message":"m"}} x`, "MyBridge", "Error", "m"},
		"long text":                  {strings.Repeat("x", wire.MaxMessage), "MyBridge", "Information", strings.Repeat("x", maxBare) + "..."},
		"what grows too long": {`{"Message":"` + strings.Repeat("x", wire.MaxMessage-20) + `"}`, "MyBridge", "Warning",
			"a log message was too long to name its publisher, and is left out"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := wire.Decode(Named("MyBridge", []byte(tc.sent)))
			if err != nil {
				t.Fatal(err)
			}
			var entry wire.LogEntry
			if err := m.Read(wire.TypeLog, &entry); err != nil || m.Source != tc.source || entry.Level != tc.level || entry.Message != tc.message {
				t.Errorf("%q, %q, %.80q (%v)", m.Source, entry.Level, entry.Message, err)
			}
		})
	}
	whole := `{"MessageId":"i","MessageType":"Log","Source":"MyBridge","Timestamp":"2026-01-02T03:04:05Z","Payload":{"Level":"Error","Message":"m","Fields":{"n":12345678901234567890}}}`
	if got := string(Named("MyBridge", []byte(whole))); got != whole {
		t.Errorf("one that is right became %s", got)
	}
}

func FuzzNamed(f *testing.F) {
	f.Add([]byte(`{"MessageType":"Log","Source":"KeeperPolicy","Payload":{"Level":"Error","Message":"m"}}`))
	f.Add([]byte(`{"Source":"a","Message":"m"}`))
	f.Add([]byte("\x00"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		var m struct{ Source string }
		out := Named("MyBridge", payload)
		if err := json.Unmarshal(out, &m); err != nil || m.Source != "MyBridge" && !strings.HasPrefix(m.Source, "MyBridge/") {
			t.Errorf("%q became %q", payload, out)
		}
	})
}
