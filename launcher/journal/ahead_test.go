package journal

import (
	"bytes"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"kpm/core"
)

// within reports whether a text is kept as a part of whole.
func within(text, whole string) bool {
	at, begin := uintptr(unsafe.Pointer(unsafe.StringData(text))), uintptr(unsafe.Pointer(unsafe.StringData(whole)))
	return text != "" && begin <= at && at < begin+uintptr(len(whole))
}

// textsOf calls use with every text that v holds.
func textsOf(v reflect.Value, use func(string)) {
	switch v.Kind() {
	case reflect.String:
		use(v.String())
	case reflect.Pointer:
		if !v.IsNil() {
			textsOf(v.Elem(), use)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			textsOf(v.Field(i), use)
		}
	case reflect.Slice:
		for i := range v.Len() {
			textsOf(v.Index(i), use)
		}
	}
}

// A service that begins may hold hundreds of requests for as long as they are open, each
// of another part of the journal.
func TestWhatIsOpenKeepsNothingOfTheJournal(t *testing.T) {
	set, kept := openSet{}, 0
	var all []string
	read := func(r Record) {
		r.Seq, r.Prev = uint64(len(all)+1), noHash
		line, err := r.line()
		if err != nil {
			t.Fatal(err)
		}
		whole := string(line)
		var got Record
		if err := got.parse(line, whole); err != nil {
			t.Fatal(err)
		}
		all = append(all, whole)
		set.apply(got)
	}
	caller := &Caller{Key: "key", PID: 1, Start: 2, User: "1000", Payer: "1001"}
	read(Record{Type: Opened, Request: "first", UserID: "1000", Caller: caller})
	read(Record{Type: Launched, Request: "first", Child: &Child{PID: 3, Start: 4, Group: "group"}})
	read(Record{Type: Opened, Request: "second", UserID: "1000", Caller: caller})
	read(Record{Type: Launched, Request: "second", Child: &Child{PID: 3, Start: 4, Group: "group"}})
	read(Record{Type: Ended, Request: "second", Exit: &core.ExitStatus{Code: 1}})
	before := set.list()
	count := func() (n int) {
		textsOf(reflect.ValueOf(set.list()), func(text string) {
			for _, whole := range all {
				if within(text, whole) {
					n++
				}
			}
		})
		return n
	}
	if kept = count(); kept == 0 {
		t.Fatal("nothing is kept before: this test shows nothing")
	}
	set.detach()
	if kept = count(); kept > 0 {
		t.Errorf("%d texts are parts of lines", kept)
	}
	if after := set.list(); !reflect.DeepEqual(after, before) {
		t.Errorf("got %+v, want %+v", after, before)
	}
}

// A short line whose texts are kept keeps nothing of a long one beside it.
func TestAShortLineDoesNotKeepALongOne(t *testing.T) {
	const pairs, long = 32, 1 << 20
	short := []byte(`{"seq":1,"type":"opened","request":"R","user":"somebody","prev":"` + strings.Repeat("0", 64) + `"}`)
	live := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	kept := make([]Record, 0, pairs)
	before := live()
	for range pairs {
		c := &chunk{text: append(bytes.Clone(short), bytes.Repeat([]byte(" "), long)...)}
		c.ends = []int{len(short), len(c.text)}
		c.parse()
		if c.lines[0].bad != nil {
			t.Fatal(c.lines[0].bad)
		}
		kept = append(kept, c.lines[0].record)
	}
	if after := live(); after > before+pairs*long/8 {
		t.Errorf("%d short records keep %d KiB", pairs, (after-before)>>10)
	}
	runtime.KeepAlive(kept)
}
