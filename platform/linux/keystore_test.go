//go:build linux

package linux

import (
	"context"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"kpm/core/port"
	"kpm/trust/tpm"
)

// Devices that are no TPMs: what they answer is refused, whatever it is.
func TestCharacterDevicesThatAreNoTPMs(t *testing.T) {
	for device, want := range map[string]error{"/dev/null": tpm.ErrTampered, "/dev/zero": tpm.ErrTampered, "/dev/full": unix.ENOSPC} {
		conn, err := KeyStore{}.OpenTPM(device)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tpm.Open(context.Background(), conn, tpm.Memory{}); !errors.Is(err, want) {
			t.Errorf("%s: %v, expected %v", device, err, want)
		}
		if _, err := conn.Send([]byte("x")); !errors.Is(err, unix.EBADF) {
			t.Errorf("%s: sent after it was closed: %v", device, err)
		}
		if err := conn.Close(); !errors.Is(err, unix.EBADF) {
			t.Errorf("%s: closed twice: %v", device, err)
		}
	}
}

func TestAMachineWithoutATPM(t *testing.T) {
	if _, err := (KeyStore{}).OpenTPM(""); err != nil && !errors.Is(err, port.ErrNoTPM) {
		t.Errorf("%v", err)
	}
}
