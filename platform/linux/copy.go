//go:build linux

package linux

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/linux/file"
)

const (
	// maxCopy is the largest program that is copied, in bytes. A file that
	// grows while it is read does not fill the disk.
	maxCopy = 1 << 30
	// maxBase is how much of the end of a program's name its copy keeps, in
	// bytes: enough for interpreters that look at extensions.
	maxBase = 128
	// writersGone is how long to wait for forked children to let go of a
	// finished copy. They need as long as an exec.
	writersGone = 2 * time.Second
)

// Copy implements port.Files. dir must belong to root and be writable by
// nobody else. What reader may not execute, or, if it is a script, not read, is
// refused with core.ErrMayNotRun and core.ErrMayNotRead (fs.ErrPermission), and at most 1 GiB is copied. The handle's name is the copy's path, which the
// caller removes in the end; after an error there is none.
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
	if size, err := in.Seek(0, io.SeekEnd); err != nil || size > maxCopy {
		return nil, "", errors.Join(err, fmt.Errorf("it has %d bytes, the limit is %d", size, maxCopy))
	} else if _, err := in.Seek(0, io.SeekStart); err != nil {
		return nil, "", err
	}
	uid, err := parseKernelID(string(reader.User))
	if err != nil {
		return nil, "", err
	}
	group, err := parseKernelID(reader.Group)
	if err != nil {
		return nil, "", fmt.Errorf("group %q of %s: %w", reader.Group, reader.Name, err)
	}
	if base == "" || strings.ContainsAny(base, "/\x00") {
		return nil, "", fmt.Errorf("%q is not a file name", base)
	}
	var mode os.FileMode
	if err := onDescriptor(in, func(fd int) (err error) {
		mode, err = copyMode(fd, reader)
		return err
	}); err != nil {
		return nil, "", err
	}
	var head [2]byte
	if n, _ := in.ReadAt(head[:], 0); mode&0o040 == 0 && uid != 0 && string(head[:n]) == "#!" {
		return nil, "", fmt.Errorf("%s, whose interpreter must read it: %w: %w", reader.Name, core.ErrMayNotRead, fs.ErrPermission)
	}
	d, err := openat(unix.AT_FDCWD, dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, "", err
	}
	defer unix.Close(d)
	if _, err := file.RootAlone(d, dir); err != nil {
		return nil, "", err
	}

	name := rand.Text() + "-" + base[max(0, len(base)-maxBase):]
	fd, err := openat(d, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, unix.Unlinkat(d, name, 0))
		}
	}()
	out := os.NewFile(uintptr(fd), name)
	defer out.Close() // closed below; this is for errors on the way there

	size, sum, err := pour(ctx, out, in, maxCopy, step)
	if err != nil {
		return nil, "", err
	}
	if group, err = share(out, mode, uid, group); err != nil {
		return nil, "", err
	}
	copied, err := file.Reopen(fd, filepath.Join(dir, name), unix.O_RDONLY)
	if err != nil {
		return nil, "", err
	}
	if err = errors.Join(out.Close(), awaitNoWriters(ctx, copied), checkCopy(copied, size, mode, group)); err != nil {
		copied.Close()
		return nil, "", err
	}
	return copied, sum, nil
}

// copyMode returns the mode of a copy of fd's file for reader, whose rights are
// those of the group. Attack: a handle of somebody's private file is easily had,
// and running it "as oneself" would make a copy that one can read. So the copy
// lets reader do what the original's mode does, except write.
func copyMode(fd int, reader core.Account) (os.FileMode, error) {
	at, err := file.Stat(fd)
	if err != nil {
		return 0, err
	}
	uid, err := parseKernelID(string(reader.User))
	if err != nil {
		return 0, err
	}
	if uid == 0 { // as execve(2) has it for root: somebody may execute it
		if at.Mode&0o111 == 0 {
			return 0, fmt.Errorf("%w: %w", core.ErrMayNotRun, fs.ErrPermission)
		}
		return 0o500, nil
	}
	may := at.Mode & 0o7
	if uid == at.UID {
		may = at.Mode >> 6 & 0o7
	} else if _, err := unix.Fgetxattr(fd, file.ACLAttribute, nil); err == nil {
		return 0, fmt.Errorf("it has an access control list and does not belong to %s: %w", reader.Name, fs.ErrPermission)
	} else if slices.Contains(reader.Groups, strconv.FormatUint(uint64(at.GID), 10)) {
		may = at.Mode >> 3 & 0o7
	}
	if may&0o1 == 0 {
		return 0, fmt.Errorf("%s: %w: %w", reader.Name, core.ErrMayNotRun, fs.ErrPermission)
	}
	return 0o500 | os.FileMode(may&0o5)<<3, nil
}

// Tags of a POSIX access control list, and its form as an extended attribute
// (linux/posix_acl_xattr.h).
const (
	aclVersion = 2
	aclOwner   = 0x01
	aclUser    = 0x02
	aclGroup   = 0x04
	aclMask    = 0x10
	aclOther   = 0x20
)

// share gives root mode's rights of the owner, and reader those of the group;
// nobody else gets any. It returns the file's group.
//
// Attack: the name of a script's copy is in the process list. With the copy in
// reader's group, everyone in that group could read what the original shows to
// reader alone, and a group such as "users" has many. So an access control list
// names reader; group is the next best on file systems that have none.
func share(f *os.File, mode os.FileMode, reader, group uint32) (uint32, error) {
	if mode&0o070 != 0 {
		may := uint16(mode >> 3 & 0o7)
		list := binary.LittleEndian.AppendUint32(nil, aclVersion)
		for _, e := range []struct {
			tag, perm uint16
			id        uint32
		}{{aclOwner, uint16(mode >> 6 & 0o7), noID}, {aclUser, may, reader}, {aclGroup, 0, noID}, {aclMask, may, noID}, {aclOther, 0, noID}} {
			list = binary.LittleEndian.AppendUint16(list, e.tag)
			list = binary.LittleEndian.AppendUint16(list, e.perm)
			list = binary.LittleEndian.AppendUint32(list, e.id)
		}
		err := onDescriptor(f, func(fd int) error { return unix.Fsetxattr(fd, file.ACLAttribute, list, 0) })
		if err == nil {
			return 0, f.Chown(0, 0)
		}
		if !errors.Is(err, unix.EOPNOTSUPP) {
			return 0, err
		}
	}
	return group, errors.Join(f.Chown(0, int(group)), f.Chmod(mode))
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

// awaitNoWriters returns when no process has f open for writing. A child that
// was forked while the copy was written holds our descriptor until it execs,
// and executing the copy would fail with ETXTBSY until then. The kernel grants
// a read lease only on files without writers, which makes it the question to
// ask; holding back every fork during a copy of any size is the alternative.
func awaitNoWriters(ctx context.Context, f *os.File) error {
	ctx, cancel := context.WithTimeout(ctx, writersGone)
	defer cancel()
	return onDescriptor(f, func(fd int) error {
		for {
			_, err := unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_RDLCK)
			switch err {
			case nil:
				_, err = unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_UNLCK)
				return err
			case unix.EINVAL, unix.EOPNOTSUPP: // no leases on this file system
				return nil
			case unix.EAGAIN:
			default:
				return err
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("the copy is open for writing: %w", ctx.Err())
			case <-time.After(time.Millisecond):
			}
		}
	})
}

// checkCopy makes sure that the finished copy is what was meant to be made.
func checkCopy(f *os.File, size int64, mode os.FileMode, group uint32) error {
	return onDescriptor(f, func(fd int) error {
		at, err := file.Stat(fd)
		if err != nil {
			return err
		}
		if !at.Regular() || at.Size != size || at.UID != 0 || at.GID != group ||
			at.Mode&0o7777 != uint16(mode) || at.Links != 1 {
			return fmt.Errorf("the copy is not what was written: %+v", at)
		}
		return nil
	})
}

// WriteAtomic implements port.Files. path itself is replaced, also if it is a
// link.
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
