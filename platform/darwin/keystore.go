package darwin

import (
	"fmt"
	"strings"

	"kpm/core/port"
	"kpm/trust/tpm"
)

// KeyStore implements port.KeyStore. A Mac has no TPM, and its Secure Enclave
// is reached through Security.framework alone, which this program is not linked
// with: the machine key is then a file, and says so.
type KeyStore struct{}

var _ port.KeyStore = KeyStore{}

// OpenTPM implements port.KeyStore.
func (KeyStore) OpenTPM(device string) (port.TPM, error) {
	switch {
	case device == "":
		return nil, fmt.Errorf("keystore: a Mac has none, and its Secure Enclave is not used yet: %w", port.ErrNoTPM)
	case strings.HasPrefix(device, "tcp:"):
		return tpm.DialTCP(device)
	}
	return nil, fmt.Errorf("keystore: %s, expected nothing or tcp:ADDRESS:PORT", device)
}
