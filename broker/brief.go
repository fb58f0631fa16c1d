package broker

import (
	"strings"

	"kpm/core/wire"
)

// brief makes a name from the wire fit for logs and errors.
func brief(s string) string {
	const longest = 128
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "..."
	}
	return wire.Printable(s)
}
