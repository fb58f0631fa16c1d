//go:build linux

package linux

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/linux/file"
	"kpm/trust/tpm"
)

// machineTPM is the TPM behind the kernel's resource manager, which keeps the
// objects of programs apart (drivers/char/tpm/tpmrm-dev.c, since
// Linux 4.12). /dev/tpm0 would be ours alone, or somebody else's.
const machineTPM = "/dev/tpmrm0"

// KeyStore implements port.KeyStore.
type KeyStore struct{}

var _ port.KeyStore = KeyStore{}

// OpenTPM implements port.KeyStore.
func (KeyStore) OpenTPM(device string) (port.TPM, error) {
	if strings.HasPrefix(device, "tcp:") {
		return tpm.DialTCP(device)
	}
	path := device
	if path == "" {
		path = machineTPM
	}
	t, err := openTPM(path)
	if device == "" && errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", port.ErrNoTPM, err)
	}
	if err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	return t, nil
}

func openTPM(path string) (port.TPM, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("%q is no absolute path", path)
	}
	at, err := rootsOwn(path)
	if err != nil {
		return nil, err
	}
	switch at.Mode & unix.S_IFMT {
	case unix.S_IFSOCK:
		return tpm.DialUnix(path), nil
	case unix.S_IFCHR:
		return openCharacter(path)
	}
	return nil, fmt.Errorf("%s is neither a character device nor a socket", path)
}

// rootsOwn describes what path names, if root alone can put something else
// there. The nearest directory is looked at, and no link is followed: the way to
// the kernel's own /dev is root's, and whoever names another device answers for
// the way to it.
//
// Attack: whoever answers in the TPM's place on the first day is believed.
func rootsOwn(path string) (file.Node, error) {
	dir, err := openat(unix.AT_FDCWD, filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return file.Node{}, fmt.Errorf("open %s: %w", filepath.Dir(path), err)
	}
	defer unix.Close(dir)
	fd, err := openat(dir, filepath.Base(path), unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return file.Node{}, fmt.Errorf("open %s: %w", path, err)
	}
	defer unix.Close(fd)
	if _, err := file.RootAlone(dir, filepath.Dir(path)); err != nil {
		return file.Node{}, err
	}
	at, err := file.Stat(fd)
	if err != nil {
		return file.Node{}, fmt.Errorf("inspect %s: %w", path, err)
	}
	// A device may belong to somebody else, as to tss, and a socket may be open
	// to all: that lets them use it, not replace it.
	if at.UID != 0 && at.Mode&unix.S_IFMT != unix.S_IFCHR {
		return file.Node{}, fmt.Errorf("%s belongs to uid %d, expected root: %w", path, at.UID, core.ErrNotProtected)
	}
	return at, nil
}

// character is a TPM's device file. It is in blocking mode: write returns when
// the TPM has the answer, read takes it (drivers/char/tpm/tpm-dev-common.c).
type character struct {
	fd   int
	path string
}

func openCharacter(path string) (port.TPM, error) {
	fd, err := openat(unix.AT_FDCWD, path, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return &character{fd, path}, nil
}

// Send implements port.TPM.
func (c *character) Send(command []byte) ([]byte, error) {
	if _, err := untilDone(func() (int, error) { return unix.Write(c.fd, command) }); err != nil {
		return nil, fmt.Errorf("write %s: %w", c.path, err)
	}
	response := make([]byte, 4096)
	n, err := untilDone(func() (int, error) { return unix.Read(c.fd, response) })
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", c.path, err)
	}
	return response[:n], nil
}

// Close implements port.TPM. The kernel takes out what is left in the TPM. What
// is sent afterwards goes nowhere, also if the number is somebody else's by then.
func (c *character) Close() error {
	fd := c.fd
	c.fd = -1
	return unix.Close(fd)
}

// untilDone calls do again as long as a signal interrupts it.
func untilDone(do func() (int, error)) (int, error) {
	for {
		n, err := do()
		if err != unix.EINTR {
			return n, err
		}
	}
}
