package launcher

import "sync/atomic"

// crowd counts the requests that are open and whose command does not run yet: for how
// many people the service works at this moment.
type crowd struct {
	open atomic.Int32
	tell func(open int) // may be nil
}

// enter counts one more, and returns what counts it off, once.
func (c *crowd) enter() (leave func()) {
	c.said(c.open.Add(1))
	var left atomic.Bool
	return func() {
		if left.CompareAndSwap(false, true) {
			c.said(c.open.Add(-1))
		}
	}
}

func (c *crowd) said(open int32) {
	if c.tell != nil {
		c.tell(int(open))
	}
}
