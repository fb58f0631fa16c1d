package broker

import (
	"sync/atomic"

	"kpm/core/view"
)

// Cause is why somebody who had subscribed to a message did not get it, or
// something that was kept for a plugin was not.
type Cause string

// The causes. docs/wire.md, "What is dropped", has the same table.
const (
	QueueFull       Cause = "queue-full"
	ConnectionEnded Cause = "connection-ended"
	KeptFull        Cause = "kept-full"
	KeptTooLong     Cause = "kept-too-long"
	KeptNoLonger    Cause = "kept-no-longer"
	Expired         Cause = "expired"
	TooLarge        Cause = "too-large"
	RightsChanged   Cause = "rights-changed"
	ServiceBehind   Cause = "service-behind"
)

// cause is a row of the table, for people.
type cause struct {
	cause Cause
	why   string
}

// causes are in the order in which they are shown.
var causes = [...]cause{
	{QueueFull, "the subscriber's queue was full, and it was cut or left"},
	{ConnectionEnded, "the subscriber's connection ended before it had taken the message"},
	{KeptFull, "as many messages were kept for the plugin as may be"},
	{KeptTooLong, "the plugin was away for longer than messages are kept"},
	{KeptNoLonger, "the plugin's file keeps no messages any more, or is gone"},
	{Expired, "it waited for longer than its sender allowed"},
	{TooLarge, "it is larger than the subscriber takes"},
	{RightsChanged, "the subscriber lost the right to hear it while it waited"},
	{ServiceBehind, "the service itself did not keep up"},
}

// drops count dropped messages. The map is not written to after newDrops.
type drops map[Cause]*atomic.Uint64

func newDrops() drops {
	d := drops{}
	for _, c := range causes {
		d[c.cause] = &atomic.Uint64{}
	}
	return d
}

func (d drops) add(c Cause, messages int) { d[c].Add(uint64(messages)) }

// counts returns all of them, those without a message too.
func (d drops) counts() map[Cause]uint64 {
	all := map[Cause]uint64{}
	for c, n := range d {
		all[c] = n.Load()
	}
	return all
}

// shown returns those that have happened.
func (d drops) shown() []view.Dropped {
	list := []view.Dropped{}
	for _, c := range causes {
		if n := d[c.cause].Load(); n > 0 {
			list = append(list, view.Dropped{Cause: string(c.cause), Why: c.why, Messages: n})
		}
	}
	return list
}
