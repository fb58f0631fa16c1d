//go:build linux

package linux

import (
	"context"
	"crypto"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/linux/file"
)

// Signatures implements port.SystemSignatures. Of a file on FUSE it says that it carries
// nothing: the answer would be its daemon's, perhaps a user's, who need not
// give one.
type Signatures struct{}

var _ port.SystemSignatures = Signatures{}

const (
	// maxAttribute is the longest value that the kernel keeps, in bytes
	// (XATTR_SIZE_MAX in include/uapi/linux/limits.h).
	maxAttribute = 64 << 10
	// maxVeritySignature is FS_VERITY_MAX_SIGNATURE_SIZE in
	// fs/verity/fsverity_private.h, in bytes.
	maxVeritySignature = 16128
	// verityDescriptor is the size of struct fsverity_descriptor without its
	// signature, maxVerityDigest that of the longest digest, in bytes.
	verityDescriptor = 256
	maxVerityDigest  = 64
)

// Requests that golang.org/x/sys does not name.
const (
	fsIocGetVersion = 0x80087601 // FS_IOC_GETVERSION, include/uapi/linux/fs.h
	fsIocGetFSUUID  = 0x80111500 // FS_IOC_GETFSUUID, the same, since 6.9
	ext4IocGetUUID  = 0x8008662c // EXT4_IOC_GETFSUUID, include/uapi/linux/ext4.h, since 5.19
)

// Attribute implements port.SystemSignatures.
func (Signatures) Attribute(f *os.File, name string) ([]byte, error) {
	var value []byte
	err := onHost(f, func(fd int) error {
		buffer := make([]byte, 1024) // enough for a signature
		n, err := getxattr(fd, name, buffer)
		if errors.Is(err, unix.ERANGE) {
			buffer = make([]byte, maxAttribute)
			n, err = getxattr(fd, name, buffer)
		}
		if err != nil {
			return missing(err)
		}
		value = buffer[:n:n]
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("signature: %s of %s: %w", name, f.Name(), err)
	}
	return value, nil
}

// getxattr goes by way of /proc: fgetxattr refuses a handle that cannot be
// read from. The link leads to the object itself, whatever its path is now.
func getxattr(fd int, name string, value []byte) (int, error) {
	for {
		n, err := unix.Getxattr(procFd(fd), name, value)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// Verity implements port.SystemSignatures (Documentation/filesystems/fsverity.rst,
// "FS_IOC_MEASURE_VERITY" and "FS_IOC_READ_VERITY_METADATA").
func (Signatures) Verity(f *os.File) (port.Verity, error) {
	var v port.Verity
	err := onHost(f, func(fd int) error {
		return readable(fd, f.Name(), func(fd int) (err error) {
			if v, err = measured(fd); err != nil {
				return missing(err)
			}
			return metadata(fd, &v)
		})
	})
	if err != nil {
		return port.Verity{}, fmt.Errorf("signature: fs-verity of %s: %w", f.Name(), err)
	}
	return v, nil
}

// measured asks for struct fsverity_digest.
func measured(fd int) (port.Verity, error) {
	var answer struct {
		algorithm, size uint16
		digest          [maxVerityDigest]byte
	}
	answer.size = maxVerityDigest
	if _, err := ioctl(fd, unix.FS_IOC_MEASURE_VERITY, unsafe.Pointer(&answer)); err != nil {
		return port.Verity{}, err
	}
	v := port.Verity{}
	switch answer.algorithm {
	case unix.FS_VERITY_HASH_ALG_SHA256:
		v.Hash = crypto.SHA256
	case unix.FS_VERITY_HASH_ALG_SHA512:
		v.Hash = crypto.SHA512
	default:
		return v, fmt.Errorf("unknown algorithm %d", answer.algorithm)
	}
	if int(answer.size) != v.Hash.Size() {
		return v, fmt.Errorf("a digest of %d bytes", answer.size)
	}
	v.Digest = append(v.Digest, answer.digest[:answer.size]...)
	return v, nil
}

// metadata adds what lies in the descriptor and behind it. A kernel before 5.12
// tells none of it.
func metadata(fd int, v *port.Verity) error {
	descriptor, err := readMetadata(fd, unix.FS_VERITY_METADATA_TYPE_DESCRIPTOR, verityDescriptor)
	if errors.Is(missing(err), port.ErrNoAttribute) {
		return nil
	}
	if err != nil {
		return err
	}
	// struct fsverity_descriptor: version, algorithm, log2 of the block size,
	// size of the salt; the salt is at 80.
	if len(descriptor) != verityDescriptor || descriptor[0] != 1 || descriptor[2] > 16 || descriptor[3] > 32 {
		return errors.New("the descriptor is malformed")
	}
	v.BlockSize = 1 << descriptor[2]
	v.Salt = append(v.Salt, descriptor[80:80+int(descriptor[3])]...)
	v.Signature, err = readMetadata(fd, unix.FS_VERITY_METADATA_TYPE_SIGNATURE, maxVeritySignature)
	if errors.Is(missing(err), port.ErrNoAttribute) {
		v.Signature, err = nil, nil
	}
	return err
}

// readMetadata reads up to size bytes with struct fsverity_read_metadata_arg.
func readMetadata(fd int, kind uint64, size int) ([]byte, error) {
	buffer := make([]byte, size)
	var pins runtime.Pinner
	defer pins.Unpin()
	pins.Pin(&buffer[0])
	arg := struct{ kind, offset, length, buffer, reserved uint64 }{
		kind: kind, length: uint64(size), buffer: uint64(uintptr(unsafe.Pointer(&buffer[0]))),
	}
	n, err := ioctl(fd, unix.FS_IOC_READ_VERITY_METADATA, unsafe.Pointer(&arg))
	if err != nil {
		return nil, err
	}
	return buffer[:min(n, size)], nil
}

// Generation implements port.SystemSignatures.
func (Signatures) Generation(f *os.File) (uint64, error) {
	var generation uint32
	err := onHost(f, func(fd int) error {
		return readable(fd, f.Name(), func(fd int) (err error) {
			generation, err = generationOf(fd)
			return err
		})
	})
	if err != nil && !errors.Is(err, port.ErrNoAttribute) {
		return 0, fmt.Errorf("signature: generation of %s: %w", f.Name(), err)
	}
	return uint64(generation), nil
}

// generationOf answers 0 where the file system keeps no generation. The kernel
// writes an int, whatever the request's number says about its size.
func generationOf(fd int) (uint32, error) {
	var answer [8]byte
	if _, err := ioctl(fd, fsIocGetVersion, unsafe.Pointer(&answer)); err != nil {
		if errors.Is(missing(err), port.ErrNoAttribute) {
			err = nil
		}
		return 0, err
	}
	return binary.NativeEndian.Uint32(answer[:]), nil
}

// Node implements port.SystemSignatures.
func (Signatures) Node(f *os.File) (port.Node, error) {
	var n port.Node
	err := onHost(f, func(fd int) error {
		return readable(fd, f.Name(), func(fd int) error {
			at, err := file.Stat(fd)
			if err != nil {
				return err
			}
			generation, err := generationOf(fd)
			n = port.Node{Inode: at.Inode, Generation: generation, UID: at.UID, GID: at.GID, Mode: at.Mode, UUID: fsUUID(fd)}
			return err
		})
	})
	if errors.Is(err, port.ErrNoAttribute) {
		return port.Node{}, fmt.Errorf("signature: inode of %s: %w", f.Name(), errors.ErrUnsupported)
	}
	if err != nil {
		return port.Node{}, fmt.Errorf("signature: inode of %s: %w", f.Name(), err)
	}
	return n, nil
}

// fsUUID returns the UUID of the file system, nil if it does not say.
func fsUUID(fd int) []byte {
	var any struct { // struct fsuuid2
		size uint8
		uuid [16]byte
	}
	if _, err := ioctl(fd, fsIocGetFSUUID, unsafe.Pointer(&any)); err == nil && any.size == 16 {
		return append([]byte(nil), any.uuid[:]...)
	}
	ext4 := struct { // struct fsuuid
		size, flags uint32
		uuid        [16]byte
	}{size: 16}
	if _, err := ioctl(fd, ext4IocGetUUID, unsafe.Pointer(&ext4)); err == nil && ext4.size == 16 {
		return append([]byte(nil), ext4.uuid[:]...)
	}
	return nil
}

// Verdict implements port.SystemSignatures. The kernel gives none before the file is
// executed, and then no evidence but a refusal (Documentation/ABI/testing/
// ima_policy).
func (Signatures) Verdict(context.Context, *os.File) (core.Evidence, error) {
	return core.Evidence{}, port.ErrNoAttribute
}

// onHost calls use with f's descriptor unless f is on FUSE.
func onHost(f *os.File, use func(fd int) error) error {
	return onDescriptor(f, func(fd int) error {
		at, err := file.Stat(fd)
		if err != nil {
			return err
		}
		mounted, err := file.FindMount(fd, at)
		if err != nil {
			return err
		}
		if mounted.Userspace() {
			return port.ErrNoAttribute
		}
		return use(fd)
	})
}

// readable calls use with fd, or with the same object open for reading if fd
// is a handle that takes no ioctl.
func readable(fd int, name string, use func(fd int) error) error {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return err
	}
	if flags&unix.O_PATH == 0 {
		return use(fd)
	}
	at, err := file.Stat(fd)
	if err != nil {
		return err
	}
	if !at.Regular() {
		return port.ErrNoAttribute // a device could do anything when it is opened
	}
	again, err := file.Reopen(fd, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return err
	}
	defer again.Close()
	return onDescriptor(again, use)
}

func ioctl(fd int, request uint, arg unsafe.Pointer) (int, error) {
	for {
		n, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(arg))
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// missing turns the ways of saying "there is none" into port.ErrNoAttribute:
// the file carries none, its file system none at all, this kernel none.
func missing(err error) error {
	for _, none := range []error{unix.ENODATA, unix.EOPNOTSUPP, unix.ENOTTY, unix.ENOSYS} {
		if errors.Is(err, none) {
			return port.ErrNoAttribute
		}
	}
	return err
}
