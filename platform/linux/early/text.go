//go:build linux

package early

import "unsafe"

// Names that the kernel is given end with a zero byte, which is a part of each.
const (
	terminal    = "/dev/tty\x00"
	here        = ".\x00"
	defaultRoot = "/opt/KeeperPrivilegeManager\x00"
	descriptors = "/proc/self/fd/"
	doorPath    = "run/door.sock\x00"
)

// text is where a name of this package's lies.
//
//go:nosplit
//go:norace
func text(name string) *byte { return unsafe.StringData(name) }

// byteOf is the one at an offset of a text that ends with a zero byte.
//
//go:nosplit
//go:norace
func byteOf(p *byte, at int) byte { return *(*byte)(unsafe.Add(unsafe.Pointer(p), at)) }

// after is what a text goes on with from an offset.
//
//go:nosplit
//go:norace
func after(p *byte, at int) *byte { return (*byte)(unsafe.Add(unsafe.Pointer(p), at)) }

// length is that of a text, without its zero byte.
//
//go:nosplit
//go:norace
func length(p *byte) int {
	n := 0
	for byteOf(p, n) != 0 {
		n++
	}
	return n
}

// has reports whether a text begins with prefix.
//
//go:nosplit
//go:norace
func has(p *byte, prefix string) bool {
	for i := range len(prefix) {
		if byteOf(p, i) != prefix[i] {
			return false // also where the text ends
		}
	}
	return true
}

// is reports whether a text says so.
//
//go:nosplit
//go:norace
func is(p *byte, said string) bool { return has(p, said) && byteOf(p, len(said)) == 0 }

// contains reports whether b is in a text.
//
//go:nosplit
//go:norace
func contains(p *byte, b byte) bool {
	for i := 0; byteOf(p, i) != 0; i++ {
		if byteOf(p, i) == b {
			return true
		}
	}
	return false
}

// named reports whether a variable of the environment has that name.
//
//go:nosplit
//go:norace
func named(variable *byte, name string) bool {
	return has(variable, name) && (byteOf(variable, len(name)) == '=' || byteOf(variable, len(name)) == 0)
}

// sameName reports whether two variables of the environment have one name.
//
//go:nosplit
//go:norace
func sameName(a, b *byte) bool {
	for i := 0; ; i++ {
		switch c := byteOf(a, i); {
		case c != byteOf(b, i) || c == 0:
			return false
		case c == '=':
			return true
		}
	}
}

// word is one of those that the kernel has put on the stack: argc, then addresses of
// texts.
//
//go:nosplit
//go:norace
func word(words *uintptr, at int) *byte {
	return *(**byte)(unsafe.Add(unsafe.Pointer(words), at*int(unsafe.Sizeof(*words))))
}
