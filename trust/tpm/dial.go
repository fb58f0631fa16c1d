package tpm

import (
	"encoding/binary"
	"fmt"
	"io"
	"kpm/core/port"
	"net"
	"net/netip"
	"strings"
	"time"
)

// commandTime is how long a TPM behind a socket may take. Making an RSA key
// takes a slow one a minute or two.
const commandTime = 3 * time.Minute

// socket is a TPM behind a socket that carries plain commands and responses, as
// swtpm's does. Each command has a connection of its own: such a TPM serves one
// connection at a time, and other programs want it, too.
type socket struct{ network, address string }

// DialUnix returns the TPM behind the local socket at path.
func DialUnix(path string) port.TPM { return socket{"unix", path} }

// userPorts is where the ports begin that anyone may listen at (ip(7),
// ip_unprivileged_port_start).
const userPorts = 1024

// DialTCP returns the TPM at "tcp:ADDRESS:PORT". The address is a loopback one:
// a TPM elsewhere keeps no secret of this machine. The port is one below 1024.
//
// Attack: a user listens at the port before the TPM does. Whoever answers on the
// first day is believed, and has the machine key then.
func DialTCP(device string) (port.TPM, error) {
	given, ok := strings.CutPrefix(device, "tcp:")
	address, err := netip.ParseAddrPort(given)
	if !ok || err != nil || !address.Addr().IsLoopback() || address.Port() == 0 || address.Port() >= userPorts {
		return nil, fmt.Errorf("tpm: %q, expected tcp:ADDRESS:PORT with a loopback address and a port below %d, as in tcp:127.0.0.1:321", device, userPorts)
	}
	return socket{"tcp", given}, nil
}

// Close implements port.TPM.
func (socket) Close() error { return nil }

// Send implements port.TPM.
func (s socket) Send(command []byte) ([]byte, error) {
	conn, err := net.DialTimeout(s.network, s.address, commandTime)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(commandTime)); err != nil {
		return nil, err
	}
	if _, err := conn.Write(command); err != nil {
		return nil, err
	}
	header := make([]byte, headerSize)
	if _, err := io.ReadFull(conn, header); err != nil {
		return nil, fmt.Errorf("the answer ends early: %w", err)
	}
	size := binary.BigEndian.Uint32(header[2:])
	if size < headerSize || size > maxResponse {
		return nil, fmt.Errorf("an answer of %d bytes, expected %d to %d", size, headerSize, maxResponse)
	}
	response := append(header, make([]byte, size-headerSize)...)
	if _, err := io.ReadFull(conn, response[headerSize:]); err != nil {
		return nil, fmt.Errorf("the answer ends early: %w", err)
	}
	return response, nil
}
