package wire

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// An argument is bytes, and JSON has text. So one that is not UTF-8 travels
// twice (decision 24a): escaped where people and tools look, and as bytes, which
// are what is decided on and what runs.

// Shown returns argv as text: arguments that are UTF-8 as they are, the others
// with "\xE9" for each byte that is none or cannot be printed, and "\\" for "\".
// It is argv itself if all are text.
func Shown(argv []string) []string {
	var shown []string
	for i, arg := range argv {
		if utf8.ValidString(arg) {
			continue
		}
		if shown == nil {
			shown = slices.Clone(argv)
		}
		shown[i] = escaped(arg)
	}
	if shown == nil {
		return argv
	}
	return shown
}

// Escaped is arg as one line that can be shown: as it is where that is possible, else
// as Shown shows it.
func Escaped(arg string) string {
	if utf8.ValidString(arg) && !strings.ContainsFunc(arg, unsafeRune) {
		return arg
	}
	return escaped(arg)
}

func escaped(arg string) string {
	var b strings.Builder
	for len(arg) > 0 {
		r, size := utf8.DecodeRuneInString(arg)
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case r == utf8.RuneError && size == 1, unsafeRune(r):
			for _, c := range []byte(arg[:size]) {
				b.WriteString(`\x` + strings.ToUpper(strconv.FormatUint(uint64(c)|0x100, 16)[1:]))
			}
		default:
			b.WriteString(arg[:size])
		}
		arg = arg[size:]
	}
	return b.String()
}

// Bytes returns the arguments that are not UTF-8, by their place; nil if all are.
func Bytes(argv []string) map[int][]byte {
	var bytes map[int][]byte
	for i, arg := range argv {
		if utf8.ValidString(arg) {
			continue
		}
		if bytes == nil {
			bytes = map[int][]byte{}
		}
		bytes[i] = []byte(arg)
	}
	return bytes
}

// Argv returns what Shown and Bytes were made of. It is false if bytes are about
// an argument that is not there, or has a NUL.
func Argv(shown []string, bytes map[int][]byte) ([]string, bool) {
	if len(bytes) == 0 {
		return shown, true
	}
	argv := slices.Clone(shown)
	for i, b := range bytes {
		if i < 0 || i >= len(argv) || slices.Contains(b, 0) {
			return nil, false
		}
		argv[i] = string(b)
	}
	return argv, true
}
