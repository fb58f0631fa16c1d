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
		{"{\n\"id\": 5}", "f.json:2: id is a number, expected text"},
		{`{"on": "yes"}`, "on is text, expected true or false"},
		{`{"tasks": {}}`, "tasks is an object, expected a list"},
		{`{"tasks": [{"timeoutSeconds": 1.5}]}`, "tasks[0].timeoutSeconds is the number 1.5, expected a whole number"},
		{`{"meta": []}`, "meta is a list, expected an object"},
		{`{"meta": {"topics": [true]}}`, "meta.topics[0] is true or false, expected text"},
		{`{"ptr": 1}`, "ptr is a number, expected true or false"},
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

// A fault that a reader of the document finds has the place of the value, or of
// what the value is missing from.
func TestFaultFindsThePlace(t *testing.T) {
	doc, err := ParseDocument("f.json", []byte("{\n  \"id\": \"x\",\n  \"Tasks\": [\n    {\"id\": \"a\"}\n  ]\n}"))
	if err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{
		"id":               "f.json:2: id is missing, expected a name",
		"tasks[0].id":      "f.json:4: tasks[0].id is missing, expected a name",
		"tasks[0].command": "f.json:4: tasks[0].command is missing, expected a name",
		"name":             "f.json:1: name is missing, expected a name",
	} {
		if got := doc.Fault(field, "missing", "a name"); got.Error() != want || got.Column == 0 {
			t.Errorf("got %+v, want %s", got, want)
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
