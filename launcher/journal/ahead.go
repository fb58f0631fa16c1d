package journal

import (
	"bufio"
	"errors"
	"io"
	"runtime"
	"slices"
	"sync"
)

// chunkBytes is how much of a segment is taken apart at a time: what it becomes has
// three times as many, and is to stay in a processor's cache.
const chunkBytes = 32 << 10

// parsed is a line that was taken apart. Whether it belongs where it stands is the
// chain's business.
type parsed struct {
	record Record
	hash   string
	length int   // of the line, without its newline
	bad    error // why it is no record
	unread error // errPartial or errLong: it is not a whole line; or why none could be read
}

// chunk is some lines on end, what they say, and why they end, if they do. It is used
// again for others.
type chunk struct {
	text  []byte
	ends  []int // of each line, in text
	err   error // of readLine, for what follows the last line
	lines []parsed
}

// read reads lines until there are enough of them.
func (c *chunk) read(r *bufio.Reader, line []byte) (buffer []byte) {
	c.text, c.ends = slices.Grow(c.text[:0], chunkBytes+chunkBytes/8), c.ends[:0]
	for len(c.text) < chunkBytes {
		if line, c.err = readLine(r, line); c.err != nil {
			break
		}
		c.text = append(c.text, line...)
		c.ends = append(c.ends, len(c.text))
	}
	return line
}

// parse takes every line apart.
func (c *chunk) parse() {
	clear(c.lines)
	c.lines = slices.Grow(c.lines[:0], len(c.ends)+1)[:len(c.ends)]
	begin, whole := 0, "" // of which records keep parts
	if len(c.text) <= 2*chunkBytes {
		whole = string(c.text)
	}
	for i, end := range c.ends {
		line, one := c.text[begin:end], &c.lines[i]
		one.length = len(line)
		text := ""
		if whole != "" {
			text = whole[begin:end]
		} else { // a line of megabytes is not kept for the sake of a short one beside it
			text = string(line)
		}
		if one.bad = one.record.parse(line, text); one.bad == nil {
			one.hash = hashLine(line)
		}
		begin = end
	}
	if c.err != nil && !errors.Is(c.err, io.EOF) {
		c.lines = append(c.lines, parsed{unread: c.err})
	}
}

// hand hands the lines to use, and reports whether it is to have more.
func (c *chunk) hand(use func(*parsed) bool) bool {
	for i := range c.lines {
		if !use(&c.lines[i]) {
			return false
		}
	}
	return true
}

// eachParsed hands the lines of r to use, in order, until it returns false. It must not
// keep them; texts that it keeps of them keep a chunk. The lines that come are taken apart meanwhile, on as many processors as
// there are; a short file is not worth that.
func eachParsed(r *bufio.Reader, use func(*parsed) bool) {
	c := new(chunk)
	line := c.read(r, nil)
	if c.err != nil {
		c.parse()
		c.hand(use)
		return
	}
	// One is filled, one is used, and others are taken apart. Each is used again: in a
	// start memory that has not been used yet costs more than what is done with it.
	several := runtime.GOMAXPROCS(0) + 2
	type pending struct {
		chunk *chunk
		done  chan struct{}
	}
	ordered, free := make(chan pending, several), make(chan *chunk, several)
	for range several - 1 {
		free <- new(chunk)
	}
	stop := make(chan struct{})
	var all sync.WaitGroup
	defer all.Wait()
	defer close(stop)
	all.Go(func() {
		defer close(ordered)
		for {
			one := pending{c, make(chan struct{})}
			all.Go(func() { defer close(one.done); one.chunk.parse() })
			ordered <- one // there is room for all
			if c.err != nil {
				return
			}
			select {
			case c = <-free:
				line = c.read(r, line)
			case <-stop:
				return
			}
		}
	})
	for one := range ordered {
		<-one.done
		if !one.chunk.hand(use) {
			return
		}
		free <- one.chunk
	}
}
