//go:build darwin

package darwin

import (
	"context"
	"errors"
	"os"

	"kpm/core"
	"kpm/core/port"
)

// Signatures implements port.SystemSignatures.
type Signatures struct{}

var _ port.SystemSignatures = Signatures{}

// Attribute implements port.SystemSignatures. Signatures in attributes are Linux's.
func (Signatures) Attribute(*os.File, string) ([]byte, error) { return nil, port.ErrNoAttribute }

// Verity implements port.SystemSignatures.
func (Signatures) Verity(*os.File) (port.Verity, error) { return port.Verity{}, port.ErrNoAttribute }

// Generation implements port.SystemSignatures. APFS never uses an inode number again.
func (Signatures) Generation(*os.File) (uint64, error) { return 0, nil }

// Node implements port.SystemSignatures.
func (Signatures) Node(*os.File) (port.Node, error) { return port.Node{}, errors.ErrUnsupported }

// Verdict implements port.SystemSignatures: what codesign says.
func (Signatures) Verdict(ctx context.Context, f *os.File) (core.Evidence, error) {
	return verdict(ctx, f)
}
