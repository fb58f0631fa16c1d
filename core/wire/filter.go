package wire

import (
	"strings"
	"unicode/utf8"
)

// maxTopic bounds topics and filters in bytes. MQTT allows 65535; nothing
// first-party comes near this.
const maxTopic = 1024

// ValidFilter reports whether s may stand in a declared topic list: an MQTT
// topic filter (MQTT 5, section 4.7) that does not begin with "$".
func ValidFilter(s string) bool {
	if !validTopicText(s) {
		return false
	}
	levels := strings.Split(s, "/")
	for i, level := range levels {
		if level == "+" || level == "#" && i == len(levels)-1 {
			continue
		}
		if strings.ContainsAny(level, "+#") {
			return false
		}
	}
	return true
}

// ValidTopic reports whether s may be published to: ValidFilter without
// wildcards.
func ValidTopic(s string) bool {
	return validTopicText(s) && !strings.ContainsAny(s, "+#")
}

func validTopicText(s string) bool {
	return s != "" && len(s) <= maxTopic && s[0] != '$' && utf8.ValidString(s) &&
		strings.IndexFunc(s, unsafeRune) < 0
}
