//go:build linux

package file

import (
	"strings"
	"testing"
)

func TestParseMount(t *testing.T) {
	for line, want := range map[string]struct {
		id uint64
		m  Mount
	}{
		`36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`:        {36, Mount{Kind: "ext3"}},
		`27 1 254:0 / / rw,relatime - ext4 /dev/vda rw`:                                         {27, Mount{Kind: "ext4"}},
		`40 27 0:50 / /home/x\040-\040ext4 rw,nosuid,nodev shared:1 master:2 - fuse.sshfs a rw`: {40, Mount{Kind: "fuse.sshfs", nosuid: true}},
		`41 27 0:51 / /x rw - tmpfs  rw`:                                                        {41, Mount{Kind: "tmpfs"}},
	} {
		if id, m, ok := parseMount([]byte(line)); !ok || id != want.id || m != want.m {
			t.Errorf("%s: %d %+v %v", line, id, m, ok)
		}
	}
	for _, line := range []string{"", "x", "36 35 98:0 / / rw master:1", "36 35 98:0 / / rw a b c d e", "-1 35 98:0 / / rw - ext4 /dev/root rw"} {
		if id, m, ok := parseMount([]byte(line)); ok {
			t.Errorf("%q was read as %d %+v", line, id, m)
		}
	}
}

// Mount points and sources are chosen by users.
func FuzzParseMount(f *testing.F) {
	f.Add([]byte(`36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`))
	f.Add([]byte(`40 27 0:50 / /home/x\040-\040ext4 rw,nosuid - fuse.a b rw`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if _, m, ok := parseMount(line); ok && m.Kind != "" && !strings.Contains(string(line), " - "+m.Kind) {
			t.Errorf("%q: file system %q", line, m.Kind)
		}
	})
}
