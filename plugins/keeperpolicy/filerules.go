package keeperpolicy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"

	"kpm/core"
	"kpm/core/wire"
)

// ofTheService reports whether questions of that type are the service's own: about
// nobody, with nothing to look up, and answered without a decision.
func ofTheService(eventType string) bool {
	switch eventType {
	case wire.EventProbe, wire.EventFileRules, wire.EventFileChanges, wire.EventReload:
		return true
	}
	return false
}

// fileRules are what policies about files keep people from at this moment.
func (e *engine) fileRules(force *inForce) core.FileRules {
	machine, _ := os.Hostname() // without a name, filters of machines restrict
	return force.set.FileRules(machine, e.around.zone.of(e.now()))
}

// fileChanges are what policies make of the agent's own files at this moment.
func (e *engine) fileChanges(force *inForce) core.FileChanges {
	machine, _ := os.Hostname()
	return force.set.FileChanges(machine, e.around.zone.of(e.now()))
}

// digestOf changes with an answer, of n entries.
func digestOf(n int, answer any) string {
	if n == 0 {
		return wire.Nothing
	}
	text, err := json.Marshal(answer)
	if err != nil { // texts and numbers
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}
