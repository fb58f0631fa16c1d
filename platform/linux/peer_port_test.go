//go:build linux

package linux

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"testing"
)

func TestPortOwnerNamesTheListener(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		ln, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		port := ln.Addr().(*net.TCPAddr).Port
		if pid, user, err := (&Peers{}).Listener(port); err != nil || pid != os.Getpid() || user != "0" {
			t.Errorf("%s: pid %d, user %s, %v; expected pid %d, user 0", address, pid, user, err, os.Getpid())
		}
		if err := ln.Close(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := (&Peers{}).Listener(port); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: after it closed: %v, expected that nobody listens", address, err)
		}
	}
}
