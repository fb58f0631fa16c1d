//go:build darwin

package darwin

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

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/darwin/file"
	"kpm/platform/darwin/libsystem"
)

const (
	// maxCopy is the largest program that is copied, in bytes. A file that
	// grows while it is read does not fill the disk.
	maxCopy = 1 << 30
	// maxBase is how much of the end of a program's name its copy keeps, in
	// bytes: enough for interpreters that look at extensions.
	maxBase = 128
)

// Copy implements port.Files. dir must belong to root and be writable by nobody
// else. At most 1 GiB is copied. The handle's name is the copy's path, which the
// caller removes in the end; after an error there is none.
//
// A program that lies in a bundle is copied without it, and one that needs the
// bundle's other files, or whose signature covers them, does not run.
func (s Files) Copy(ctx context.Context, src *os.File, dir, base string, reader core.Account, step func() error) (*os.File, string, error) {
	in, err := s.Open(src)
	if err != nil {
		return nil, "", err
	}
	defer in.Close()
	copied, sum, err := copyInto(ctx, in, dir, base, reader, step)
	if err != nil {
		return nil, "", fmt.Errorf("files: copy %s to %s: %w", src.Name(), dir, err)
	}
	return copied, sum, nil
}

func copyInto(ctx context.Context, in *os.File, dir, base string, reader core.Account, step func() error) (_ *os.File, _ string, err error) {
	if base == "" || strings.ContainsAny(base, "/\x00") {
		return nil, "", fmt.Errorf("%q is not a file name", base)
	}
	if _, err := parseID(string(reader.User)); err != nil {
		return nil, "", err
	}
	var at file.Place
	if err := onDescriptor(in, func(fd int) (err error) {
		at, err = file.WhereIs(fd)
		return err
	}); err != nil {
		return nil, "", err
	}
	if at.Size > maxCopy {
		return nil, "", fmt.Errorf("it has %d bytes, the limit is %d", at.Size, maxCopy)
	}
	mode, err := copyMode(at, reader)
	if err != nil {
		return nil, "", err
	}
	var head [2]byte
	if n, _ := in.ReadAt(head[:], 0); mode&0o040 == 0 && reader.User != "0" && string(head[:n]) == "#!" {
		return nil, "", fmt.Errorf("%s, whose interpreter must read it: %w: %w", reader.Name, core.ErrMayNotRead, fs.ErrPermission)
	}
	d, above, err := file.Walk(dir, file.Anywhere)
	if err != nil {
		return nil, "", err
	}
	defer unix.Close(d)
	if err := file.RootAlone(above); err != nil {
		return nil, "", err
	}
	name := rand.Text() + "-" + base[max(0, len(base)-maxBase):]
	fd, err := file.OpenAt(d, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, unix.Unlinkat(d, name, 0))
		}
	}()
	out := os.NewFile(uintptr(fd), filepath.Join(above.Path, name))
	defer out.Close()
	size, sum, err := pour(ctx, out, in, maxCopy, step)
	if err != nil {
		return nil, "", err
	}
	if err = errors.Join(keepQuarantine(in, out), share(out, mode, reader)); err != nil {
		return nil, "", err
	}
	copied, err := reopened(out)
	if err != nil {
		return nil, "", err
	}
	if err = errors.Join(out.Close(), checkCopy(copied, size)); err != nil {
		copied.Close()
		return nil, "", err
	}
	return copied, sum, nil
}

func reopened(f *os.File) (again *os.File, err error) {
	err = onDescriptor(f, func(fd int) (err error) {
		again, err = file.Reopen(fd)
		return err
	})
	return again, err
}

// quarantine is the attribute by which macOS knows that a file is from elsewhere
// and was not looked at yet (sys/quarantine.h names what it stands for).
const quarantine = "com.apple.quarantine"

// keepQuarantine gives the copy the original's mark. Attack: a copy without it
// passes the checks that the system makes of what was downloaded (Gatekeeper).
func keepQuarantine(from, to *os.File) error {
	mark := make([]byte, 1024)
	err := onDescriptor(from, func(fd int) error {
		n, err := unix.Fgetxattr(fd, quarantine, mark)
		mark = mark[:max(0, n)]
		return err
	})
	switch {
	case errors.Is(err, unix.ENOATTR), errors.Is(err, unix.ENOTSUP):
		return nil
	case err != nil:
		return fmt.Errorf("read %s: %w", quarantine, err)
	}
	if err := onDescriptor(to, func(fd int) error { return unix.Fsetxattr(fd, quarantine, mark, 0) }); err != nil {
		return fmt.Errorf("keep %s: %w", quarantine, err)
	}
	return nil
}

// share gives root the copy to read and execute, and reader by an access control
// list what mode's group bits say; nobody else gets any.
//
// Attack: the name of a script's copy is in the process list. Everybody on a Mac is
// in the group staff: with the copy in reader's group, everyone could read what the
// original shows to reader alone.
func share(f *os.File, mode os.FileMode, reader core.Account) error {
	if err := errors.Join(f.Chown(0, 0), f.Chmod(0o500)); err != nil {
		return err
	}
	if mode&0o070 == 0 {
		return nil
	}
	calls, err := libsystem.Bound()
	if err != nil {
		return err
	}
	list := file.ReaderList(string(reader.User), mode&0o040 != 0)
	return onDescriptor(f, func(fd int) error { return calls.SetAccessList(fd, list) })
}

// pour copies at most limit bytes and returns size and SHA-256 of what it
// wrote, whatever becomes of src meanwhile.
func pour(ctx context.Context, dst io.Writer, src io.Reader, limit int64, step func() error) (int64, string, error) {
	hash := sha256.New()
	buf := make([]byte, port.Piece)
	var size int64
	for {
		if err := ctx.Err(); err != nil {
			return 0, "", err
		}
		if err := step(); err != nil {
			return 0, "", err
		}
		n, err := src.Read(buf)
		if size += int64(n); size > limit {
			return 0, "", fmt.Errorf("it has more than %d bytes", limit)
		}
		hash.Write(buf[:n])
		if _, err := dst.Write(buf[:n]); err != nil {
			return 0, "", err
		}
		if err == io.EOF {
			return size, hex.EncodeToString(hash.Sum(nil)), nil
		} else if err != nil {
			return 0, "", err
		}
	}
}

// checkCopy makes sure that the finished copy is what was meant to be made.
func checkCopy(f *os.File, size int64) error {
	return onDescriptor(f, func(fd int) error {
		at, err := file.WhereIs(fd)
		if err != nil {
			return err
		}
		if err := file.RootAlone(at); err != nil {
			return err
		}
		if !at.Regular() || at.Size != size || at.Mode&0o7777 != 0o500 || at.Links != 1 {
			return fmt.Errorf("the copy is not what was written: %+v", at)
		}
		return nil
	})
}

// WriteAtomic implements port.Files. path itself is replaced, also if it is a
// link. Sync is F_FULLFSYNC here: the disk has it, and not only its cache.
func (Files) WriteAtomic(path string, data []byte, perm os.FileMode) error {
	if err := writeDurably(path, data, perm); err != nil {
		return fmt.Errorf("files: write %s: %w", path, err)
	}
	return nil
}

// Replace implements port.Files, as WriteAtomic does.
func (Files) Replace(path string, data []byte, perm os.FileMode) error {
	if err := replace(path, data, perm, func(*os.File) error { return nil }); err != nil {
		return fmt.Errorf("files: write %s: %w", path, err)
	}
	return nil
}

func writeDurably(path string, data []byte, perm os.FileMode) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := replace(path, data, perm, (*os.File).Sync); err != nil {
		return err
	}
	return dir.Sync()
}

// replace puts a file in path's place once sync has dealt with what it holds.
func replace(path string, data []byte, perm os.FileMode, sync func(*os.File) error) error {
	temp := filepath.Join(filepath.Dir(path), "."+rand.Text()+".tmp")
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(perm), sync(f), f.Close()); err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		os.Remove(temp)
	}
	return err
}

// Lock implements port.Files. It creates the file 0600; the lock ends with this
// process as well. The error names the holder when it can.
func (Files) Lock(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("files: lock %s: %w", path, err)
	}
	err = onDescriptor(f, func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	if err != nil {
		text := make([]byte, 16)
		n, _ := f.ReadAt(text, 0)
		return nil, errors.Join(fmt.Errorf("files: lock %s: held by pid %q: %w", path, text[:n], err), f.Close())
	}
	_, err = f.WriteAt([]byte(fmt.Sprint(os.Getpid())), 0)
	if err = errors.Join(err, f.Truncate(int64(len(fmt.Sprint(os.Getpid()))))); err != nil {
		return nil, errors.Join(fmt.Errorf("files: lock %s: %w", path, err), f.Close())
	}
	return f, nil
}
