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

// matches is Match as section 4.7 of MQTT 5 has it, level by level.
func matches(filter, topic []string) bool {
	switch {
	case len(filter) == 0:
		return len(topic) == 0
	case filter[0] == "#":
		return true
	case len(topic) == 0:
		return false
	}
	return (filter[0] == "+" || filter[0] == topic[0]) && matches(filter[1:], topic[1:])
}

// Attack: a filter that goes beyond what a file declares and is taken to be within.
func FuzzFilters(f *testing.F) {
	for _, seed := range [][3]string{{"#", "a/#", "a"}, {"+/b", "a/b", "a/b"}, {"a/#", "a/+", "a/b"}, {"a/+/c", "a/#", "a/b/c"}, {"+", "", "a"}, {"/+", "+/+", "/a"}, {"a//b", "a/+/b", "a//b"}} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, outer, inner, topic string) {
		if !ValidFilter(outer) || !ValidFilter(inner) || !ValidTopic(topic) {
			return
		}
		for _, filter := range []string{outer, inner} {
			if got, want := Match(filter, topic), matches(strings.Split(filter, "/"), strings.Split(topic, "/")); got != want {
				t.Errorf("Match(%q, %q) is %v", filter, topic, got)
			}
		}
		if Covers(outer, inner) && Match(inner, topic) && !Match(outer, topic) {
			t.Errorf("Covers(%q, %q), and %q matches the second alone", outer, inner, topic)
		}
		if !Covers(outer, outer) || Covers(outer, topic) != Match(outer, topic) {
			t.Errorf("Covers(%q, itself) is %v, Covers(%q, %q) is not what Match says", outer, Covers(outer, outer), outer, topic)
		}
	})
}
