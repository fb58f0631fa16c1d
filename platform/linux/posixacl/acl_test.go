package posixacl

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// rights are what a list gives everybody, as access_check in acl(5) says, without
// the owner.
func rights(l List, user uint32, groups ...uint32) uint16 {
	mask := l.masked()
	if at, there := l.find(User, user); there {
		return l[at].Perm & mask
	}
	found, perm := false, uint16(0)
	for _, e := range l {
		if e.Tag == Group && slices.Contains(groups, 0) || e.Tag == Groups && slices.Contains(groups, e.ID) {
			found, perm = true, perm|e.Perm&mask
		}
	}
	if found {
		return perm
	}
	at, _ := l.find(Other, NoID)
	return l[at].Perm
}

func TestDenyAndAllow(t *testing.T) {
	plain := OfMode(0o640)
	denied := plain.Deny(1000)
	if want := (List{{Owner, 6, NoID}, {User, 0, 1000}, {Group, 4, NoID}, {Mask, 4, NoID}, {Other, 0, NoID}}); !cmp.Equal(denied, want) {
		t.Errorf("%v", denied)
	}
	allowed := denied.Allow(1000, Read|Write)
	if want := (List{{Owner, 6, NoID}, {User, 6, 1000}, {Group, 4, NoID}, {Mask, 6, NoID}, {Other, 0, NoID}}); !cmp.Equal(allowed, want) {
		t.Errorf("%v", allowed)
	}
	if got := allowed.Undo(plain, 1000); !cmp.Equal(got, plain) {
		t.Errorf("%v", got)
	}
	if perm, there := allowed.Permission(1000); perm != 6 || !there {
		t.Errorf("%d %v", perm, there)
	}
}

// A mask that holds something back from others holds it back afterwards.
func TestAMaskIsNotWidenedForOthers(t *testing.T) {
	narrow := List{{Owner, 6, NoID}, {User, 7, 2000}, {Group, 6, NoID}, {Groups, 7, 50}, {Mask, 0, NoID}, {Other, 4, NoID}}
	got := narrow.Allow(1000, Read|Write)
	if want := (List{{Owner, 6, NoID}, {User, 6, 1000}, {User, 0, 2000}, {Group, 0, NoID}, {Groups, 0, 50}, {Mask, 6, NoID}, {Other, 4, NoID}}); !cmp.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

// drawn is any valid list.
func drawn(t *rapid.T, name string) List {
	perm := rapid.Uint16Range(0, 7)
	l := OfMode(rapid.Uint16Range(0, 0o777).Draw(t, name))
	for range rapid.IntRange(0, 4).Draw(t, name+" named") {
		tag := rapid.SampledFrom([]Tag{User, Groups}).Draw(t, name+" tag")
		l = l.set(Entry{tag, perm.Draw(t, name+" perm"), rapid.Uint32Range(1, 5).Draw(t, name+" id")})
	}
	if len(l) > 3 || rapid.Bool().Draw(t, name+" masked") {
		l = l.set(Entry{Mask, perm.Draw(t, name+" mask"), NoID})
	}
	return l
}

// Whatever is done to one user changes nothing for anybody else, and is undone
// exactly, also in a list that somebody has added to meanwhile.
func TestOthersKeepTheirRights(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, user := drawn(t, "list"), rapid.Uint32Range(1, 5).Draw(t, "user")
		perm := rapid.Uint16Range(0, 7).Draw(t, "perm")
		for name, after := range map[string]List{"deny": before.Deny(user), "allow": before.Allow(user, perm), "both": before.Deny(user).Allow(user, perm)} {
			if err := after.valid(); err != nil {
				t.Fatalf("%s: %v: %v", name, after, err)
			}
			want := perm
			if name == "deny" {
				want = 0
			}
			if got := rights(after, user, 0, 1, 2, 3, 4, 5); got != want {
				t.Fatalf("%s: %v gives %d, expected %d", name, after, got, want)
			}
			undone := after.Undo(before, user)
			if err := undone.valid(); err != nil {
				t.Fatalf("undo %s: %v: %v", name, undone, err)
			}
			for other := range uint32(8) {
				for groups := range uint32(1 << 6) {
					var in []uint32
					for g := range uint32(6) {
						if groups&(1<<g) != 0 {
							in = append(in, g)
						}
					}
					if other != user && rights(after, other, in...) != rights(before, other, in...) {
						t.Fatalf("%s: user %d in %v: %v, before %v", name, other, in, after, before)
					}
					if rights(undone, other, in...)&^rights(before, other, in...) != 0 {
						t.Fatalf("undo %s: user %d in %v gets more: %v, before %v", name, other, in, undone, before)
					}
				}
			}
		}
		if undone := before.Deny(user).Undo(before, user); !cmp.Equal(rights(undone, user, 1), rights(before, user, 1)) {
			t.Fatalf("%v, before %v", undone, before)
		}
	})
}

func TestDecode(t *testing.T) {
	good := OfMode(0o640).Deny(1000)
	got, err := Decode(good.Encode())
	if err != nil || !cmp.Equal(got, good) {
		t.Fatalf("%v %v", got, err)
	}
	for name, bad := range map[string][]byte{
		"nothing": nil, "a version": {2, 0, 0, 0}, "another version": append([]byte{3}, good.Encode()[1:]...), "cut short": good.Encode()[:17],
		"no mask":        List{{Owner, 6, NoID}, {User, 0, 1}, {Group, 4, NoID}, {Other, 0, NoID}}.Encode(),
		"no owner":       good[1:].Encode(),
		"twice":          List{{Owner, 6, NoID}, {User, 0, 1}, {User, 7, 1}, {Group, 4, NoID}, {Mask, 4, NoID}, {Other, 0, NoID}}.Encode(),
		"out of order":   List{{Group, 6, NoID}, {Owner, 0, NoID}, {Other, 0, NoID}}.Encode(),
		"too much":       List{{Owner, 8, NoID}, {Group, 4, NoID}, {Other, 0, NoID}}.Encode(),
		"another tag":    List{{Owner, 6, NoID}, {3, 0, NoID}, {Group, 4, NoID}, {Other, 0, NoID}}.Encode(),
		"nobody":         List{{Owner, 6, NoID}, {User, 0, NoID}, {Group, 4, NoID}, {Mask, 4, NoID}, {Other, 0, NoID}}.Encode(),
		"an owner of id": List{{Owner, 6, 3}, {Group, 4, NoID}, {Other, 0, NoID}}.Encode(),
		"a million":      bytes.Repeat([]byte{2, 0, 0, 0}, 1<<18+1),
	} {
		if l, err := Decode(bad); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v %v", name, l, err)
		}
	}
}

// Whatever is read is written as it was, and every change to it is valid.
func FuzzDecode(f *testing.F) {
	f.Add(OfMode(0o644).Encode(), uint32(1000))
	f.Add(OfMode(0o640).Deny(1000).Allow(1001, 6).Encode(), uint32(1000))
	f.Add([]byte{2, 0, 0, 0, 1, 0, 6, 0}, uint32(0))
	f.Fuzz(func(t *testing.T, data []byte, user uint32) {
		l, err := Decode(data)
		if err != nil {
			return
		}
		if !bytes.Equal(l.Encode(), data) {
			t.Errorf("%x is written as %x", data, l.Encode())
		}
		if user == NoID {
			return
		}
		for _, changed := range []List{l.Deny(user), l.Allow(user, 6), l.Allow(user, 6).Undo(l, user)} {
			if err := changed.valid(); err != nil {
				t.Errorf("%v of %v: %v", changed, l, err)
			}
		}
	})
}
