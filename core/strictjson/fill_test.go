package strictjson

import (
	"encoding/json"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

type inner struct {
	A string   `json:"a"`
	B *int     `json:"b"`
	K []inner  `json:"k"`
	S []string `json:"s,omitempty"`
}

type base struct{ E string }

// everything has a field of each kind that there is, by names that drawText draws, and of
// kinds that are encoding/json's to fill.
type everything struct {
	A       string `json:"a"`
	Upper   string `json:"A"` // of another letter case than a
	B       bool
	K       map[string]any    `json:"k"`
	S       any               `json:"s"`
	Ab      json.RawMessage   `json:"ab"`
	Ba      *inner            `json:"ba"`
	Aa      []inner           `json:"aa"`
	Bb      int8              `json:"bb"`
	Ak      uint64            `json:"ak"`
	Ka      float64           `json:"ka"`
	Bk      map[string]inner  `json:"bk"`
	Kb      **string          `json:"kb"`
	As      []byte            `json:"as"`
	Sa      [2]int            `json:"sa"`
	Sb      netip.Addr        `json:"sb"`
	Bs      map[int]string    `json:"bs"`
	Ks      time.Time         `json:"ks"`
	Sk      json.Number       `json:"sk"`
	Kk      *json.RawMessage  `json:"kk"`
	Ss      float32           `json:"ss"`
	Omitted string            `json:"-"`
	hidden  string            //nolint:unused // encoding/json must not reach it
	Extra   map[string]string `json:"é"`
}

type quoted struct {
	A int `json:"a,string"`
}

type embedding struct {
	base
	A string
}

// twice is a struct of two fields with one name, of which encoding/json reads neither.
func twice() any {
	text := reflect.TypeFor[string]()
	return reflect.New(reflect.StructOf([]reflect.StructField{{Name: "A", Type: text, Tag: `json:"a"`}, {Name: "B", Type: text, Tag: `json:"a"`}})).Interface()
}

// variables are what a text is read into, made anew.
func variables() []func() any {
	return []func() any{
		func() any { return new(everything) }, func() any { return new(inner) }, func() any { return new(any) },
		func() any { return new([]everything) }, func() any { return new(map[string]everything) }, func() any { return new(string) },
		func() any { return new(quoted) }, func() any { return new(embedding) }, twice,
		func() any { // what is there already
			n := 7
			return &everything{A: "was", K: map[string]any{"a": 1.0, "x": 2.0}, Ba: &inner{A: "was", B: &n}, Aa: []inner{{A: "was"}, {B: &n}}, S: &n}
		},
	}
}

// drawObject draws an object whose keys are those of everything, and others.
func drawObject(t *rapid.T) string {
	var members []string
	for range rapid.IntRange(0, 12).Draw(t, "members") {
		key := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "k", "s", "A", "B", "\u212a", "ſ", `\u0061`, "é"}), 1, 2).Draw(t, "key"), "")
		value := drawText(t, 2)
		if rapid.Bool().Draw(t, "nested") {
			value = `{"a": ` + value + `, "B": ` + drawText(t, 1) + `, "s": ["x"], "k": [{"b": 3}, ` + drawText(t, 1) + `]}`
		}
		members = append(members, `"`+key+`":`+value)
	}
	return "{" + strings.Join(members, ",") + "}"
}

// Decode leaves in a variable what encoding/json leaves there, and has the same to say.
func TestDecodeAgreesWithEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := drawObject(t)
		switch rapid.IntRange(0, 3).Draw(t, "around") {
		case 0:
			text = "[" + text + "," + drawObject(t) + "]"
		case 1:
			text = `{"x":` + text + `}`
		}
		decodesAlike(t, text)
	})
}

func decodesAlike(t interface {
	Fatal(...any)
	Fatalf(string, ...any)
}, text string) {
	v, err := Parse([]byte(text), len(text))
	if err != nil {
		return
	}
	for _, fresh := range variables() {
		got, want := fresh(), fresh()
		err, wanted := v.Decode(got), json.Unmarshal(v.Raw(), want)
		if (err == nil) != (wanted == nil) {
			t.Fatalf("%s into %T: %v, encoding/json says %v", text, got, err, wanted)
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(everything{}), cmp.AllowUnexported(embedding{}, base{}),
			cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmpopts.EquateNaNs()); err == nil && diff != "" {
			t.Fatalf("%s into %T: %s", text, got, diff)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"a": null, "B": true, "k": {"x": [1, null, "y", {}]}, "s": -0}`, `{"ab": {"x": 1}, "ba": {"b": 1}, "aa": [{}, null, {"k": []}]}`,
		`{"bb": 128}`, `{"bb": -0, "ak": 18446744073709551615, "ka": 1e999}`, `{"A": "1", "a": "2", "\u0061": "3"}`, `[{"kb": "x"}, {"as": "eA==", "sk": 1}]`,
		`{"ks": "2026-01-01T00:00:00Z", "sb": "::1", "kk": null, "sa": [1], "bs": {"1": "x"}}`, `"\ud800"`, `{"a": "1", "e": "2"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) { decodesAlike(t, text) })
}

// What our files are read into is filled here: encoding/json would look through the
// text twice more.
func TestWhatIsFilledHere(t *testing.T) {
	text := `{"a": "x", "b": 7, "k": [{"a": "y", "k": []}, {}], "s": ["z"], "unknown": [{"a": {}}]}`
	v, err := Parse([]byte(text), math.MaxInt)
	if err != nil {
		t.Fatal(err)
	}
	var got inner
	if !fill(v, reflect.ValueOf(&got).Elem()) || got.K[0].A != "y" || *got.B != 7 {
		t.Errorf("%+v", got)
	}
	for _, left := range []any{new(quoted), new(embedding), twice(), new([]byte), new(netip.Addr), new(map[int]int)} {
		if fill(v, reflect.ValueOf(left).Elem()) {
			t.Errorf("%T was filled", left)
		}
	}
}
