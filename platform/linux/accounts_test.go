//go:build linux

package linux

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"kpm/core"
)

func accounts(t *testing.T, passwd, group string) Accounts {
	t.Helper()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "passwd"), []byte(passwd), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "group"), []byte(group), 0o644))
	return accountsIn(dir)
}

const passwdFile = `root:x:0:0:root:/root:/bin/bash
+@netgroup::::::
-dave::::::
+
# a comment:x:5:5::/:/bin/sh

alice:x:1000:1000:Alice,,,:/home/alice:/usr/bin/zsh
toor:x:0:0:the other root:/root:/bin/sh
alice:x:1001:1001:the second Alice:/home/second:/bin/sh
bare:x:1002:100::
bare2:x:1002:100:::
minus:x:-1:100::/:/bin/sh
max:x:4294967295:100::/:/bin/sh
gmax:x:1003:4294967295::/:/bin/sh
over:x:4294967296:100::/:/bin/sh
empty:x::100::/:/bin/sh
more:x:1004:100::/:/bin/sh:field
zeros:x:0001005:00100::/:/bin/sh
`

const groupFile = `root:x:0:
adm:x:4:alice,syslog
users:x:100:alice
alice:x:1000:alice
again:x:4:alice
max:x:4294967295:alice
broken:x:4:alice:x
+:::
prefix:x:7:alic,alicee
zeros:x:008:alice
`

func TestAccounts(t *testing.T) {
	a := accounts(t, passwdFile, groupFile)
	root := core.Account{User: "0", Name: "root", Group: "0", Groups: []string{"0"}, Home: "/root", Shell: "/bin/bash"}
	alice := core.Account{
		User: "1000", Name: "alice", Group: "1000", Groups: []string{"1000", "4", "100", "8"}, Home: "/home/alice", Shell: "/usr/bin/zsh",
	}
	bare := core.Account{User: "1002", Name: "bare2", Group: "100", Groups: []string{"100"}, Home: "/", Shell: "/bin/sh"}
	zeros := core.Account{User: "1005", Name: "zeros", Group: "100", Groups: []string{"100"}, Home: "/", Shell: "/bin/sh"}

	rootByID := root
	rootByID.OtherNames = []string{"toor"}
	for name, want := range map[string]core.Account{
		"root": root, "alice": alice, "bare2": bare, "zeros": zeros,
		"#0": rootByID, "#1000": alice, "#1002": bare, "#1005": zeros,
	} {
		if got, err := a.ByName(name); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("ByName(%q) = %+v, %v\nexpected %+v", name, got, err, want)
		}
	}
	for id, want := range map[core.UserID]core.Account{
		"0": rootByID, "1000": alice, "1002": bare,
	} {
		if got, err := a.ByID(id); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("ByID(%q) = %+v, %v\nexpected %+v", id, got, err, want)
		}
	}
}

// Numbers that are not users, or that something further down might read as
// root or as "leave unchanged" (CVE-2018-19788, CVE-2019-14287).
func TestAccountsThatAreNone(t *testing.T) {
	a := accounts(t, passwdFile, groupFile)
	numbers := []string{
		"", "-1", "4294967295", "4294967296", "18446744073709551615", "18446744073709551616", "+1000", " 1000", "1000 ", "0x0", "01000", "1_000", "1e3",
		"0\x00", "٠", "root", "#0",
		"4242", "4294967294", // nobody's
		"1001", // called like somebody else
	}
	for _, n := range numbers {
		if got, err := a.ByID(core.UserID(n)); !errors.Is(err, core.ErrNoAccount) {
			t.Errorf("ByID(%q) = %+v, %v; expected ErrNoAccount", n, got, err)
		}
		if got, err := a.ByName("#" + n); !errors.Is(err, core.ErrNoAccount) {
			t.Errorf("ByName(%q) = %+v, %v; expected ErrNoAccount", "#"+n, got, err)
		}
	}
	for _, name := range []string{"", "nobody", "1000", "0", "ROOT", "root ", "x", "max", "minus", "gmax", "over", "empty", "more", "bare", "+", "-dave"} {
		if got, err := a.ByName(name); !errors.Is(err, core.ErrNoAccount) {
			t.Errorf("ByName(%q) = %+v, %v; expected ErrNoAccount", name, got, err)
		}
	}
}

// Without the databases nobody is anybody: an account without its groups would
// slip past a policy that denies a group.
func TestAccountsFailClosed(t *testing.T) {
	a := accounts(t, passwdFile, groupFile)
	none := accountsIn(t.TempDir())
	for name, broken := range map[string]Accounts{
		"no passwd": {passwd: none.passwd, group: a.group}, "no group": {passwd: a.passwd, group: none.group},
	} {
		if got, err := broken.ByName("alice"); !errors.Is(err, fs.ErrNotExist) || got.Name != "" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if got, err := broken.ByID("1000"); !errors.Is(err, fs.ErrNotExist) || got.Name != "" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	long := accounts(t, passwdFile, "big:x:4:"+strings.Repeat("x,", 1<<20)+"alice\n")
	if got, err := long.ByName("alice"); err == nil || got.Name != "" {
		t.Errorf("a line that is too long to read: %+v, %v", got, err)
	}
}

func TestAccountsOfThisMachine(t *testing.T) {
	for _, name := range []string{"root", "#0"} {
		got, err := LocalAccounts().ByName(name)
		if err != nil || got.User != "0" || got.Group != "0" || got.Home != "/root" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func FuzzParsePasswd(f *testing.F) {
	for _, line := range strings.Split(passwdFile, "\n") {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		a, ok := parsePasswd(line)
		if !ok {
			return
		}
		for _, id := range []string{string(a.User), a.Group} {
			if n, err := strconv.ParseUint(id, 10, 32); err != nil || n == 1<<32-1 || strconv.FormatUint(n, 10) != id {
				t.Errorf("%q gives id %q", line, id)
			}
		}
		if a.Name == "" || a.Home == "" || a.Shell == "" {
			t.Errorf("%q gives %+v", line, a)
		}
	})
}

func BenchmarkAccountsByID(b *testing.B) {
	a := LocalAccounts()
	for b.Loop() {
		if _, err := a.ByID("0"); err != nil {
			b.Fatal(err)
		}
	}
}
