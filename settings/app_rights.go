package settings

import (
	"encoding/json"
	"strings"
	"time"
)

// Rights says from which groups LeastPrivilege policies take people, and from whom
// never.
type Rights struct {
	// Groups are those of administrators; none are the system's own
	// (port.Facts.AdministratorGroups).
	Groups []string
	// Protected are names of users, or "#" and an id, from whom nothing is taken: the
	// accounts for emergencies.
	Protected []string
	// TakeLast lets policy take the last administrator out.
	TakeLast bool
	// Every is how often groups are compared with policy without cause.
	Every time.Duration
}

// setNames accepts names of users or groups.
func setNames(raw json.RawMessage, into *[]string) error {
	var list []string
	if err := decode(raw, &list); err != nil {
		return err
	}
	for _, name := range list {
		if name == "" || len(name) > 256 || strings.ContainsAny(name, ":,\n\x00") {
			return errNotAllowed
		}
	}
	if len(list) > maxPaths {
		return errNotAllowed
	}
	*into = list
	return nil
}
