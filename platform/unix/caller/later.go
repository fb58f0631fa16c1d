//go:build linux || darwin

package caller

import (
	"slices"
	"sync"
)

// later has the signals, as each system tells of them, that were read while another one
// was being taken.
type later[T any] struct {
	mu   sync.Mutex
	list []T
}

func (l *later[T]) add(one T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, one)
}

// next takes the first, and reports whether there is one.
func (l *later[T]) next() (first T, is bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.list) == 0 {
		return first, false
	}
	first, l.list = l.list[0], l.list[1:]
	return first, true
}

func (l *later[T]) has(one func(T) bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.list, one)
}

func (l *later[T]) drop(one func(T) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = slices.DeleteFunc(l.list, one)
}

func (l *later[T]) none() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.list) == 0
}
