package journal

import (
	"bufio"
	"errors"
	"io"
	"runtime"
	"sync"
)

// chunkBytes is how much of a segment is taken apart at a time.
const chunkBytes = 128 << 10

// parsed is a line that was taken apart. Whether it belongs where it stands is the
// chain's business.
type parsed struct {
	record Record
	hash   string
	length int   // of the line, without its newline
	bad    error // why it is no record
	unread error // errPartial or errLong: it is not a whole line; or why none could be read
}

// chunk is some lines on end, and why they end, if they do.
type chunk struct {
	text []byte
	ends []int // of each line, in text
	err  error // of readLine, for what follows the last line
}

// next reads lines until there are enough of them.
func nextChunk(r *bufio.Reader, line []byte) (c chunk, buffer []byte) {
	c.text = make([]byte, 0, chunkBytes+chunkBytes/8)
	for len(c.text) < chunkBytes {
		if line, c.err = readLine(r, line); c.err != nil {
			break
		}
		c.text = append(c.text, line...)
		c.ends = append(c.ends, len(c.text))
	}
	return c, line
}

// parse takes every line apart.
func (c *chunk) parse() []parsed {
	list := make([]parsed, len(c.ends), len(c.ends)+1)
	begin := 0
	for i, end := range c.ends {
		line, one := c.text[begin:end], &list[i]
		one.length = len(line)
		if one.bad = one.record.parse(line); one.bad == nil {
			one.hash = hashLine(line)
		}
		begin = end
	}
	if c.err != nil && !errors.Is(c.err, io.EOF) {
		list = append(list, parsed{unread: c.err})
	}
	return list
}

// eachParsed hands the lines of r to use, in order, until it returns false. The lines
// that come are taken apart meanwhile, on as many processors as there are; a short file
// is not worth that.
func eachParsed(r *bufio.Reader, use func(*parsed) bool) {
	c, line := nextChunk(r, nil)
	if c.err != nil {
		list := c.parse()
		for i := range list {
			if !use(&list[i]) {
				return
			}
		}
		return
	}
	ordered := make(chan chan []parsed, runtime.GOMAXPROCS(0))
	stop := make(chan struct{})
	var all sync.WaitGroup
	defer all.Wait()
	defer close(stop)
	all.Go(func() {
		defer close(ordered)
		for {
			one, done := c, make(chan []parsed, 1)
			all.Go(func() { done <- one.parse() })
			select {
			case ordered <- done:
			case <-stop:
				return
			}
			if c.err != nil {
				return
			}
			c, line = nextChunk(r, line)
		}
	})
	for done := range ordered {
		list := <-done
		for i := range list {
			if !use(&list[i]) {
				return
			}
		}
	}
}
