//go:build darwin

package darwin

import (
	"context"
	"os"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/none"
)

// Signatures implements port.SystemSignatures. Signatures in attributes and
// fs-verity are Linux's, as is what EVM binds to. APFS never uses an
// inode number again, so that there is no generation to tell.
type Signatures struct{ none.Signatures }

var _ port.SystemSignatures = Signatures{}

// Verdict implements port.SystemSignatures: what codesign says.
func (Signatures) Verdict(ctx context.Context, f *os.File) (core.Evidence, error) {
	return verdict(ctx, f)
}
