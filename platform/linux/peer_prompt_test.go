//go:build linux

package linux

import (
	"net"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// What has come is acknowledged at once, on a TCP connection; any other is left
// alone.
func TestAcknowledgeNow(t *testing.T) {
	p := peers(t)
	for _, network := range []string{"tcp", "unix"} {
		address := "127.0.0.1:0"
		if network == "unix" {
			address = filepath.Join(t.TempDir(), "s")
		}
		ln, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		client, err := net.Dial(network, ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		server, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		server.Write([]byte("what is said has the system put acknowledgements off"))
		p.AcknowledgeNow(server)
		if network == "unix" {
			continue
		}
		at, err := ask(server, func(fd int) (int, error) { return unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK) })
		if err != nil || at != 1 {
			t.Errorf("TCP_QUICKACK is %d, %v", at, err)
		}
	}
}
