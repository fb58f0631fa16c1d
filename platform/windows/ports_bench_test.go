//go:build windows

package windows

import (
	"net"
	"testing"
)

// BenchmarkPeer is the look at who has connected over TCP.
func BenchmarkPeer(b *testing.B) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	must(b, err)
	defer client.Close()
	conn, err := listener.Accept()
	must(b, err)
	defer conn.Close()
	for b.Loop() {
		_, err := Peers{}.Peer(conn)
		must(b, err)
	}
}

// BenchmarkSessions is the look at who is logged in.
func BenchmarkSessions(b *testing.B) {
	for b.Loop() {
		_, err := Sessions{}.List(b.Context())
		must(b, err)
	}
}

// BenchmarkClock is the look at the time that nobody sets.
func BenchmarkClock(b *testing.B) {
	for b.Loop() {
		_, _, err := Clock{}.Now()
		must(b, err)
	}
}
