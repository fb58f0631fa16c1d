package settings

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestDecodeNamesLineFieldFoundAndExpected(t *testing.T) {
	type task struct{ TimeoutSeconds int }
	type shape struct {
		ID    string
		On    bool
		Tasks []task
		Meta  struct{ Topics []string }
		Ptr   *bool
	}
	for _, tc := range []struct{ text, want string }{
		{"{\n\"id\": 5}", "f.json:2: ID is the number, expected text"},
		{`{"on": "yes"}`, "On is text, expected true or false"},
		{`{"tasks": {}}`, "Tasks is an object, expected a list"},
		{`{"tasks": [{"timeoutSeconds": 1.5}]}`, "Tasks.TimeoutSeconds is the number 1.5, expected a whole number"},
		{`{"meta": []}`, "Meta is a list, expected an object"},
		{`{"meta": {"topics": [true]}}`, "Meta.Topics is true or false, expected text"},
		{`{"ptr": 1}`, "Ptr is the number, expected true or false"},
	} {
		doc, err := ParseDocument("f.json", []byte(tc.text))
		if err != nil {
			t.Fatalf("%s: %v", tc.text, err)
		}
		if err := doc.Decode(&shape{}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want ... %s", tc.text, err, tc.want)
		}
	}
}

// FuzzDocument: whatever the bytes, checking ends; and a document that passes
// has one value per name for a case-insensitive reader.
func FuzzDocument(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a": 1}`, `{"a": {"b": [1, {"c": null}]}}`, `{"a": 1, "A": 2}`, "\ufeff{}", `[1]`, `{"a":`, "",
		`{"\u017fettings": 1, "settings": 2}`, strings.Repeat(`{"a":`, 33) + `1` + strings.Repeat(`}`, 33)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := ParseDocument("f.json", data)
		if err != nil {
			return
		}
		var root map[string]json.RawMessage
		if err := doc.Decode(&root); err != nil {
			t.Fatalf("%q passed and cannot be decoded: %v", data, err)
		}
		names := make([]string, 0, len(root))
		for name := range root {
			for _, other := range names {
				if strings.EqualFold(name, other) {
					t.Fatalf("%q passed with both %q and %q", data, name, other)
				}
			}
			names = append(names, name)
		}
		if err := NewEffective(At("/agent", "")).Put("P", doc); err != nil {
			t.Fatalf("%q passed and gives no settings: %v", data, err)
		}
		_, _ = ParseApp(doc)
	})
}
