package dacl

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func sid(t testing.TB, text string) SID {
	t.Helper()
	s, err := ParseSID(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Well-known names and their bytes ([MS-DTYP], section 2.4.2.4).
func TestSID(t *testing.T) {
	for text, want := range map[string]string{
		"S-1-1-0":      "010100000000000100000000",
		"S-1-5-18":     "010100000000000512000000",
		"S-1-5-32-544": "01020000000000052000000020020000",
		"S-1-5-21-397955417-626881126-188441444-512": "0105000000000005150000005951b81766725d2564633b0b00020000",
	} {
		got, err := ParseSID(text)
		if err != nil || hex.EncodeToString(got) != want {
			t.Errorf("%s is %x, %v; expected %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "S-1", "S-2-5-18", "1000", "S-1-5-x", "S-1-5-4294967296", "S-1-281474976710656-1", "S-1-5" + strings.Repeat("-1", 16), "S-1-5--1"} {
		if got, err := ParseSID(text); err == nil {
			t.Errorf("%q is %x", text, got)
		}
	}
}

func TestSIDsOfLogons(t *testing.T) {
	for text, want := range map[string]bool{
		"S-1-5-5-0-1000": true, "S-1-5-5-0": false, "S-1-5-5-0-1-2": false, "S-1-5-21-0-1000": false, "S-1-16-5-0-1000": false, "S-1-5-18": false, "S-1-1-0": false,
	} {
		if got := sid(t, text).Logon(); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

const (
	alice = "S-1-5-21-1-2-3-1001"
	bob   = "S-1-5-21-1-2-3-1002"
	users = "S-1-5-32-545"
)

// named is a list in the words of the tests: who, what, and where it comes from.
func named(t testing.TB, names ...string) List {
	t.Helper()
	l := List{revision: 2}
	for _, name := range names {
		words := strings.Fields(name)
		kind := byte(allowed)
		mask := uint32(given)
		if words[1] == "out" {
			kind, mask = denied, kept
		}
		if words[1] == "reads" {
			mask = readData
		}
		e := entry(kind, mask, sid(t, words[0]))
		if len(words) > 2 {
			e[1] |= inherited
		}
		l.Entries = append(l.Entries, e)
	}
	return l
}

func words(l List) (names []string) {
	who := map[string]string{}
	for _, text := range []string{alice, bob, users} {
		s, _ := ParseSID(text)
		who[string(s)] = text
	}
	for _, e := range l.Entries {
		name := who[string(e.SID())]
		switch {
		case e[0] == denied && e.Mask() == kept:
			name += " out"
		case e[0] == allowed && e.Mask() == given:
			name += " in"
		case e[0] == allowed && e.Mask() == readData:
			name += " reads"
		default:
			name += " ?"
		}
		if e.Inherited() {
			name += " inherited"
		}
		names = append(names, name)
	}
	return names
}

func TestChanges(t *testing.T) {
	for name, c := range map[string]struct {
		before []string
		do     func(List) List
		want   []string
	}{
		"denied, before all others": {
			[]string{bob + " out", alice + " in", users + " in", users + " in inherited"}, func(l List) List { return l.Deny(sid(t, alice)) },
			[]string{alice + " out", bob + " out", alice + " in", users + " in", users + " in inherited"},
		},
		"denied in a list that has nobody": {nil, func(l List) List { return l.Deny(sid(t, alice)) }, []string{alice + " out"}},
		"given, behind those who are kept out": {
			[]string{bob + " out", users + " reads", users + " in inherited"}, func(l List) List { return l.Allow(sid(t, alice)) },
			[]string{bob + " out", alice + " in", users + " reads", users + " in inherited"},
		},
		"given to who was kept out": {
			[]string{alice + " out", users + " reads"}, func(l List) List { return l.Allow(sid(t, alice)) }, []string{alice + " in", users + " reads"},
		},
		"given, before what a folder denies": {
			[]string{alice + " out inherited"}, func(l List) List { return l.Allow(sid(t, alice)) }, []string{alice + " in", alice + " out inherited"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := named(t, c.before...)
			whole, err := before.Encode()
			if err != nil {
				t.Fatal(err)
			}
			after := c.do(before)
			if got := words(after); !slices.Equal(got, c.want) {
				t.Errorf("%q, expected %q", got, c.want)
			}
			if same, _ := before.Encode(); !bytes.Equal(same, whole) {
				t.Error("it has changed the list that it was given")
			}
			if got := words(after.Undo(before, sid(t, alice))); !slices.Equal(got, c.before) {
				t.Errorf("given back it is %q, expected %q", got, c.before)
			}
		})
	}
}

// What somebody else has changed meanwhile stays.
func TestUndoLeavesWhatOthersDid(t *testing.T) {
	before := named(t, alice+" reads", users+" in inherited")
	now := before.Deny(sid(t, alice)).Deny(sid(t, bob))
	now.Entries = append(slices.Clip(now.Entries), entry(allowed, given, sid(t, bob)))
	now.Protected = true
	got := now.Undo(before, sid(t, alice))
	if want := []string{bob + " out", alice + " reads", users + " in inherited", bob + " in"}; !slices.Equal(words(got), want) || !got.Protected {
		t.Errorf("%q, expected %q", words(got), want)
	}
}

// Whatever is denied and given to whomever, in canonical lists the result is canonical,
// and to undo it gives the first bytes back.
func TestUndoIsExact(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	people := []string{alice, bob, users, "S-1-5-18"}
	for range 2000 {
		var explicit [3][]string // denials, what is given, what is inherited
		for range r.IntN(6) {
			kind := r.IntN(3)
			explicit[kind] = append(explicit[kind], people[r.IntN(len(people))]+[]string{" out", " in", " in inherited"}[kind])
		}
		before := named(t, slices.Concat(explicit[0], explicit[1], explicit[2])...)
		before.Protected, before.AutoInherited = r.IntN(2) == 0, r.IntN(2) == 0
		order := r.Perm(2)
		after := before
		for _, i := range order {
			if r.IntN(2) == 0 {
				after = after.Deny(sid(t, people[i]))
			} else {
				after = after.Allow(sid(t, people[i]))
			}
		}
		if !canonical(after) {
			t.Fatalf("%q became %q", words(before), words(after))
		}
		for _, i := range order {
			after = after.Undo(before, sid(t, people[i]))
		}
		// Entries of one kind for different people may have changed places, which says
		// nothing: the same ones are there, and in the same order for each of them.
		for _, who := range people {
			of := func(l List) (list []string) {
				for i, name := range words(l) {
					if bytes.Equal(l.Entries[i].SID(), sid(t, who)) {
						list = append(list, name)
					}
				}
				return list
			}
			if !slices.Equal(of(after), of(before)) {
				t.Fatalf("%q became %q", words(before), words(after))
			}
		}
		if !canonical(after) || after.Protected != before.Protected || after.AutoInherited != before.AutoInherited {
			t.Fatalf("%q became %q", words(before), words(after))
		}
	}
}

// canonical reports whether what is denied comes first, and what is inherited last.
func canonical(l List) bool {
	rank := func(e Entry) int {
		switch {
		case e.Inherited():
			return 2
		case e.denies():
			return 0
		}
		return 1
	}
	return slices.IsSortedFunc(l.Entries, func(a, b Entry) int { return rank(a) - rank(b) })
}

// Lists that cannot be read say what they are, and are changed by nobody.
func TestDecodeRefuses(t *testing.T) {
	good, err := named(t, alice+" out", users+" in").Encode()
	if err != nil {
		t.Fatal(err)
	}
	with := func(at int, b byte) []byte {
		data := bytes.Clone(good)
		data[at] = b
		return data
	}
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"nothing":                     {nil, ErrMalformed},
		"another revision":            {with(0, 2), ErrMalformed},
		"pointers in place of places": {with(3, 0), ErrMalformed},
		"no list":                     {with(2, 0), ErrNone},
		"a list that is null":         {with(16, 0), ErrNone},
		"a list behind the end":       {with(17, 0xff), ErrMalformed},
		"a list of another kind":      {with(20, 3), ErrMalformed},
		"a list that is too long":     {with(23, 0xff), ErrMalformed},
		"more entries than there are": {with(24, 3), ErrMalformed},
		"an entry that is too long":   {with(31, 0xff), ErrMalformed},
		"an entry for nobody":         {with(37, 200), ErrMalformed},
		"cut off":                     {good[:len(good)-1], ErrMalformed},
	} {
		if l, err := Decode(c.data); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %v; expected %v", name, l, err, c.want)
		}
	}
	full := named(t)
	for range 3000 {
		full = full.Deny(sid(t, alice))
	}
	if _, err := full.Encode(); !errors.Is(err, ErrFull) {
		t.Errorf("3,000 entries: %v", err)
	}
}

// The second bit that the kernel asks for is told to it, and is in no list that is kept.
func TestToSet(t *testing.T) {
	l := named(t, users+" in")
	l.AutoInherited = true
	told, err := l.ToSet()
	if err != nil || told[2]|told[3] == 0 || uint16(told[2])|uint16(told[3])<<8 != selfRelative|present|autoInherited|inheritReq {
		t.Errorf("% x, %v", told, err)
	}
	again, err := Decode(told)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := again.Encode()
	b, _ := l.Encode()
	if !bytes.Equal(a, b) {
		t.Errorf("% x, expected % x", a, b)
	}
}

func FuzzDecode(f *testing.F) {
	for _, l := range []List{named(f), named(f, alice+" out", users+" in inherited")} {
		data, err := l.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	who, err := ParseSID(alice)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Decode(data)
		if err != nil {
			return
		}
		once, err := l.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Decode(once)
		if err != nil {
			t.Fatalf("% x became % x: %v", data, once, err)
		}
		if twice, _ := again.Encode(); !bytes.Equal(once, twice) {
			t.Fatalf("% x became % x", once, twice)
		}
		// Whoever was not named has what they had.
		others := func(l List) (list []string) {
			for _, e := range l.Entries {
				if !e.own(who) {
					list = append(list, string(e))
				}
			}
			return list
		}
		for _, changed := range []List{l.Deny(who), l.Allow(who), l.Deny(who).Undo(l, who)} {
			if !slices.Equal(others(l), others(changed)) {
				t.Fatalf("% x: others' entries have changed", data)
			}
		}
	})
}

// One entry is given and taken, and others for the same one stay.
func TestGiveAndTake(t *testing.T) {
	before := named(t, bob+" out", alice+" in", users+" reads inherited")
	after := before.Give(sid(t, alice), readData)
	if want := []string{bob + " out", alice + " reads", alice + " in", users + " reads inherited"}; !slices.Equal(words(after), want) {
		t.Errorf("%q, expected %q", words(after), want)
	}
	for range 2 { // the second time there is nothing to take
		after = after.Take(sid(t, alice), readData)
		if !slices.Equal(words(after), words(before)) {
			t.Errorf("%q, expected %q", words(after), words(before))
		}
	}
}
