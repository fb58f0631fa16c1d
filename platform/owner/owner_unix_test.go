//go:build unix

package owner

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCheck(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for owner, want := range map[int]string{0: "", os.Geteuid(): "", 4242: "owner 4242"} {
		if err := os.Chown(path, owner, -1); err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := Check(info); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("owner %d: %q, want %q", owner, got, want)
		}
	}
}
