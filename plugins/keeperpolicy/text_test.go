package keeperpolicy

import (
	"bytes"
	"strings"
	"testing"

	"kpm/core"
)

func TestTextIsWhatItWasMadeOf(t *testing.T) {
	var p packer
	long := strings.Repeat(policyJSON("a", "ALLOW", "/usr/bin/id")+",\n", 100)
	for _, tc := range []struct {
		name, data string
		packed     bool
	}{
		{"empty", "", false},
		{"short", long[:worthPacking-1], false},
		{"long", long, true},
		{"another after it", strings.ReplaceAll(long, "ALLOW", "DENY"), true},
	} {
		text := p.pack([]byte(tc.data))
		got, err := text.unpack()
		if err != nil || string(got) != tc.data {
			t.Errorf("%s: %v, %d bytes of %d", tc.name, err, len(got), len(tc.data))
		}
		if (text.from != nil) != tc.packed || tc.packed && len(text.data) > len(tc.data)/2 {
			t.Errorf("%s: packed %t into %d bytes of %d", tc.name, text.from != nil, len(text.data), len(tc.data))
		}
		if !text.is([]byte(tc.data)) || text.is([]byte(tc.data+" ")) || tc.data != "" && text.is(bytes.ToLower([]byte(tc.data))) {
			t.Errorf("%s: it is taken for another text", tc.name)
		}
	}
}

// What is no longer what it was is no policy.
func TestASpoiltTextIsNoticed(t *testing.T) {
	long := []byte(strings.Repeat(policyJSON("a", "ALLOW", "/usr/bin/id")+",\n", 100))
	for name, spoil := range map[string]func(*text){
		"cut off": func(t *text) { t.data = t.data[:len(t.data)/2] },
		"of another": func(t *text) {
			t.data = new(packer).pack(bytes.Replace(long, []byte("ALLOW"), []byte("ADMIT"), 1)).data
		},
		"not packed":  func(t *text) { t.data = long },
		"of no bytes": func(t *text) { t.data = nil },
	} {
		text := new(packer).pack(long)
		spoil(&text)
		if got, err := text.unpack(); err == nil {
			t.Errorf("%s: %d bytes", name, len(got))
		}
	}
}

// The last good version of a file that is held packed is what was read, and what it denies
// stays denied. If it cannot be had, all of the set in force stays.
func TestTheLastGoodVersionOfALongFile(t *testing.T) {
	long := "[" + strings.Repeat(policyJSON("x", "ALLOW", "/usr/bin/x")+",", 50) + policyJSON("no", "DENY", "/usr/bin/id") + "]"
	root := agentRoot(t, map[string]string{"long.json": long, "a.json": policyJSON("a", "ALLOW", "/usr/bin/*")})
	e, log := logged(Config{Root: root, Open: openAny})
	if !e.load(true) {
		t.Fatal(log)
	}
	outcomes := func(when string, id, env core.Outcome) {
		t.Helper()
		for program, want := range map[string]core.Outcome{"/usr/bin/id": id, "/usr/bin/env": env} {
			if _, got := e.answer(ask(t, program)); got.Decision != want {
				t.Errorf("%s: %s of %s, want %s", when, got.Decision, program, want)
			}
		}
	}
	outcomes("at first", core.Deny, core.Allow)
	write(t, root, "long.json", long[:len(long)-1])
	e.load(true)
	outcomes("cut off", core.Deny, core.Allow)
	write(t, root, "a.json", policyJSON("a", "JUSTIFY", "/usr/bin/*"))
	e.load(true)
	outcomes("cut off, and another has changed", core.Deny, core.Pending)
	for _, text := range e.force.Load().files {
		if text.from != nil {
			text.from.size++ // it can no longer be had
		}
	}
	write(t, root, "a.json", policyJSON("a", "ALLOW", "/usr/bin/*"))
	e.load(true)
	outcomes("cut off, and not to be had", core.Deny, core.Pending)
}

// What policies refer to is known before they are, wherever it lies.
func TestCollectionsAreReadFirst(t *testing.T) {
	for _, folder := range []string{"", "synced/"} {
		root := agentRoot(t, map[string]string{
			"0.json":                    policyJSON("0", "ALLOW", "tools"),
			"synced/0.json":             policyJSON("1", "DENY", "others"),
			folder + "collections.json": `{"tools": {"Type": "application", "Values": ["/usr/bin/id"]}, "others": {"Type": "application", "Values": ["/usr/bin/env"]}}`,
		})
		e, log := logged(Config{Root: root, Open: openAny})
		if !e.load(true) {
			t.Fatal(log)
		}
		for program, by := range map[string]string{"/usr/bin/id": "0", "/usr/bin/env": "1"} {
			if _, got := e.answer(ask(t, program)); len(got.Policies) != 1 || got.Policies[0].ID != by {
				t.Errorf("collections in %q: %s is decided by %v, want %s", folder, program, got.Policies, by)
			}
		}
	}
}
