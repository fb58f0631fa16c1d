package tool

import (
	"fmt"
	"strings"

	"kpm/core"
)

// Osascript runs a script that it reads from its standard input: what a dialog says
// is in no argument, which every user of the machine sees (decision 28a).
const Osascript = "/usr/bin/osascript"

// cancelled is osascript's answer when the person has chosen Cancel
// (userCanceledErr).
const cancelled = "(-128)"

// Literal returns text as an AppleScript string. Attack: a justification that
// somebody has written ends the string and goes on as a program.
func Literal(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(text) + `"`
}

// ParseAnswer reads what osascript printed, said on its standard error and ended
// with.
func ParseAnswer(output, said string, status int) (string, error) {
	switch {
	case status == 0:
		return strings.TrimSuffix(output, "\n"), nil
	case strings.Contains(said, cancelled):
		return "", core.ErrCancelled
	}
	return "", fmt.Errorf("osascript ended with %d: %.200s", status, strings.TrimSpace(said))
}
