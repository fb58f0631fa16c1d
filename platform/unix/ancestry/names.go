//go:build linux || darwin

package ancestry

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"
	"time"
)

// Bounds of reading what processes say they are called: the bytes of one, the time
// of one, and how many readings of one user's processes may hang.
const (
	maxNames     = 512
	namesTime    = 100 * time.Millisecond
	maxUserHangs = 2
)

// Interprets reports whether what a program runs is said by its arguments alone.
func Interprets(program string) bool {
	name := strings.TrimRight(path.Base(program), "0123456789.")
	switch name {
	case "node", "nodejs", "bun", "deno", "python", "pypy", "ruby", "perl", "java", "env":
		return true
	}
	return false
}

// Names reads what processes say they are called: their first arguments.
type Names struct {
	mu    sync.Mutex
	hangs map[uint32]int // readings under way, by the user of the process
}

// Of reads the arguments of a process of a user, each with a NUL behind it, and closes
// where they come from.
//
// Attack: a process has its arguments in memory that a file system of its own serves.
// Whoever reads them waits for it, and nothing ends that but the file system. So
// another goroutine reads, its time is bounded, and so is how many may hang for one
// user.
func (n *Names) Of(pid int, user uint32, from io.ReadCloser) ([]string, error) {
	n.mu.Lock()
	full := n.hangs[user] >= maxUserHangs
	if !full {
		if n.hangs == nil {
			n.hangs = map[uint32]int{}
		}
		n.hangs[user]++
	}
	n.mu.Unlock()
	if full {
		from.Close()
		return nil, fmt.Errorf("process %d: too many processes of user %d keep their arguments back", pid, user)
	}
	read := make(chan []byte, 1)
	go func() {
		buf := make([]byte, maxNames)
		got, err := from.Read(buf)
		from.Close()
		n.mu.Lock()
		if n.hangs[user]--; n.hangs[user] == 0 {
			delete(n.hangs, user)
		}
		n.mu.Unlock()
		if err != nil && !errors.Is(err, io.EOF) {
			got = 0
		}
		read <- buf[:got]
	}()
	timer := time.NewTimer(namesTime)
	defer timer.Stop()
	select {
	case text := <-read:
		return firstWords(text), nil
	case <-timer.C:
		return nil, fmt.Errorf("process %d keeps its arguments back", pid)
	}
}

// firstWords are the first four arguments: of an interpreter, its own name, perhaps
// options, and the script.
func firstWords(text []byte) (words []string) {
	for word := range bytes.SplitSeq(text, []byte{0}) {
		if len(words) == 4 {
			break
		}
		if len(word) > 0 {
			words = append(words, string(word))
		}
	}
	return words
}
