package jobs

import (
	"reflect"
	"testing"
)

// What tasks run as programs is known by its path; built-ins, and programs that
// are not there, are none.
func TestPrograms(t *testing.T) {
	h := newHarness(t, map[string]string{
		"a": jobJSON("a", `{"id": "one", "command": "mytool"}, {"id": "two", "command": "mytool"}, {"id": "three", "command": "echo"}`),
		"b": jobJSON("b", `{"id": "one", "command": "mytool"}, {"id": "two", "command": "no-such-program"}`),
	})
	want := map[string][]string{h.cfg.Layout.JobBin("mytool", ""): {"a", "b"}}
	if got := h.Programs(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
