//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestCallers(t *testing.T) {
	for _, tc := range []struct {
		program        string
		took, refused  int
		callers, times int
	}{
		{"/bin/true", 12, 0, 4, 3},
		{"/bin/true", 1, 0, 1, 1},
		{"/bin/false", 0, 6, 6, 1},
	} {
		var out bytes.Buffer
		if err := beCallers(&out, tc.callers, tc.times, []string{tc.program}); err != nil {
			t.Fatal(err)
		}
		var all asked
		if err := json.Unmarshal(out.Bytes(), &all); err != nil {
			t.Fatal(err)
		}
		if len(all.Took) != tc.took || all.Refused != tc.refused {
			t.Errorf("%s: %+v", tc.program, all)
		}
		for _, took := range all.Took {
			if took <= 0 || took > all.Whole {
				t.Errorf("%s took %v ms of %v", tc.program, took, all.Whole)
			}
		}
	}
	for _, argv := range [][]string{nil, {"/nonexistent"}} {
		if err := beCallers(&bytes.Buffer{}, 2, 1, argv); err == nil {
			t.Errorf("%q: no error", argv)
		}
	}
}
