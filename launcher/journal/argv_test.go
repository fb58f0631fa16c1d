package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
)

// Long arguments are kept as a beginning and a digest, whatever they are made of.
func TestLongArguments(t *testing.T) {
	many := strings.Split(strings.Repeat("ab,", 20_000), ",")
	for name, c := range map[string]struct {
		argv  []string
		bytes map[int][]byte
		kept  int // arguments
	}{
		"short":              {[]string{"id", "-u"}, nil, 2},
		"control characters": {[]string{"id", strings.Repeat("\x01", 100_000)}, nil, 2},
		"many":               {many, nil, MaxArgv / 5},
		"not UTF-8":          {[]string{"id", strings.Repeat(`\xFF`, 10_000), "x"}, map[int][]byte{1: []byte(strings.Repeat("\xff", 10_000))}, 2},
		"wide":               {[]string{strings.Repeat("\U0001f512", 20_000)}, nil, 1},
		"escaped twice":      {[]string{strings.Repeat("<\u2028\"", 20_000)}, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t.TempDir())
			j, _ := opened(t, cfg)
			put(t, j, Record{Type: Opened, Request: "A", Argv: c.argv, ArgvBytes: c.bytes})
			r := lines(t, cfg)[2]
			data, err := json.Marshal(r.Argv)
			if err != nil || len(data) > MaxArgv || len(r.Argv) != c.kept {
				t.Errorf("%d bytes, %d arguments are kept, expected %d (%v)", len(data), len(r.Argv), c.kept, err)
			}
			for i, arg := range r.Argv {
				if !strings.HasPrefix(c.argv[i], arg) || i < len(r.Argv)-1 && arg != c.argv[i] {
					t.Errorf("argument %d is %q", i, arg)
				}
			}
			whole := name == "short"
			if (r.ArgvWhole == nil) != whole {
				t.Fatalf("%+v", r.ArgvWhole)
			}
			if whole {
				return
			}
			h, n := sha256.New(), 0
			for i, arg := range c.argv {
				if b, ok := c.bytes[i]; ok {
					arg = string(b)
				}
				h.Write([]byte{0, byte(len(arg) >> 16), byte(len(arg) >> 8), byte(len(arg))})
				h.Write([]byte(arg))
				n += len(arg)
			}
			if w := r.ArgvWhole; w.Arguments != len(c.argv) || w.Bytes != n || w.SHA256 != hex.EncodeToString(h.Sum(nil)) {
				t.Errorf("%+v", w)
			}
		})
	}
}
