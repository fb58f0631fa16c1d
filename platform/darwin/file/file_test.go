package file

import (
	"errors"
	"strings"
	"testing"

	"kpm/core"
)

var disk = Mount{On: "/", Kind: "apfs", Flags: mountLocal}

// A list as people have published them: github.com/libarchive/libarchive,
// test_write_disk_mac_metadata.c; github.com/byllyfish/exacl, its tests.
const (
	header       = "!#acl 1\n"
	denyDelete   = header + "group:ABCDEFAB-CDEF-ABCD-EFAB-CDEF0000000C:everyone:12:deny:delete\n"
	adminWrites  = header + "user:FFFFEEEE-DDDD-CCCC-BBBB-AAAA000000C9:::deny:read\ngroup:ABCDEFAB-CDEF-ABCD-EFAB-CDEF00000050:admin:80:allow:write\n"
	inheritsRead = header + "group:ABCDEFAB-CDEF-ABCD-EFAB-CDEF0000000C:everyone:12:allow,file_inherit,directory_inherit:read,readattr,readextattr,readsecurity\n"
)

func TestLists(t *testing.T) {
	const user = "user:FFFFEEEE-DDDD-CCCC-BBBB-AAAA000001F5:bob:501:"
	for list, want := range map[string]struct{ grants, reads bool }{
		"": {}, header: {}, denyDelete: {}, adminWrites: {true, true}, inheritsRead: {false, true},
		header + user + "allow:read":                    {false, true},
		header + user + "allow:read,append":             {true, true},
		header + user + "allow:writesecurity":           {true, true},
		header + user + "allow:chown":                   {true, true},
		header + user + "allow:delete_child":            {true, true},
		header + user + "allow:something_new":           {true, true},
		header + user + "allow,some_flag:read":          {true, true},
		header + user + "deny,some_flag:write":          {true, false},
		header + user + "deny,inherited:write":          {false, false},
		header + user + "perhaps:read":                  {true, true},
		header + user + "allow:":                        {true, true},
		header + "\n" + user + "deny:read":              {true, true}, // an empty entry
		"\n\n:allow:write\n":                            {true, true},
		header + user + "allow":                         {true, true},
		"!#acl 2\n" + user + "deny:read":                {true, true},
		header + ReaderList("501", true)[len(header):]:  {false, true},
		header + ReaderList("501", false)[len(header):]: {false, true},
	} {
		if got := Grants(list) != ""; got != want.grants {
			t.Errorf("%q grants: %v, want %v", list, got, want.grants)
		}
		if got := Reads(list) != ""; got != want.reads {
			t.Errorf("%q reads: %v, want %v", list, got, want.reads)
		}
	}
	if got := ReaderList("501", true); got != header+"user:::501:allow:read,execute,readattr,readextattr,readsecurity\n" {
		t.Errorf("%q", got)
	}
}

func FuzzGrants(f *testing.F) {
	f.Add(adminWrites)
	f.Fuzz(func(t *testing.T, list string) {
		if strings.Contains(list, ":allow:write\n") && (Grants(list) == "" || Reads(list) == "") {
			t.Errorf("%q grants nothing", list)
		}
	})
}

func TestMounts(t *testing.T) {
	all := Mounts{
		disk,
		{On: "/dev", Kind: "devfs", Flags: mountLocal},
		{On: "/Volumes/Data", Kind: "apfs", Flags: mountLocal | mountIgnoresOwner},
		{On: "/Volumes/share", Kind: "smbfs"},
		{On: "/Volumes/fuse", Kind: "macfuse", Flags: mountLocal},
		{On: "/Volumes/Data", Kind: "hfs", Flags: mountLocal},
	}
	for path, want := range map[string]string{
		"/": "apfs", "/usr/bin/true": "apfs", "/dev/ttys001": "devfs", "/device": "apfs", "/Volumes/share": "smbfs", "/Volumes/share/a": "smbfs",
		"/Volumes/shared": "apfs", "/Volumes/Data/a": "hfs",
	} {
		if got := all.Of(path); got.Kind != want {
			t.Errorf("%s lies on %+v, want %s", path, got, want)
		}
	}
	for path, want := range map[string]bool{"/a": true, "/dev/x": false, "/Volumes/share/a": false, "/Volumes/fuse/a": false} {
		if got := all.Of(path).Local(); got != want {
			t.Errorf("%s is local: %v, want %v", path, got, want)
		}
	}
	if (Mounts{}).Of("/a").Local() {
		t.Error("what lies on nothing is local")
	}
}

func TestChangeable(t *testing.T) {
	dir := func(mode uint16) Node { return Node{Mode: kindDir | mode} }
	file := func(mode uint16) Node { return Node{Mode: kindFile | mode} }
	staff := func(n Node) Node { n.GID = 20; return n }
	for _, c := range []struct {
		at   Place
		root string
		want string // in the error; "" for none
	}{
		{Place{Path: "/usr/bin/true", Node: file(0o755), Mount: disk}, "", ""},
		{Place{Path: "/usr/local/bin", Node: dir(0o775), Mount: disk}, "", ""}, // root:wheel
		{Place{Path: "/Users", Node: dir(0o755), Mount: disk, List: denyDelete}, "", ""},
		{Place{Path: "/x", Node: file(0o755), Mount: disk, List: inheritsRead}, "", ""},
		{Place{Path: "/x", Node: staff(dir(0o775)), Mount: disk}, "", "group 20 can write"},
		{Place{Path: "/x", Node: file(0o757), Mount: disk}, "", "everyone can write"},
		{Place{Path: "/x", Node: Node{Mode: kindFile | 0o755, UID: 501}, Mount: disk}, "", "run chown root:wheel on it"},
		{Place{Path: "/x", Node: file(0o755), Mount: disk, List: adminWrites}, "", "admin:80:allow:write"},
		{Place{Path: "/x", Node: Node{Mode: kindLink | 0o755}, Mount: disk}, "", "symbolic link"},
		{Place{Path: "/x", Node: file(0o755), Mount: Mount{Kind: "smbfs"}}, "", "smbfs"},
		{Place{Path: "/x", Node: file(0o755), Mount: Mount{Kind: "macfuse", Flags: mountLocal}}, "", "macfuse"},
		{Place{Path: "/x", Node: file(0o755), Mount: Mount{Kind: "apfs", Flags: mountLocal | mountNoSetuid}}, "", "owners do not count"},
		{Place{Path: "/x", Node: file(0o755), Mount: Mount{Kind: "apfs", Flags: mountLocal | mountIgnoresOwner}}, "", "owners do not count"},
		{Place{Path: "/private/tmp", Node: dir(0o1777), Mount: disk}, "/private/tmp/agent", ""},
		{Place{Path: "/private/tmp", Node: dir(0o1777), Mount: disk}, "", "everyone can write"},
		{Place{Path: "/private/tmp", Node: dir(0o1777), Mount: disk}, "/private/tmp", "everyone can write"},
		{Place{Path: "/private/tmp", Node: dir(0o1777), Mount: disk, List: adminWrites}, "/private/tmp/agent", "access control list"},
	} {
		err := Changeable(c.root)(c.at)
		if (err != nil) != (c.want != "") || err != nil && (!errors.Is(err, core.ErrNotProtected) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v below %q: %v, want %q", c.at, c.root, err, c.want)
		}
	}
}

func TestRootAloneAndPrivate(t *testing.T) {
	for _, c := range []struct {
		at             Place
		alone, private bool
	}{
		{Place{Node: Node{Mode: kindFile | 0o600}}, true, true},
		{Place{Node: Node{Mode: kindFile | 0o640}}, true, true}, // wheel
		{Place{Node: Node{Mode: kindFile | 0o640, GID: 20}}, true, false},
		{Place{Node: Node{Mode: kindFile | 0o644}}, true, false},
		{Place{Node: Node{Mode: kindFile | 0o660}}, false, false},
		{Place{Node: Node{Mode: kindFile | 0o600, UID: 501}}, false, false},
		{Place{Node: Node{Mode: kindFile | 0o600}, List: inheritsRead}, true, false},
		{Place{Node: Node{Mode: kindFile | 0o600}, List: adminWrites}, false, false},
		{Place{Node: Node{Mode: kindFile | 0o600}, List: denyDelete}, true, true},
		{Place{Node: Node{Mode: kindFile | 0o600}, Mount: Mount{Flags: mountIgnoresOwner}}, true, false},
		{Place{Node: Node{Mode: kindDir | 0o700}}, true, false},
	} {
		if err := RootAlone(c.at); (err == nil) != c.alone {
			t.Errorf("%+v: root alone: %v, want %v", c.at, err, c.alone)
		}
		if err := Private(c.at); (err == nil) != c.private {
			t.Errorf("%+v: private: %v, want %v", c.at, err, c.private)
		}
	}
}

func TestRootAbove(t *testing.T) {
	for _, c := range []struct{ root, path, want string }{
		{"/a/b", "/a/b", "/a/b"}, {"/a/b", "/a/b/c", "/a/b"}, {"/a/b", "/a/bc", ""}, {"/a/b", "/a", ""}, {"", "/a", ""}, {"/a/b", "/a/b/../c", ""},
	} {
		if got := RootAbove(c.root, c.path); got != c.want {
			t.Errorf("%q above %q: %q, want %q", c.root, c.path, got, c.want)
		}
	}
}
