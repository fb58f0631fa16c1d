//go:build !linux

package main

import "net"

// dialLocal connects to a local socket.
func dialLocal(path string) (net.Conn, error) { return net.Dial("unix", path) }
