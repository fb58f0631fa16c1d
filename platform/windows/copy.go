//go:build windows

package windows

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/windows/file"
)

const (
	// maxCopy is the largest program that is copied, in bytes.
	maxCopy = 1 << 30
	// maxBase is how much of the end of a program's name its copy keeps, in
	// bytes: its ending says what it is.
	maxBase = 128
)

// Copy implements port.Storage. Nobody can write to src meanwhile, nor to the copy
// as long as the result is open. What reader may not execute is refused with
// core.ErrMayNotRun, and at most 1 GiB is copied. The handle's name is the copy's
// path, which the caller removes in the end; after an error there is none.
func (f Files) Copy(ctx context.Context, src *os.File, dir, base string, reader core.Account, step func() error) (*os.File, string, error) {
	copied, sum, err := f.copyInto(ctx, src, dir, base, reader, step)
	if err != nil {
		return nil, "", fmt.Errorf("files: copy %s to %s: %w", src.Name(), dir, err)
	}
	return copied, sum, nil
}

func (f Files) copyInto(ctx context.Context, src *os.File, dir, base string, reader core.Account, step func() error) (_ *os.File, _ string, err error) {
	if base == "" || strings.ContainsAny(base, `/\:`+"\x00") {
		return nil, "", fmt.Errorf("%q is not a file name", base)
	}
	if err := mayRun(src, reader); err != nil {
		return nil, "", err
	}
	if err := f.ProtectedRoot(dir); err != nil {
		return nil, "", err
	}
	in, err := f.Open(src)
	if err != nil {
		return nil, "", err
	}
	defer in.Close()
	path := filepath.Join(dir, rand.Text()+"-"+base[max(0, len(base)-maxBase):])
	// The reader can read and execute it (FILE_GENERIC_READ, FILE_GENERIC_EXECUTE).
	out, err := create(path, windows.CREATE_NEW, 0, privateFile+fmt.Sprintf("(A;;0x1200a9;;;%s)", reader.User))
	if err != nil {
		return nil, "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, out.Close(), os.Remove(path))
		}
	}()
	hash := sha256.New()
	if err = pour(ctx, io.MultiWriter(out, hash), in, step); err != nil {
		return nil, "", err
	}
	if err = out.Close(); err != nil {
		return nil, "", err
	}
	// From here on everybody may read it and nobody write.
	handle, err := openShared(path)
	if err != nil {
		return nil, "", err
	}
	return os.NewFile(uintptr(handle), path), hex.EncodeToString(hash.Sum(nil)), nil
}

// openShared opens a file of ours that nobody else can open for writing, or
// remove, as long as it is open.
func openShared(path string) (windows.Handle, error) {
	wide, err := windows.UTF16PtrFromString(file.Long(path))
	if err != nil {
		return 0, err
	}
	return windows.CreateFile(wide, windows.GENERIC_READ, file.ShareRead, nil, windows.OPEN_EXISTING, windows.FILE_FLAG_OPEN_REPARSE_POINT, 0)
}

// pour copies at most maxCopy bytes, in pieces.
func pour(ctx context.Context, dst io.Writer, src io.Reader, step func() error) error {
	buffer := make([]byte, port.Piece)
	for size := 0; ; {
		if err := errors.Join(ctx.Err(), step()); err != nil {
			return err
		}
		n, err := src.Read(buffer)
		if size += n; size > maxCopy {
			return fmt.Errorf("it has more than %d bytes", maxCopy)
		}
		if _, err := dst.Write(buffer[:n]); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// mayRun refuses a program that its own list does not let reader execute. A copy
// would.
func mayRun(src *os.File, reader core.Account) error {
	return file.OnHandle(src, func(handle windows.Handle) error {
		again, err := file.Reopen(handle, windows.READ_CONTROL, file.ShareAll, 0)
		if err != nil {
			return err
		}
		defer windows.CloseHandle(again)
		granted, err := file.Grants(again, append([]string{string(reader.User), "S-1-1-0", "S-1-5-11"}, reader.Groups...))
		if err != nil {
			return err
		}
		if !granted {
			return fmt.Errorf("%s: %w: %w", reader.Name, core.ErrMayNotRun, fs.ErrPermission)
		}
		return nil
	})
}
