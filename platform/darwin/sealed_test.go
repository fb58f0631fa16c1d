package darwin

import (
	"errors"
	"strings"
	"testing"
	"time"

	"kpm/platform/darwin/file"
	"kpm/platform/darwin/image"
)

func TestWhatRunsIsWhatWasSealed(t *testing.T) {
	changed := time.Unix(1_700_000_000, 5)
	node := file.Node{Dev: 1, Inode: 2, Size: 3, Change: changed}
	other, written := node, node
	other.Inode = 9
	written.Change = changed.Add(1)
	a, b := image.Hash{1}, image.Hash{2}
	signed := sealed{path: "/p", node: node, hashes: []image.Hash{b, a}}
	unsigned := sealed{path: "/p", node: node}
	script := sealed{path: "/p.sh", node: node, script: true}
	for name, c := range map[string]struct {
		sealed  sealed
		running running
		same    bool
	}{
		"the same":                          {signed, running{node: node, hash: a}, true},
		"another part of a universal file":  {signed, running{node: node, hash: b}, true},
		"another program":                   {signed, running{node: other, hash: image.Hash{3}}, false},
		"another program in its place":      {signed, running{node: node, hash: image.Hash{3}}, false},
		"the same code in another file":     {signed, running{node: other, hash: a}, false},
		"without a signature by now":        {signed, running{node: node, none: true}, false},
		"unsigned":                          {unsigned, running{node: node, none: true}, true},
		"unsigned, another file":            {unsigned, running{node: other, none: true}, false},
		"unsigned, written to":              {unsigned, running{node: written, none: true}, false},
		"unsigned, and signed by now":       {unsigned, running{node: node, hash: a}, false},
		"a script":                          {script, running{node: node, hash: image.Hash{7}}, true},
		"a script whose path was exchanged": {script, running{node: other, hash: image.Hash{7}}, false},
		"a script that was written to":      {script, running{node: written, hash: image.Hash{7}}, false},
	} {
		if err := c.sealed.compare(c.running); (err == nil) != c.same || err != nil && !errors.Is(err, ErrChanged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s, err := seal("/p", node, false, strings.NewReader("\xcf\xfa\xed\xfe"+strings.Repeat("\xff", 60))); err == nil {
		t.Errorf("a damaged program is %+v", s)
	}
	if s, err := seal("/p", node, false, strings.NewReader("no program")); err != nil || len(s.hashes) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}
