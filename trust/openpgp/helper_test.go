package openpgp

import (
	"bytes"
	"os"
)

// readRevocation reads a certificate that GnuPG has prepared. A colon keeps it
// from being imported by mistake.
func readRevocation(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return bytes.Replace(data, []byte("\n:---"), []byte("\n---"), 1), nil
}
