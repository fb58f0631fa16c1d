package broker

import (
	"strconv"
	"strings"

	"kpm/core"
)

// clientIDFormat is the form of p's client ids (docs/architecture-published.md,
// "MQTT Client ID Format for Plugins"), for people.
func clientIDFormat(p core.Principal) string {
	switch {
	case p.Kind == core.JobRun:
		return p.Name + "_{Token}_{Pid}"
	case p.InUserSession:
		return p.Name + "_{UserName}_{Pid}"
	}
	return p.Name + "_{Pid}"
}

// parseClientID takes id apart if it has the form that belongs to p. The name is
// p's, letter by letter; only KeeperAPI and KeeperApi are one plugin (decision
// 7). Each part is a ValidName, so no wildcard or separator ever stands in a
// client id (CVE-2017-7650).
func parseClientID(id string, p core.Principal) (pid int, token string, ok bool) {
	if len(id) <= len(p.Name) || !sameName(id[:len(p.Name)], p.Name) || id[len(p.Name)] != '_' {
		return 0, "", false
	}
	digits := id[len(p.Name)+1:]
	if p.Kind == core.JobRun || p.InUserSession {
		cut := strings.LastIndexByte(digits, '_')
		if cut < 0 || !core.ValidName(digits[:cut]) {
			return 0, "", false
		}
		token, digits = digits[:cut], digits[cut+1:]
	}
	pid, err := strconv.Atoi(digits)
	if err != nil || pid <= 0 || strconv.Itoa(pid) != digits {
		return 0, "", false
	}
	return pid, token, true
}

// twoSpellings is the plugin whose name the published documents spell in two ways.
const twoSpellings = "KeeperAPI"

func sameName(a, b string) bool {
	return a == b || strings.EqualFold(a, twoSpellings) && strings.EqualFold(b, twoSpellings)
}
