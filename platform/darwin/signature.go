//go:build darwin

package darwin

import (
	"context"
	"errors"
	"os"

	"kpm/core"
	"kpm/trust"
)

// System implements trust.System.
type System struct{}

var _ trust.System = System{}

// Attribute implements trust.System. Signatures in attributes are Linux's.
func (System) Attribute(*os.File, string) ([]byte, error) { return nil, core.ErrNoAttribute }

// Verity implements trust.System.
func (System) Verity(*os.File) (core.Verity, error) { return core.Verity{}, core.ErrNoAttribute }

// Generation implements trust.System. APFS never uses an inode number again.
func (System) Generation(*os.File) (uint64, error) { return 0, nil }

// Node implements trust.System.
func (System) Node(*os.File) (core.Node, error) { return core.Node{}, errors.ErrUnsupported }

// Verdict implements trust.System: what codesign says.
func (System) Verdict(ctx context.Context, f *os.File) (core.Evidence, error) {
	return verdict(ctx, f)
}
