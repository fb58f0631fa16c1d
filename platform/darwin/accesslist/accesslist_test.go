package accesslist

import (
	"errors"
	"strings"
	"testing"

	"kpm/core"
)

// Texts as acl_to_text(3) writes them: apple-oss-distributions/Libc,
// posix1e/acl_translate.c. UUIDs of accounts without one are made of the id
// (Libinfo, membership.subproj).
const (
	alice = "FFFFEEEE-DDDD-CCCC-BBBB-AAAA000001F5"
	bob   = "FFFFEEEE-DDDD-CCCC-BBBB-AAAA000001F6"
	staff = "ABCDEFAB-CDEF-ABCD-EFAB-CDEF00000014"

	foreign = "!#acl 1\n" +
		"group:" + staff + ":staff:20:allow,inherited:read,readattr\n" +
		"user:" + alice + ":alice:501:allow:write,read,append\n"
	canonical = "!#acl 1\n" +
		"group:" + staff + ":::allow,inherited:read,readattr\n" +
		"user:" + alice + ":::allow:append,read,write\n"
)

func TestCanonical(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "!#acl 1\n": "", foreign: canonical, canonical: canonical, strings.ToLower(alice): "error",
		"!#acl 2\n":                                      "error",
		"!#acl 1\nuser:::501:allow:read\n":               "error", // whose it is would be looked up anew
		"!#acl 1\nuser:" + alice + ":a:501:audit:read\n": "error",
		"!#acl 1\nuser:" + alice + ":a:501:allow\n":      "error",
		"!#acl 1\n\n":                                    "error",
		"!#acl 1\n" + strings.Repeat("user:"+alice+":::allow:read\n", 129):   "error",
		"!#acl 1\nuser:" + strings.ToLower(bob) + ":bob:502:deny:write,read": "!#acl 1\nuser:" + bob + ":::deny:read,write\n",
	} {
		got, err := Canonical(text)
		if errors.Is(err, ErrMalformed) {
			got = "error"
		}
		if got != want {
			t.Errorf("%q\ngot  %q, %v\nwant %q", text, got, err, want)
		}
	}
}

// Ours comes first and says all; everybody else has what they had; and the file is
// given back exactly, also when somebody has changed it meanwhile.
func TestEntries(t *testing.T) {
	for _, before := range []string{"", canonical} {
		kept := With(With(before, bob, core.Denied), alice, core.ReadWrite)
		if again, err := Canonical(kept); err != nil || again != kept {
			t.Errorf("it reads otherwise than it was written: %q, %v", again, err)
		}
		lines := strings.Split(kept, "\n")
		if lines[1] != "user:"+alice+":::allow:"+allowed || lines[2] != "user:"+bob+":::deny:"+denied {
			t.Errorf("ours do not come first: %q", kept)
		}
		if strings.Count(kept, alice) != 1 || strings.Contains(kept, staff) != (before != "") {
			t.Errorf("others' entries: %q", kept)
		}
		if got := Without(Without(kept, before, alice), before, bob); got != before {
			t.Errorf("given back: %q, expected %q", got, before)
		}
		other := "user:FFFFEEEE-DDDD-CCCC-BBBB-AAAA000001F7:::allow:read\n"
		if got := Without(Without(kept+other, before, alice), before, bob); strings.Count(got, other) != 1 || strings.Contains(got, bob) {
			t.Errorf("what somebody else has added is gone, or ours is there: %q", got)
		}
	}
	handed := "!#acl 1\nuser:" + bob + ":::allow,inherited:read\n"
	if got := With(handed, bob, core.Denied); !strings.HasSuffix(got, handed[len("!#acl 1\n"):]) || Without(got, handed, bob) != handed {
		t.Errorf("what a folder has handed down: %q", got)
	}
}

// A list is whoever's who may change the file.
func FuzzCanonical(f *testing.F) {
	f.Add(foreign)
	f.Add("!#acl 1\nuser:" + alice + ":::deny,inherited,file_inherit:read\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := Canonical(text)
		if err != nil {
			return
		}
		if again, err := Canonical(list); err != nil || again != list {
			t.Errorf("%q: %q, then %q, %v", text, list, again, err)
		}
		if got := Without(With(list, bob, core.Denied), list, bob); strings.Count(got, "\n") != strings.Count(list, "\n") {
			t.Errorf("%q is not given back: %q", list, got)
		}
	})
}
