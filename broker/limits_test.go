package broker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kpm/core/wire"
)

func TestLimitsAreTheDocumentedTable(t *testing.T) {
	seconds := func(d time.Duration) string { return fmt.Sprintf("%d s", d/time.Second) }
	want := [][]string{
		{"time from accept to CONNECT", seconds(connectTimeout)},
		{"packet", fmt.Sprintf("%d MiB", maxPacket>>20)},
		{"CONNECT packet", fmt.Sprintf("%d KiB", maxConnectPacket>>10)},
		{"topic or filter", "1024 bytes"}, // wire.ValidFilter, tested below
		{"connections before CONNECT, per user", fmt.Sprint(maxWaitingPerUser)},
		{"connections before CONNECT", fmt.Sprintf("%d, of which %d are set aside for root; when they are taken, whoever has most gives one up", maxWaiting, asideWaiting)},
		{"connections", fmt.Sprintf("%d, of which %d are set aside for plugins in service context", maxConnections, asideConnections)},
		{"connections of one principal", fmt.Sprint(maxPerPrincipal)},
		{"keep-alive", fmt.Sprintf("any; version 5 clients without one, or with a longer one, are told %d s", ourKeepAlive)},
		{"queued messages per subscriber", fmt.Sprintf("%d MiB, 256 bytes of each for its keeping; then publishers wait", maxQueuedBytes>>20)},
		{"waiting of publishers for a full queue", fmt.Sprintf("until the subscriber has taken nothing for %s, then it is cut; none for the service, none for subscribers in a user's session", seconds(maxStall))},
		{"what one connection publishes meanwhile", fmt.Sprintf("%d MiB, then it is not read", maxBehind>>20)},
		{"unacknowledged messages per subscriber", fmt.Sprintf("%d, the rest is queued", maxUnacknowledged)},
		{"answers that a client does not read", fmt.Sprintf("%d KiB, then it is not read; after %s without progress it is cut", maxControl>>10, seconds(maxStall))},
		{"QoS 2 messages that a publisher has not released", fmt.Sprintf("%d, which is every packet id", maxUnreleased)},
		{"messages kept for a plugin that is away", fmt.Sprintf("%d, %d MiB, %d h each; what comes on top is refused", maxKept, maxKeptBytes>>20, keptLife/time.Hour)},
		{"refusals that are shown", fmt.Sprintf("the last %d of each of %d plugins, jobs and users", maxRefusals, maxRefused)},
		{"subscriptions per connection", fmt.Sprint(maxSubscriptions)},
		{"unanswered questions", fmt.Sprintf("%[1]d of the service, %[1]d of all others; %s each", maxOpenQuestions, seconds(questionLife))},
		{"retained messages, Wills on authority topics, topic aliases, `$share`", "none"},
	}
	rows := table(t, "Limits of the bus")
	if len(rows) != len(want) {
		t.Fatalf("docs/wire.md has %d rows, the code %d", len(rows), len(want))
	}
	for i := range want {
		if rows[i][0] != want[i][0] || rows[i][1] != want[i][1] {
			t.Errorf("row %d\ncode %v\ndocs %v", i+1, want[i], rows[i])
		}
	}
	if !wire.ValidFilter(strings.Repeat("x", 1024)) || wire.ValidFilter(strings.Repeat("x", 1025)) {
		t.Error("a topic or filter may have 1024 bytes, and no more")
	}
}
