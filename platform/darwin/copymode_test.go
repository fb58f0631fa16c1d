package darwin

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"kpm/core"
	"kpm/platform/darwin/file"
)

func TestCopiesAllowNoMoreThanTheOriginal(t *testing.T) {
	alice := core.Account{User: "501", Name: "alice", Groups: []string{"20", "80"}}
	root := core.Account{User: "0", Name: "root", Groups: []string{"0"}}
	node := func(mode uint16, uid, gid uint32) file.Place {
		return file.Place{Node: file.Node{Mode: mode, UID: uid, GID: gid}}
	}
	listed := node(0o755, 502, 20)
	listed.List = "!#acl 1\nuser:U:alice:501:deny:execute\n"
	own := listed
	own.UID = 501
	for _, c := range []struct {
		at     file.Place
		reader core.Account
		want   os.FileMode // 0 is refused
	}{
		{node(0o755, 0, 0), alice, 0o550},
		{node(0o711, 0, 0), alice, 0o510}, // executed, and not read
		{node(0o700, 0, 0), alice, 0},
		{node(0o750, 0, 20), alice, 0o550},
		{node(0o705, 0, 20), alice, 0}, // the group's bits count, and not the others'
		{node(0o755, 501, 20), alice, 0o550},
		{node(0o077, 501, 0), alice, 0}, // the owner's bits count
		{node(0o644, 0, 0), alice, 0},
		{node(0o100, 501, 20), root, 0o500},
		{node(0o644, 501, 20), root, 0},
		{listed, alice, 0},
		{own, alice, 0o550},
		{listed, root, 0o500},
	} {
		got, err := copyMode(c.at, c.reader)
		if got != c.want || (err == nil) != (c.want != 0) || err != nil && !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%+v for %s: %o, %v, want %o", c.at, c.reader.Name, got, err, c.want)
		}
	}
}
