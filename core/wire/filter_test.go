package wire

import (
	"strings"
	"testing"
)

func TestValidTopicAndFilter(t *testing.T) {
	for _, tc := range []struct {
		text          string
		filter, topic bool
	}{
		{"KeeperLogger", true, true},
		{"MyBridge/Responses/one", true, true},
		{"MyBridge/Responses/+", true, false},
		{"+/Status", true, false},
		{"MyBridge/#", true, false},
		{"#", true, false},
		{"", false, false},
		{"MyBridge/#/late", false, false},
		{"MyBridge/half+", false, false},
		{"MyBridge/half#", false, false},
		{"$SYS/broker", false, false},
		{"$share/group/KeeperPolicy", false, false},
		{"two\nlines", false, false},
		{"nul\x00", false, false},
		{"not utf-8 \xff", false, false},
		{strings.Repeat("a", maxTopic), true, true},
		{strings.Repeat("a", maxTopic+1), false, false},
	} {
		if got := ValidFilter(tc.text); got != tc.filter {
			t.Errorf("ValidFilter(%q) = %v, want %v", tc.text, got, tc.filter)
		}
		if got := ValidTopic(tc.text); got != tc.topic {
			t.Errorf("ValidTopic(%q) = %v, want %v", tc.text, got, tc.topic)
		}
	}
}
