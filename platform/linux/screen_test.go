//go:build linux

package linux

import (
	"io"
	"net"
	"path/filepath"
	"testing"

	"kpm/core"
)

// Whoever is not let in is told so and closed; whoever has gone is passed over;
// neither is returned by Accept.
func TestScreenedCallers(t *testing.T) {
	path := filepath.Join(public(t), "door")
	l, err := Transport{}.ListenDoor(path)
	must(t, err)
	defer l.Close()
	refused := 0
	l.Screen(func(user core.UserID) []byte {
		if user != "0" {
			t.Errorf("asked about user %q", user)
		}
		if refused++; refused == 1 {
			return []byte("not now")
		}
		return nil
	})
	gone, err := net.Dial("unix", path)
	must(t, err)
	must(t, gone.Close())
	unwanted, err := net.Dial("unix", path)
	must(t, err)
	defer unwanted.Close()
	wanted, err := net.Dial("unix", path)
	must(t, err)
	defer wanted.Close()
	conn, err := l.Accept()
	must(t, err)
	defer conn.Close()
	said, err := io.ReadAll(unwanted)
	if err != nil || string(said) != "not now" {
		t.Errorf("whoever is not let in was told %q, %v", said, err)
	}
	must(t, conn.WriteWithFiles([]byte("x")))
	var b [1]byte
	if _, err := io.ReadFull(wanted, b[:]); err != nil || b[0] != 'x' {
		t.Errorf("whoever is let in heard %q, %v", b, err)
	}
}
