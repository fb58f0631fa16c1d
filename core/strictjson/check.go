package strictjson

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"

	"kpm/core/fault"
)

// Check looks through the whole of v: objects and lists nest at most depth
// levels, v itself being the first, and no object names a key twice in any
// letter case. The error is an *Error.
func (v Value) Check(depth int) error {
	problem, at := check(v.Raw(), depth)
	if at < 0 {
		return nil
	}
	at += v.start
	e := &Error{Problem: problem}
	around, path := v.find(at)
	switch problem {
	case TooDeep:
		e.Found, e.Expected = "nested too deeply", fmt.Sprintf("at most %d levels", depth)
		e.Path = path
	default:
		key := Value{v.text, at, around.skipValue(at)}
		e.Found, e.Expected = "given twice", "each name once, whatever its letter case"
		e.Path = fault.Key(path, key.Text())
	}
	e.Line, e.Column = v.text.place(at)
	return e
}

// Ambiguous reports whether some object in data, which must be valid JSON, names
// a key twice in any letter case. It is Check for those who hold no Value.
func Ambiguous(data []byte) bool {
	_, at := check(data, len(data))
	return at >= 0
}

// object is an object, or a list, that check is inside of.
type object struct {
	list bool
	// first is the place of its keys among all keys of open objects; many holds
	// them when comparing each with each would take too long.
	first int
	many  map[string]struct{}
}

// fewKeys is how many keys of one object are compared each with each.
const fewKeys = 16

// check returns the first problem in valid JSON and its offset, or -1.
func check(data []byte, depth int) (Problem, int) {
	open := make([]object, 0, 8)
	keys := make([][]byte, 0, 32)
	atKey := false // the next string is a key
	for at := 0; at < len(data); at++ {
		switch data[at] {
		case '{', '[':
			if len(open) == depth {
				return TooDeep, at
			}
			atKey = data[at] == '{'
			open = append(open, object{list: !atKey, first: len(keys)})
		case '}', ']':
			keys = keys[:open[len(open)-1].first]
			open = open[:len(open)-1]
			atKey = false
		case ',':
			atKey = !open[len(open)-1].list
		case '"':
			end := skipString(data, at)
			if atKey {
				inside := &open[len(open)-1]
				key := keyOf(data[at:end])
				if inside.has(keys[inside.first:], key) {
					return Duplicate, at
				}
				keys = append(keys, key)
				atKey = false
			}
			at = end - 1
		}
	}
	return 0, -1
}

// has reports whether key is one of keys, which are those of the object so far,
// and remembers it if they have become many.
func (o *object) has(keys [][]byte, key []byte) bool {
	if len(keys) < fewKeys {
		for _, other := range keys {
			if bytes.EqualFold(other, key) {
				return true
			}
		}
		return false
	}
	if o.many == nil {
		o.many = make(map[string]struct{}, 4*fewKeys)
		for _, other := range keys {
			o.many[Fold(string(other))] = struct{}{}
		}
	}
	folded := Fold(string(key))
	_, again := o.many[folded]
	o.many[folded] = struct{}{}
	return again
}

// keyOf is the value of a string without copying it, if it needs no unescaping.
func keyOf(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	return []byte(Value{&text{data: quoted}, 0, len(quoted)}.Text())
}

// Fold maps strings to the same one exactly if strings.EqualFold holds, which is
// how encoding/json matches keys with fields: "s" and U+017F are one letter,
// "k" and U+212A another.
func Fold(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 {
			if 'a' <= r && r <= 'z' {
				r -= 'a' - 'A'
			}
			return r
		}
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, s)
}
