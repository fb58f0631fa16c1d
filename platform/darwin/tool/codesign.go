package tool

import (
	"fmt"
	"strings"

	"kpm/core"
)

// AskSignature returns what has the system check the signature of a file. It asks
// no network: notarisation is looked at when a program starts.
func AskSignature(path string) []string {
	return []string{Codesign, "--verify", "--strict", "--verbose=1", "--", path}
}

// unsigned is codesign's answer about a file without any signature.
const unsigned = "code object is not signed at all"

// changed are codesign's answers about what was changed after it was signed.
var changed = []string{"invalid signature", "a sealed resource is missing or invalid", "code or signature have been modified"}

// ParseSignature reads what codesign said on its standard error and ended with. It
// reports false for a file without a signature.
func ParseSignature(said string, status int) (core.Evidence, bool) {
	e := core.Evidence{Kind: core.KindSystem, Rank: core.RankSigned, Standing: core.Trusted,
		Reason: "macOS finds the signature valid on disk",
		Checks: []core.Check{
			{Name: "codesign --verify --strict", Outcome: core.Passed},
			{Name: "notarisation", Outcome: core.NotChecked, Detail: "it is asked for when the program starts"},
		}}
	switch {
	case status == 0:
		return e, true
	case strings.Contains(said, unsigned):
		return core.Evidence{}, false
	}
	e.Standing, e.Checks[0].Outcome = core.Untrusted, core.Failed
	e.Reason = fmt.Sprintf("macOS does not find the signature valid (codesign ended with status %d)", status)
	for _, text := range changed {
		if strings.Contains(said, text) {
			e.Standing, e.Reason = core.Broken, "the file was changed after it was signed"
		}
	}
	return e, true
}
