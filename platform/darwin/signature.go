//go:build darwin

package darwin

import (
	"context"
	"fmt"
	"os"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/darwin/file"
	"kpm/platform/darwin/tool"
	"kpm/platform/none"
)

// signatureTime bounds one answer of codesign; no network is waited for.
const signatureTime = 30 * time.Second

// Signatures implements port.SystemSignatures. Signatures in attributes and
// fs-verity are Linux's, as is what EVM binds to. APFS never uses an
// inode number again, so that there is no generation to tell.
type Signatures struct{ none.Signatures }

var _ port.SystemSignatures = Signatures{}

// Verdict implements port.SystemSignatures: what codesign says about the open
// file. It takes a path and not a descriptor, so the path is asked of the kernel,
// and what it names afterwards must still be the open file: the answer adds to our
// own check of the handle and never stands in for it.
func (Signatures) Verdict(ctx context.Context, f *os.File) (core.Evidence, error) {
	var path string
	if err := onDescriptor(f, func(fd int) (err error) {
		path, err = file.PathOf(fd)
		return err
	}); err != nil {
		return core.Evidence{}, fmt.Errorf("verdict: %w", err)
	}
	answer, err := ask(ctx, signatureTime, tool.AskSignature(path), "")
	if moved, statErr := names(path, f); statErr != nil || moved {
		return core.Evidence{}, fmt.Errorf("verdict: %s names another file now: try again", path)
	}
	if err != nil {
		return core.Evidence{}, fmt.Errorf("verdict: %w", err)
	}
	e, signed := tool.ParseSignature(answer.errors, answer.status)
	if !signed {
		return core.Evidence{}, fmt.Errorf("verdict: %w", port.ErrNoAttribute)
	}
	return e, nil
}

// names reports whether path names another file than f.
func names(path string, f *os.File) (moved bool, err error) {
	there, err := os.Lstat(path)
	if err != nil {
		return true, err
	}
	here, err := f.Stat()
	if err != nil {
		return true, err
	}
	return !os.SameFile(there, here), nil
}
