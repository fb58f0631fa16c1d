//go:build linux

package linux

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/platform/linux/file"
)

func TestPrivate(t *testing.T) {
	dir := public(t)
	for _, tc := range []struct {
		what     string
		mode     os.FileMode
		uid, gid int
		list     bool   // an access control list that lets user 4242 read
		fault    string // "" is private
	}{
		{"root's", 0o600, 0, 0, false, ""},
		{"root's, not even writable", 0o400, 0, 0, false, ""},
		{"root's group reads", 0o640, 0, 0, false, ""},
		{"another group reads", 0o640, 0, 4242, false, "chmod 600"},
		{"another group writes", 0o620, 0, 4242, false, "chmod 600"},
		{"root's group writes", 0o660, 0, 0, false, "chmod 600"},
		{"everyone reads", 0o644, 0, 0, false, "chmod 600"},
		{"everyone executes", 0o601, 0, 0, false, "chmod 600"},
		{"a user's", 0o600, 4242, 4242, false, "chown root"},
		{"a list names a user", 0o600, 0, 0, true, "setfacl -b"},
	} {
		path := filepath.Join(dir, "key")
		os.Remove(path)
		must(t, os.WriteFile(path, nil, 0o600))
		must(t, os.Chown(path, tc.uid, tc.gid))
		must(t, os.Chmod(path, tc.mode))
		if tc.list {
			acl := listFor(4242)
			must(t, unix.Setxattr(path, file.ACLAttribute, acl, 0))
		}
		f, err := os.Open(path)
		must(t, err)
		err = (Files{}).Private(f)
		f.Close()
		if tc.fault == "" && err != nil {
			t.Errorf("%s: %v", tc.what, err)
		}
		if tc.fault != "" && (!errors.Is(err, core.ErrNotProtected) || !strings.Contains(err.Error(), tc.fault)) {
			t.Errorf("%s: %v, expected advice to %s", tc.what, err, tc.fault)
		}
	}
	d, err := os.Open(dir)
	must(t, err)
	defer d.Close()
	if err := (Files{}).Private(d); !errors.Is(err, core.ErrNotRegular) {
		t.Errorf("a directory: %v", err)
	}
}

// listFor is an access control list of a file of mode 0640 in which user may
// read and the group may not.
func listFor(user uint32) []byte {
	none := ^uint32(0)
	acl := []byte{2, 0, 0, 0}
	for _, e := range []struct {
		tag, perm byte
		id        uint32
	}{{1, 6, none}, {2, 4, user}, {4, 0, none}, {16, 4, none}, {32, 0, none}} {
		acl = append(acl, e.tag, 0, e.perm, 0, byte(e.id), byte(e.id>>8), byte(e.id>>16), byte(e.id>>24))
	}
	return acl
}
