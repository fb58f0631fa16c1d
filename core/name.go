package core

import "strings"

// ReservedName reports whether s is, in any letter case, the name that
// Principal.String gives to somebody who is neither plugin nor job. A plugin
// called "KeeperPrivilegeManager" or "User-1000" would own their reply topics.
func ReservedName(s string) bool {
	s = strings.ToLower(s)
	for k := Public; k <= Service; k++ {
		name := strings.ToLower(k.String())
		if s == name || strings.HasPrefix(s, name+"-") {
			return true
		}
	}
	return false
}
