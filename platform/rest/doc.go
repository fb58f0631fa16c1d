// Package rest is how a process of the agent's rests while nobody asks it for anything.
// It is apart from package platform because a plugin links nothing that it does not use.
package rest

import (
	"kpm/core/idle"
	"kpm/platform/turns"
)

// Pace has Go's watching thread look less often at rest, and has the system take back
// what only work needs of the program itself.
type Pace struct{ turns.Watch }

var _ idle.Pace = (*Pace)(nil)
