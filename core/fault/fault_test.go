package fault

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestErrorSaysPlaceFieldFoundExpectedAndRemedy(t *testing.T) {
	for _, tc := range []struct {
		fault Fault
		want  string
	}{
		{Fault{File: "a.json", Found: "the file is empty", Expected: "a JSON object"}, "a.json: the file is empty, expected a JSON object"},
		{Fault{File: "a.json", Line: 3, Column: 9, Field: "tasks[0].id", Found: Quote(""), Expected: "a name"}, "a.json:3: tasks[0].id is missing, expected a name"},
		{Fault{File: "a.json", Found: "mode 0666", Expected: "0644", Remedy: "chmod go-w a.json"}, "a.json: mode 0666, expected 0644; chmod go-w a.json"},
	} {
		if got := tc.fault.Error(); got != tc.want {
			t.Errorf("got %q\nwant %q", got, tc.want)
		}
	}
}

// Attack: a file that names a key or holds a value which moves the cursor of
// the administrator who reads what is wrong with it.
func TestNothingInAFaultMovesACursor(t *testing.T) {
	evil := "x\x1b[2J\n\u202eid\u200f\x9b\xff"
	f := Fault{File: evil, Line: 1, Column: 3, Field: Key(evil, evil), Found: Text(evil), Expected: Raw(evil), Remedy: evil}
	for _, text := range []string{f.Error(), List{&f}.Error(), Text(evil), Raw(evil), strings.ReplaceAll(f.Excerpt([]byte(evil)), "\n", "")} {
		if strings.ContainsAny(text, "\x1b\n\u202e\u200f\u009b") || !utf8.ValidString(text) {
			t.Errorf("%q", text)
		}
	}
}

func TestListIsAnErrorOnlyIfItHoldsAFault(t *testing.T) {
	if err := (List{}).Err(); err != nil {
		t.Errorf("an empty list: %v", err)
	}
	list := List{{File: "a", Found: "1", Expected: "2"}, {File: "b", Found: "3", Expected: "4"}}
	err := fmt.Errorf("load: %w", list.Err())
	var got List
	if !errors.As(err, &got) || len(got) != 2 || err.Error() != "load: a: 1, expected 2\nb: 3, expected 4" {
		t.Errorf("got %v", err)
	}
}

func TestQuoteShowsShortAndEscaped(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "missing",
		"a&b<c>":                `"a&b<c>"`,
		"say \"x\"":             `"say \"x\""`,
		"\x1b[2J":               `"\x1b[2J"`,
		strings.Repeat("ä", 80): `"` + strings.Repeat("ä", 80) + `"`,
		strings.Repeat("ä", 81): `"` + strings.Repeat("ä", 80) + `..."`,
	} {
		if got := Quote(text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
	if got := Text(""); got != `""` {
		t.Errorf("empty text: %s", got)
	}
}

func TestPointer(t *testing.T) {
	for path, want := range map[string]string{
		"":                          "",
		"$":                         "",
		"RequestId":                 "/RequestId",
		"$.UserCheck[0]":            "/UserCheck/0",
		"tasks[12].next.id":         "/tasks/12/next/id",
		"[3].id":                    "/3/id",
		Key("$", "a/b~c"):           "/a~1b~0c",
		Key("", "log.level"):        "/log.level",
		Key("a", `it's \ here`):     `/a/it's \ here`,
		Item(Key("", "x]['y"), 1):   "/x]['y/1",
		Key(Item("$", 0), ""):       "/0/",
		"unfinished['name":          "/unfinished/name",
		`escape at the end['name\`:  `/escape at the end/name\`,
		"unfinished[1":              "/unfinished/1",
		Key("Settings", "port-1_a"): "/Settings/port-1_a",
	} {
		if got := Pointer(path); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

// Whatever the names in a file, a path names the value and nothing else.
func TestStepsAreWhatThePathWasMadeOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOf(rapid.StringOfN(rapid.RuneFrom([]rune(`ab.'[]\$0~/ ä`)), 0, 5, -1)).Draw(t, "names")
		path := rapid.SampledFrom([]string{"", "$"}).Draw(t, "root")
		for _, name := range want {
			path = Key(path, name)
		}
		got := Steps(path)
		if strings.Join(got, "\x00") != strings.Join(want, "\x00") || len(got) != len(want) {
			t.Fatalf("%q: got %q, want %q", path, got, want)
		}
	})
}

func TestExcerptPutsTheCaretUnderThePlace(t *testing.T) {
	source := "{\n\t\"Üser\": [\"*\", 7],\r\n  \"x\": 1\n}"
	for _, tc := range []struct {
		line, column int
		want         string
	}{
		{2, 17, "    2 |  \"Üser\": [\"*\", 7],\n      |                ^\n"},
		{1, 1, "    1 | {\n      | ^\n"},
		{4, 2, "    4 | }\n      |  ^\n"}, // the end of the file
		{0, 0, ""}, {2, 0, ""}, {2, 99, ""}, {9, 1, ""},
	} {
		f := Fault{Line: tc.line, Column: tc.column}
		if got := f.Excerpt([]byte(source)); got != tc.want {
			t.Errorf("%d:%d: got\n%s\nwant\n%s", tc.line, tc.column, got, tc.want)
		}
	}
	long := strings.Repeat("ä", 500) + "!" + strings.Repeat("ö", 500)
	got := (&Fault{Line: 1, Column: 1001}).Excerpt([]byte(long))
	lines := strings.Split(got, "\n")
	at := strings.IndexByte(lines[1], '^')
	if runes := []rune(lines[0]); len(runes) > 120 || runes[at] != '!' || !strings.HasSuffix(lines[0], "...") || !strings.Contains(lines[0], "| ...ä") {
		t.Errorf("a long line:\n%s", got)
	}
}
