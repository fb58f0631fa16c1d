//go:build windows

package windows

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

// Generation implements port.SystemSignatures. A file id of NTFS holds a sequence number
// already.
func (Signatures) Generation(*os.File) (uint64, error) { return 0, nil }

// Node implements port.SystemSignatures.
func (Signatures) Node(*os.File) (port.Node, error) { return port.Node{}, errors.ErrUnsupported }

// Verdict implements port.SystemSignatures: WinVerifyTrust about the signature within
// the file, else about the catalog that lists it.
func (Signatures) Verdict(ctx context.Context, f *os.File) (core.Evidence, error) {
	return verdict(ctx, f)
}
