package provenance

import (
	"container/list"
	"sync"
	"time"

	"kpm/core"
)

// maxCached bounds the cache, in files.
const maxCached = 1024

// maxAge is how long a verdict is believed without another look at
// certificates and revocation.
const maxAge = time.Hour

// version names one state of one file. The kernel moves the change time with
// every write, chmod, chown and new attribute; the generation tells apart two
// files that have had the same inode.
type version struct {
	device, inode, generation uint64
	size                      int64
	change                    int64 // nanoseconds
}

// cache remembers verdicts about files that only root can change, the least
// recently used forgotten first. Of a file that anyone else can write to the
// change time proves nothing: a mapping written before the last sync has not
// moved it yet (decision 26).
type cache struct {
	mu      sync.Mutex
	entries map[version]*list.Element
	order   *list.List // of cached, most recently used first
}

type cached struct {
	of         version
	stamp      string // of the package databases
	provenance core.Provenance
	until      time.Time
}

func newCache() *cache { return &cache{entries: map[version]*list.Element{}, order: list.New()} }

func (c *cache) get(of version, stamp string, now time.Time) (core.Provenance, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element, ok := c.entries[of]
	if !ok {
		return core.Provenance{}, false
	}
	found := element.Value.(cached)
	if !now.Before(found.until) || found.stamp != stamp {
		c.remove(element)
		return core.Provenance{}, false
	}
	c.order.MoveToFront(element)
	return found.provenance, true
}

func (c *cache) put(of version, stamp string, p core.Provenance, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if element, ok := c.entries[of]; ok {
		c.remove(element)
	}
	c.entries[of] = c.order.PushFront(cached{of, stamp, p, validUntil(p, now)})
	if c.order.Len() > maxCached {
		c.remove(c.order.Back())
	}
}

func (c *cache) remove(element *list.Element) {
	c.order.Remove(element)
	delete(c.entries, element.Value.(cached).of)
}

// validUntil is when a verdict may change by the passing of time: when a
// certificate of trusted evidence ends, and after maxAge in any case.
func validUntil(p core.Provenance, now time.Time) time.Time {
	until := now.Add(maxAge)
	for _, e := range p.Evidence {
		if e.Standing != core.Trusted || !e.SignedAt.IsZero() {
			continue
		}
		for _, certificate := range e.Chain {
			if certificate.NotAfter.Before(until) {
				until = certificate.NotAfter
			}
		}
	}
	return until
}
