package settings

import "kpm/core/fault"

// Fault and Faults are what is wrong with a file, and Quote shows found text in
// one (package fault).
type (
	Fault  = fault.Fault
	Faults = fault.List
)

// Quote is fault.Quote.
func Quote(s string) string { return fault.Quote(s) }
