//go:build windows

package windows

import (
	"context"
	"os"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/none"
)

// Signatures implements port.SystemSignatures. Signatures in attributes and
// fs-verity are Linux's, as is what EVM binds to. A file id of NTFS holds a
// sequence number already, so that there is no generation to tell.
type Signatures struct{ none.Signatures }

var _ port.SystemSignatures = Signatures{}

// Verdict implements port.SystemSignatures: WinVerifyTrust about the signature
// within the file, else about the catalog that lists it.
func (Signatures) Verdict(ctx context.Context, f *os.File) (core.Evidence, error) {
	return verdict(ctx, f)
}
