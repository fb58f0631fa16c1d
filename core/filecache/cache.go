package filecache

import (
	"container/list"
	"sync"

	"kpm/core/port"
)

// Identity names one state of one file. The kernel moves the change time with
// every write, chmod, chown and new attribute; the generation tells apart two
// files that have had the same inode. Identities are compared with ==.
type Identity struct {
	device, inode, generation uint64
	size                      int64
	change                    int64 // nanoseconds
}

// Identify returns the identity of the file that info was read from.
// generation is 0 where it is not known.
func Identify(info port.FileInfo, generation uint64) Identity {
	return Identity{info.Device, info.Inode, generation, info.Size, info.Change.UnixNano()}
}

// Cache is a bounded map from files to what is known about them, the least
// recently used forgotten first. Its methods may be called concurrently.
type Cache[V any] struct {
	max int

	mu      sync.Mutex
	entries map[Identity]*list.Element
	order   *list.List // of *entry[V], most recently used first
}

type entry[V any] struct {
	of    Identity
	value V
}

// New returns an empty cache of at most max files, at least 1.
func New[V any](max int) *Cache[V] {
	return &Cache[V]{max: max, entries: map[Identity]*list.Element{}, order: list.New()}
}

// Get returns what is known about a file. If valid is not nil and denies the
// value, it is forgotten instead; valid is called under the cache's lock.
func (c *Cache[V]) Get(of Identity, valid func(*V) bool) (value V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element, ok := c.entries[of]
	if !ok {
		return value, false
	}
	found := element.Value.(*entry[V])
	if valid != nil && !valid(&found.value) {
		c.remove(element)
		return value, false
	}
	c.order.MoveToFront(element)
	return found.value, true
}

// Put remembers value about a file that administrators alone can change, in
// place of what was known before.
func (c *Cache[V]) Put(of Identity, value V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if element, ok := c.entries[of]; ok {
		c.remove(element)
	}
	c.entries[of] = c.order.PushFront(&entry[V]{of, value})
	if c.order.Len() > c.max {
		c.remove(c.order.Back())
	}
}

func (c *Cache[V]) remove(element *list.Element) {
	delete(c.entries, c.order.Remove(element).(*entry[V]).of)
}
