//go:build windows

package windows

import (
	"context"
	"errors"
	"os"

	"kpm/core"
	"kpm/core/port"
)

// System implements port.SystemSignatures.
type System struct{}

var _ port.SystemSignatures = System{}

// Attribute implements port.SystemSignatures. Signatures in attributes are Linux's.
func (System) Attribute(*os.File, string) ([]byte, error) { return nil, port.ErrNoAttribute }

// Verity implements port.SystemSignatures.
func (System) Verity(*os.File) (port.Verity, error) { return port.Verity{}, port.ErrNoAttribute }

// Generation implements port.SystemSignatures. A file id of NTFS holds a sequence number
// already.
func (System) Generation(*os.File) (uint64, error) { return 0, nil }

// Node implements port.SystemSignatures.
func (System) Node(*os.File) (port.Node, error) { return port.Node{}, errors.ErrUnsupported }

// Verdict implements port.SystemSignatures: WinVerifyTrust about the signature within
// the file, else about the catalog that lists it.
func (System) Verdict(ctx context.Context, f *os.File) (core.Evidence, error) {
	return verdict(ctx, f)
}
