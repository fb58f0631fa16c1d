package journal

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"unicode/utf8"
)

// MaxArgv is how many bytes of a line the arguments of one command take at
// most. Attack: 128 KiB of control characters are six times as many in JSON,
// and a few of such requests push everybody's records out.
const MaxArgv = 16 << 10

// ArgvWhole describes arguments of which a record has the beginning only.
type ArgvWhole struct {
	Arguments int `json:"arguments"` // how many
	Bytes     int `json:"bytes"`     // of all of them together
	// SHA256 is, in hex, over each argument, as bytes and with secrets masked,
	// after its length in four bytes, the highest first.
	SHA256 string `json:"sha256"`
}

// shorten leaves of r's arguments what MaxArgv bytes hold, and a digest of all.
func shorten(r *Record) {
	left := MaxArgv - len(`[]`)
	for i, arg := range r.Argv {
		n := EncodedBytes(arg) + len(`"",`) + bytesOf(r.ArgvBytes, i)
		if n <= left {
			left -= n
			continue
		}
		whole := wholeArgv(r.Argv, r.ArgvBytes)
		kept := append([]string{}, r.Argv[:i]...)
		if part := prefix(arg, left-len(`"",`)); part != "" {
			kept = append(kept, part)
		}
		var bytes map[int][]byte
		for at, b := range r.ArgvBytes {
			if at < i {
				if bytes == nil {
					bytes = map[int][]byte{}
				}
				bytes[at] = b
			}
		}
		r.Argv, r.ArgvBytes, r.ArgvWhole = kept, bytes, &whole
		return
	}
}

// bytesOf is how many bytes of a line an argument's own bytes take.
func bytesOf(all map[int][]byte, i int) int {
	b, ok := all[i]
	if !ok {
		return 0
	}
	return base64.StdEncoding.EncodedLen(len(b)) + len(strconv.Itoa(i)) + len(`"":"",`)
}

// prefix is as much of s, in whole characters, as n bytes of a line hold.
func prefix(s string, n int) string {
	for at, c := range s {
		if n -= EncodedBytes(s[at : at+utf8.RuneLen(c)]); n < 0 {
			return s[:at]
		}
	}
	return s
}

func wholeArgv(argv []string, bytes map[int][]byte) ArgvWhole {
	w, h := ArgvWhole{Arguments: len(argv)}, sha256.New()
	for i, arg := range argv {
		data, ok := bytes[i]
		if !ok {
			data = []byte(arg)
		}
		w.Bytes += len(data)
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(data))))
		h.Write(data)
	}
	w.SHA256 = hex.EncodeToString(h.Sum(nil))
	return w
}

// EncodedBytes is at least the length of s as a line has it, without quotes.
func EncodedBytes(s string) int {
	n := len(s)
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ' || c == '<' || c == '>' || c == '&':
			n += len(`\u0000`) - 1
		case c == 0xe2: // U+2028 is escaped too, and begins with it
			n += len(`\u0000`) - len("\u2028")
		case c == '"' || c == '\\':
			n++
		}
	}
	return n
}
