package idle

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

// room is how much a process that rests may take more before its garbage is looked for
// all the same: as much as Go's runtime takes at least before it looks at all.
const room = 4 << 20

// collector has Go's not look for garbage where nobody makes any: by itself it looks every
// two minutes, which is most of what an idle process does. If there is some after all, the
// first collection ends the rest.
type collector struct {
	busy func() // what is to be called then

	percent     int   // as it was before
	limit, ours int64 // of memory: as it was before, and meanwhile
	rests       atomic.Int64
}

// GiveBack implements Pace.
func (*collector) GiveBack() { debug.FreeOSMemory() }

// Rest implements Pace.
func (c *collector) Rest() {
	c.limit = debug.SetMemoryLimit(-1) // which sets nothing
	c.ours = min(c.limit, inUse()+room)
	debug.SetMemoryLimit(c.ours)
	c.percent = debug.SetGCPercent(-1)
	watched := &struct{ self *collector }{c}
	runtime.AddCleanup(watched, func(rest int64) {
		if c.rests.Load() == rest {
			c.busy()
		}
	}, c.rests.Load())
}

// Work implements Pace. What somebody else has set meanwhile stays.
func (c *collector) Work() {
	c.rests.Add(1)
	if other := debug.SetGCPercent(c.percent); other >= 0 {
		debug.SetGCPercent(other)
	}
	if other := debug.SetMemoryLimit(c.limit); other != c.ours {
		debug.SetMemoryLimit(other)
	}
}

// inUse is what the runtime's limit counts.
func inUse() int64 {
	all := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(all)
	return int64(all[0].Value.Uint64() - all[1].Value.Uint64())
}
