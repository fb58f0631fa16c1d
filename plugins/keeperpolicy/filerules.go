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
	return eventType == wire.EventProbe || eventType == wire.EventFileRules || eventType == wire.EventReload
}

// fileRules are what policies about files keep people from at this moment.
func (e *engine) fileRules(force *inForce) core.FileRules {
	machine, _ := os.Hostname() // without a name, filters of machines restrict
	return force.set.FileRules(machine, e.around.zone.of(e.now()))
}

// digestOf changes with rules; it is empty if there are none.
func digestOf(rules core.FileRules) string {
	if len(rules.Rules) == 0 {
		return ""
	}
	text, err := json.Marshal(rules)
	if err != nil { // texts and numbers
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}
