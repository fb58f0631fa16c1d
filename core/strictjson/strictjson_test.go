package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const limit = 1 << 20

// parse is Parse and Check with a depth of 32.
func parse(data []byte) (Value, error) {
	v, err := Parse(data, limit)
	if err != nil {
		return v, err
	}
	return v, v.Check(32)
}

func TestWhatIsRefusedAndWhere(t *testing.T) {
	for _, tc := range []struct {
		name, text   string
		problem      Problem
		line, column int
		path         string
	}{
		{"too long", `"` + strings.Repeat("x", limit) + `"`, TooLong, 0, 0, ""},
		{"not UTF-8", "{\"a\": \"\xe9\"}", NotUTF8, 0, 0, ""},
		{"half a character", "\"\xed\xa0\x80\"", NotUTF8, 0, 0, ""},
		{"empty", "", NotJSON, 1, 1, ""},
		{"only a byte order mark", "\ufeff", NotJSON, 1, 1, ""},
		{"two byte order marks", "\ufeff\ufeff{}", NotJSON, 1, 1, ""},
		{"a missing comma", "{\n \"a\": {}\n \"b\": {}\n}", NotJSON, 3, 2, ""},
		{"cut off", "{\"a\":\n", NotJSON, 1, 6, ""},
		{"a second value", "{}\n{}", NotJSON, 2, 1, ""},
		{"a comma at the end", "[1,]", NotJSON, 1, 4, ""},
		{"a comment", "{} // x", NotJSON, 1, 4, ""},
		{"single quotes", "{'a': 1}", NotJSON, 1, 2, ""},
		{"a number with a plus", "[+1]", NotJSON, 1, 2, ""},
		{"an octal number", "[01]", NotJSON, 1, 3, ""},
		{"a control character", "\"a\tb\"", NotJSON, 1, 3, ""},
		{"one key twice", `{"a": 1, "a": 2}`, Duplicate, 1, 10, "a"},
		{"in another letter case", "{\"a\": [{}, {\"Port\": 1,\n  \"pORT\": 2}]}", Duplicate, 2, 3, "a[1].pORT"},
		{"in other words", `{"a": 1, "\u0041": 2}`, Duplicate, 1, 10, "A"},
		{"a long s", `{"settings": 1, "ſettings": 2}`, Duplicate, 1, 17, "ſettings"},
		{"the sign for kelvin", `{"key": 1, "\u212aey": 2}`, Duplicate, 1, 12, "\u212aey"},
		{"a key with a dot", `{"log": {"a.b": 1, "A.B": 1}}`, Duplicate, 1, 20, "log['A.B']"},
		{"after many keys", `{` + numbered(40) + `, "K7": 0}`, Duplicate, 1, len(numbered(40)) + 4, "K7"},
		{"too deep", strings.Repeat(`{"a":`, 32) + `[1]` + strings.Repeat(`}`, 32), TooDeep, 1, 161, strings.TrimPrefix(strings.Repeat(".a", 32), ".")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := parse([]byte(tc.text))
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
			if e.Problem != tc.problem || e.Line != tc.line || e.Column != tc.column || e.Path != tc.path || e.Found == "" || e.Expected == "" {
				t.Errorf("got %+v", e)
			}
			f := e.Fault("x.json")
			if f.File != "x.json" || f.Line != e.Line || f.Column != e.Column || f.Field != e.Path {
				t.Errorf("as a fault: %+v", f)
			}
		})
	}
}

// A comma behind the last entry is what people leave behind when they remove that.
func TestACommaTooManyIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		`[1,]`:                   `remove the comma before the "]"`,
		`{"a": {"b": 1 , } }`:    `remove the comma before the "}"`,
		"{\n \"a\": 1,\n\t\r\n}": `remove the comma before the "}", in line 2`,
		"[\n [1,\n ],\n 2]":      `remove the comma before the "]", in line 2`,
		`[,]`:                    "",
		`{,}`:                    "",
		`[1,,]`:                  "",
		`[1,`:                    "",
		`["a" "b"]`:              "",
		`["a,\}"]`:               "",
		`["a"}`:                  "",
		``:                       "",
	} {
		_, err := parse([]byte(text))
		var e *Error
		if !errors.As(err, &e) {
			t.Fatalf("%s: %v", text, err)
		}
		if f := e.Fault("x.json"); f.Remedy != want || e.Remedy != want {
			t.Errorf("%s: %q, want %q", text, f.Remedy, want)
		}
	}
}

func numbered(n int) string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf(`"k%d": 0`, i)
	}
	return strings.Join(keys, ", ")
}

func TestWhatIsAccepted(t *testing.T) {
	for _, text := range []string{
		`null`, ` true `, "\ufeff{}", `""`, `-0.5e+3`, `{"": 1}`, `{"a": {"a": {"a": 1}}, "b": [{"a": 1}, {"a": 1}]}`,
		`{"a": "a", "b": "a"}`, `{"a\"b": 1, "a": 2}`, `{"x": "{\"b\":1,\"b\":2}"}`, `{` + numbered(40) + `}`,
		`{"i": 1, "İ": 2, "ı": 3}`, // three letters, for encoding/json too
		strings.Repeat(`[`, 32) + strings.Repeat(`]`, 32),
	} {
		if _, err := parse([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestDecodeNamesTheValueAsItIsWritten(t *testing.T) {
	type task struct {
		TimeoutSeconds int
		Command        *string
	}
	type shape struct {
		ID    string
		On    bool
		Tasks []task
		Meta  struct{ Topics []string }
		Ports map[string]uint16
	}
	for _, tc := range []struct {
		text, path, found, expected string
		line, column                int
	}{
		{"{\n\"id\": 5}", "id", "a number", "text", 2, 7},
		{`{"on": "yes"}`, "on", "text", "true or false", 1, 8},
		{`{"tasks": {}}`, "tasks", "an object", "a list", 1, 11},
		{`{"tasks": [{}, {"timeoutSeconds": 1.5}]}`, "tasks[1].timeoutSeconds", "the number 1.5", "a whole number", 1, 35},
		{`{"Tasks": [{"command": []}]}`, "Tasks[0].command", "a list", "text", 1, 24},
		{`{"meta": []}`, "meta", "a list", "an object", 1, 10},
		{`{"meta": {"topics": ["", true]}}`, "meta.topics[1]", "true or false", "text", 1, 26},
		{`{"ports": {"a.b": 65536}}`, "ports['a.b']", "the number 65536", "a whole number", 1, 19},
		{` []`, "", "a list", "an object", 1, 2},
	} {
		v, err := parse([]byte(tc.text))
		if err != nil {
			t.Fatalf("%s: %v", tc.text, err)
		}
		var e *Error
		err = v.Decode(&shape{})
		if !errors.As(err, &e) {
			t.Fatalf("%s: %v", tc.text, err)
		}
		if e.Problem != WrongType || e.Path != tc.path || e.Found != tc.found || e.Expected != tc.expected || e.Line != tc.line || e.Column != tc.column {
			t.Errorf("%s: got %+v", tc.text, e)
		}
		var mismatch *json.UnmarshalTypeError
		if !errors.As(err, &mismatch) {
			t.Errorf("%s: the error of encoding/json is lost", tc.text)
		}
	}
	inner := parsed(t, `{"x": [0, {"id": 5}]}`).Nearest("x[1]")
	var e *Error
	if err := inner.Decode(&shape{}); !errors.As(err, &e) || e.Path != "id" || e.Column != 18 {
		t.Errorf("a value inside: %+v", e)
	}
}

func parsed(t interface{ Fatal(...any) }, text string) Value {
	v, err := Parse([]byte(text), limit)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestNearestGoesAsFarAsThereIsSomething(t *testing.T) {
	v := parsed(t, `{"Tasks": [{"id": "a"}, {"ID": "b", "x.y": 1}], "n": null}`)
	for path, want := range map[string]string{
		"":                   string(v.Raw()),
		"tasks[1].id":        `"b"`,
		"$.tasks[0].id":      `"a"`,
		"tasks[0].timeout":   `{"id": "a"}`,
		"tasks[2].id":        string(v.Nearest("tasks").Raw()),
		"tasks[1]['x.y']":    `1`,
		"n.x":                `null`,
		"tasks[-1]":          string(v.Nearest("tasks").Raw()),
		"nothing.of[9].this": string(v.Raw()),
	} {
		if got := string(v.Nearest(path).Raw()); got != want {
			t.Errorf("%s: got %s", path, got)
		}
	}
}

func TestLimitsOfMembersAndItems(t *testing.T) {
	if list, ok := parsed(t, `{"a": 1, "a": 2}`).Members(1); ok || len(list) != 1 {
		t.Errorf("members: %v, %v", list, ok)
	}
	if list, ok := parsed(t, `[1, 2, 3]`).Items(2); ok || len(list) != 2 {
		t.Errorf("items: %v, %v", list, ok)
	}
	if list, ok := parsed(t, `[1, 2]`).Items(2); !ok || len(list) != 2 {
		t.Errorf("as many as allowed: %v, %v", list, ok)
	}
}

// Places are found by blocks; each must be what counting from the start gives.
func TestPlacesInALongText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := []byte(strings.Repeat(" ", blockSize*2+100))
		for _, at := range rapid.SliceOf(rapid.IntRange(0, len(data)-1)).Draw(t, "lines") {
			data[at] = '\n'
		}
		at := rapid.IntRange(0, len(data)-1).Draw(t, "value")
		data[at] = '7'
		line, column := parsed(t, string(data)).Place()
		before := data[:at]
		if line != 1+bytes.Count(before, []byte("\n")) || column != len(before)-bytes.LastIndexByte(before, '\n') {
			t.Fatalf("byte %d: got %d:%d", at, line, column)
		}
	})
}

// generic is v as json.Unmarshal would return it, read through the methods.
func generic(v Value) any {
	switch {
	case v.IsObject():
		object := map[string]any{}
		members, _ := v.Members(math.MaxInt)
		for _, m := range members {
			object[m.Key] = generic(m.Value)
		}
		return object
	case v.IsArray():
		list := []any{}
		items, _ := v.Items(math.MaxInt)
		for _, item := range items {
			list = append(list, generic(item))
		}
		return list
	case v.IsString():
		return v.Text()
	case v.IsNumber():
		return json.Number(v.Text())
	case v.IsBool():
		return v.Text() == "true"
	}
	return nil
}

// agrees holds the reader against encoding/json: what it accepts has the same
// value there, and what it refuses is no JSON there, or is not UTF-8, too deep,
// or names a key twice.
func agrees(t interface {
	Fatalf(string, ...any)
	Fatal(...any)
}, data []byte) {
	var want any
	decoder := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	decoder.UseNumber()
	wanted := decoder.Decode(&want)
	v, err := parse(data)
	if err != nil {
		var e *Error
		if !errors.As(err, &e) || e.Problem == NotJSON && json.Valid(bytes.TrimPrefix(data, []byte("\ufeff"))) {
			t.Fatalf("%q: refused as %v", data, err)
		}
		if strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Fatalf("%q: the error is not one printable line: %q", data, err)
		}
		return
	}
	if wanted != nil {
		t.Fatalf("%q: accepted, encoding/json says %v", data, wanted)
	}
	if diff := cmp.Diff(want, generic(v)); diff != "" {
		t.Fatalf("%q: %s", data, diff)
	}
	var values func(Value)
	values = func(v Value) {
		members, items := []Member{}, []Value{}
		if v.IsObject() {
			members, _ = v.Members(math.MaxInt)
		} else if v.IsArray() {
			items, _ = v.Items(math.MaxInt)
		}
		for i, m := range members {
			items = append(items, m.Value)
			for _, other := range members[:i] {
				if strings.EqualFold(m.Key, other.Key) {
					t.Fatalf("%q: both %q and %q", data, m.Key, other.Key)
				}
			}
		}
		for _, item := range items {
			values(item)
		}
	}
	values(v)
}

// drawText draws a text that is nearly always JSON, with keys that collide.
func drawText(t *rapid.T, depth int) string {
	space := rapid.SampledFrom([]string{"", "", " ", "\n", "\t\r\n "}).Draw(t, "space")
	str := func(label string) string {
		return `"` + strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{
			"a", "b", "A", "k", "K", "\u212a", `\u212a`, "ſ", "s", `\"`, `\\`, `\u0061`, `\ud800`, `\ud83d\ude00`, "{", "]", ",", ":", "é",
		}), 0, 3).Draw(t, label), "") + `"`
	}
	kinds := []string{"simple", "string", "object", "list"}
	if depth == 0 {
		kinds = kinds[:2]
	}
	switch rapid.SampledFrom(kinds).Draw(t, "kind") {
	case "string":
		return space + str("string") + space
	case "object":
		var members []string
		for range rapid.IntRange(0, 20).Draw(t, "members") {
			members = append(members, space+str("key")+space+":"+drawText(t, depth-1))
		}
		return space + "{" + strings.Join(members, ",") + space + "}"
	case "list":
		var items []string
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			items = append(items, drawText(t, depth-1))
		}
		return space + "[" + strings.Join(items, ",") + space + "]" + space
	}
	return space + rapid.SampledFrom([]string{"0", "-1.5e3", "true", "false", "null", "1e999", "12345678901234567890"}).Draw(t, "simple")
}

func TestAgreesWithEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := []byte(drawText(t, 3))
		if rapid.IntRange(0, 3).Draw(t, "broken") == 0 && len(data) > 0 {
			data[rapid.IntRange(0, len(data)-1).Draw(t, "at")] = rapid.SampledFrom([]byte("{}[],:\"\\ a1\xff")).Draw(t, "byte")
		}
		agrees(t, data)
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a": 1}`, `{"a": {"b": [1, {"c": null}]}}`, `{"a": 1, "A": 2}`, "\ufeff{}", `[1]`, `{"a":`, "",
		`{"\u017fettings": 1, "settings": 2}`, strings.Repeat(`{"a":`, 33) + `1` + strings.Repeat(`}`, 33),
		`{` + numbered(20) + `}`, `"\ud800"`, "[1,]", "{\"a\x1b\": }",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) { agrees(t, data) })
}

// Two letters that encoding/json takes for one are one; others are not.
func TestFoldIsEqualFold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.StringOfN(rapid.RuneFrom([]rune("aAbkK\u212asSſıİiIßẞσςΣ")), 0, 2, -1)
		a, b := letters.Draw(t, "a"), letters.Draw(t, "b")
		if (Fold(a) == Fold(b)) != strings.EqualFold(a, b) {
			t.Fatalf("%q and %q: folded %q and %q", a, b, Fold(a), Fold(b))
		}
	})
}

func TestAmbiguous(t *testing.T) {
	for text, want := range map[string]bool{
		`{"a":1,"b":{"a":2}}`: false,
		`{"a":1,"A":2}`:       true,
		strings.Repeat(`[`, 9000) + `{"a":1,"a":2}` + strings.Repeat(`]`, 9000): true,
	} {
		if got := Ambiguous([]byte(text)); got != want {
			t.Errorf("%.40s: %v", text, got)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	data := []byte(`{"MessageId":"1","MessageType":"PolicyRequest","Source":"KeeperPrivilegeManager","Payload":{"RequestId":"R","Arguments":["a","b"],"Signers":[{"Subject":"x"},{"Subject":"y"}]}}`)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if Ambiguous(data) {
			b.Fatal("refused")
		}
	}
}
