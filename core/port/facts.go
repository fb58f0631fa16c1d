package port

import (
	"kpm/core"
)

// Facts are what is so on one operating system and needs no call: values and
// words, for whoever must decide or explain something portably.
type Facts struct {
	// Platform also knows the secure path, and how paths are spelled and
	// compared.
	Platform core.Platform
	// BaseEnvironment is what every process that the service starts is given
	// first, as NAME=value. PATH is always there.
	BaseEnvironment []string
	// Administrator is the account that a request means which names no target.
	Administrator core.UserID
	// ServiceAccount is the account that plugins and job tasks run as.
	ServiceAccount core.UserID
	// MakeProtected and MakePrivate say what a person types so that
	// administrators alone can change, or read, the file at path: for messages.
	MakeProtected, MakePrivate func(path string) string
}
