package jobs

import (
	"testing"

	"kpm/core"
)

// What a start reads of an agent with the default jobs.
func BenchmarkReadDefaults(b *testing.B) {
	h := newDefaults(b, func(core.Principal, core.RequestID) error { return nil })
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.read(&catalog{}); err != nil {
			b.Fatal(err)
		}
	}
}
