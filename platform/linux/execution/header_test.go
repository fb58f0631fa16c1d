//go:build linux

package execution

import (
	"bytes"
	"debug/elf"
	"os"
	"strings"
	"testing"
)

func TestInterpreters(t *testing.T) {
	shell, err := os.ReadFile("/bin/sh")
	must(t, err)
	for _, tc := range []struct {
		name, file, path string
		script           bool
	}{
		{"a program", string(shell), loader(t), false},
		{"a script", "#!/usr/bin/python3 -I\nprint()\n", "/usr/bin/python3", true},
		{"a script with spaces", "#!  /bin/sh", "/bin/sh", true},
		{"a script of something relative", "#!python3\n", "", false},
		{"a script of nothing", "#!\n", "", false},
		{"nothing", "", "", false},
		{"the beginning of one", string(shell[:70]), "", false},
		{"neither", strings.Repeat("x", 100), "", false},
	} {
		path, script, ok := interpreterOf(bytes.NewReader([]byte(tc.file)))
		if path != tc.path || script != tc.script || ok != (tc.path != "") {
			t.Errorf("%s: %q, %v, %v", tc.name, path, script, ok)
		}
	}
}

// The file is a user's: whatever it holds, what comes back is a path or nothing.
func FuzzInterpreter(f *testing.F) {
	shell, err := os.ReadFile("/bin/sh")
	must(f, err)
	f.Add(shell[:min(len(shell), 4096)])
	f.Add([]byte("#!/bin/sh\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		path, _, ok := interpreterOf(bytes.NewReader(file))
		if ok != strings.HasPrefix(path, "/") || strings.ContainsRune(path, 0) || len(path) > maxName {
			t.Errorf("%q, %v", path, ok)
		}
	})
}

func TestTables(t *testing.T) {
	const table = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /proc rw,nosuid - proc proc rw
24 22 0:30 / /home/a\040b rw,nosuid - btrfs /dev/sdb rw
25 22 0:31 / /data rw,noexec - xfs /dev/sdc rw
26 22 0:32 / /home/u/fuse rw - fuse.sshfs host: rw
27 22 0:33 / /net rw - nfs4 host:/ rw
28 22 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw
broken
`
	if got := strings.Join(mountPoints(table), "|"); got != "/|/home/a b" {
		t.Errorf("mount points: %s", got)
	}
	g := &Group{cgroups: cgroupsIn(table)}
	for text, want := range map[string]string{
		"1:cpu:/x\n0::/kpm/kpm-ABC\n": "cgroup:/sys/fs/cgroup/kpm/kpm-ABC",
		"0::/\n":                      "cgroup:/sys/fs/cgroup",
		"0::/../elsewhere\n":          "",
		"1:cpu:/x\n":                  "",
	} {
		if got := g.groupOf(text); got != want {
			t.Errorf("%q: %q, expected %q", text, got, want)
		}
	}
	for status, want := range map[string]string{
		"Name:\tx\nUid:\t1000\t1000\t1000\t1000\nGid:\t1\n": "1000 false",
		"Name:\tx\nUid:\t0\t0\t0\t0\n":                      "0 true",
		"Name:\tx\nUid:\t1000\t0\t0\t0\n":                   "1000 false", // a set-user-id program
		"Name:\tx\nUid:\t0\t1000\t0\t0\n":                   "0 false",
		"Name:\tx\nUid:\t1000\n":                            "error",
		"":                                                  "error",
	} {
		who, err := executor(status)
		got := string(who.User) + " false"
		if who.Administrator {
			got = string(who.User) + " true"
		}
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: %s, expected %s", status, got, want)
		}
	}
}

// loader is that of this machine's programs, as debug/elf reads it.
func loader(t *testing.T) string {
	t.Helper()
	file, err := elf.Open("/bin/sh")
	must(t, err)
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			name := make([]byte, p.Filesz)
			_, err := p.ReadAt(name, 0)
			must(t, err)
			return strings.TrimRight(string(name), "\x00")
		}
	}
	t.Fatal("/bin/sh has no loader")
	return ""
}
