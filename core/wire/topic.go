package wire

import (
	"strings"

	"kpm/core"
)

// First-party topics (docs/architecture-published.md, "Typical Topics (conceptual)").
const (
	TopicPolicy     = "KeeperPolicy"
	TopicEvents     = "EventMessages"
	TopicJobService = "JobService"
	TopicLogger     = "KeeperLogger"
	TopicReplies    = "Replies"
	TopicSettings   = "PluginSettings" // PluginSettings/{plugin}: names of settings that have changed
	TopicClient     = "KeeperClient"
	TopicApproval   = "RequestApproval"
)

// PolicyPlugin is the only plugin whose decisions count (decision 25).
const PolicyPlugin = "KeeperPolicy"

// ReplyTopic is where answers to asker for one question go (decision 21).
func ReplyTopic(asker core.Principal, id string) string {
	return TopicReplies + "/" + asker.String() + "/" + id
}

// TopicProbed is where KeeperPolicy answers the service's own questions: probes,
// and what somebody may run.
const TopicProbed = TopicReplies + "/KeeperPrivilegeManager/Probe"

// Match reports whether an MQTT topic filter covers a topic (MQTT 5, section
// 4.7). Filters that begin with a wildcard do not cover "$" topics.
func Match(filter, topic string) bool {
	if strings.HasPrefix(topic, "$") && (strings.HasPrefix(filter, "+") || strings.HasPrefix(filter, "#")) {
		return false
	}
	for {
		f, fRest, fMore := strings.Cut(filter, "/")
		if f == "#" {
			return !fMore
		}
		t, tRest, tMore := strings.Cut(topic, "/")
		if f != "+" && f != t {
			return false
		}
		if !fMore || !tMore {
			return fMore == tMore || fMore && fRest == "#" // "a/#" covers "a"
		}
		filter, topic = fRest, tRest
	}
}

// Covers reports whether every topic that filter inner can match is matched by
// outer. It decides whether a subscription stays inside what was declared.
func Covers(outer, inner string) bool {
	for {
		o, oRest, oMore := strings.Cut(outer, "/")
		if o == "#" {
			return !oMore
		}
		i, iRest, iMore := strings.Cut(inner, "/")
		if i == "#" || i == "+" && o != "+" || o != "+" && o != i {
			return false
		}
		if !oMore || !iMore {
			return oMore == iMore || oMore && oRest == "#"
		}
		outer, inner = oRest, iRest
	}
}
