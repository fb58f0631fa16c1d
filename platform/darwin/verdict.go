//go:build darwin

package darwin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
)

const (
	codesign = "/usr/bin/codesign" // of the sealed system volume
	// codesignWithin bounds one answer; notarisation is not asked for, so no
	// network is waited for.
	codesignWithin = 30 * time.Second
)

// verdict asks codesign about the open file. codesign takes a path and not a
// descriptor, so the path is asked of the kernel, and what it names afterwards
// must still be the open file: the answer adds to our own check of the handle
// and never stands in for it.
func verdict(ctx context.Context, f *os.File) (core.Evidence, error) {
	path, err := pathOf(f)
	if err != nil {
		return core.Evidence{}, fmt.Errorf("darwin: verdict: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, codesignWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, codesign, "--verify", "--strict", "--verbose=1", "--", path)
	cmd.Env = []string{"LC_ALL=C", "PATH=/usr/bin:/bin"}
	var said bytes.Buffer
	cmd.Stderr = &said
	err = cmd.Run()
	if moved, statErr := names(path, f); statErr != nil || moved {
		return core.Evidence{}, fmt.Errorf("darwin: verdict: %s names another file now: try again", path)
	}
	e := core.Evidence{Kind: core.KindSystem, Rank: core.RankSigned, Standing: core.Trusted,
		Reason: "macOS finds the signature valid on disk",
		Checks: []core.Check{
			{Name: "codesign --verify --strict", Outcome: core.Passed},
			{Name: "notarisation", Outcome: core.NotChecked, Detail: "it is asked for when the program starts"},
		}}
	var status *exec.ExitError
	switch {
	case err == nil:
		return e, nil
	case !errors.As(err, &status):
		return core.Evidence{}, fmt.Errorf("darwin: verdict: %w", err)
	case bytes.Contains(said.Bytes(), []byte("not signed at all")):
		return core.Evidence{}, fmt.Errorf("darwin: verdict: %w", port.ErrNoAttribute)
	}
	e.Standing, e.Checks[0].Outcome = core.Untrusted, core.Failed
	e.Reason = fmt.Sprintf("macOS does not find the signature valid (codesign ended with status %d)", status.ExitCode())
	for _, changed := range []string{"invalid signature", "a sealed resource is missing or invalid", "code or signature have been modified"} {
		if bytes.Contains(said.Bytes(), []byte(changed)) {
			e.Standing, e.Reason = core.Broken, "the file was changed after it was signed"
		}
	}
	return e, nil
}

// pathOf is where the kernel says that the open file is (fcntl F_GETPATH).
func pathOf(f *os.File) (string, error) {
	var buffer [unix.PathMax]byte
	conn, err := f.SyscallConn()
	if err != nil {
		return "", err
	}
	var errno unix.Errno
	err = conn.Control(func(fd uintptr) {
		//nolint:staticcheck // SA1019: x/sys has no wrapper of F_GETPATH, whose argument is a buffer
		_, _, errno = unix.Syscall(unix.SYS_FCNTL, fd, unix.F_GETPATH, uintptr(unsafe.Pointer(&buffer[0])))
	})
	if err != nil {
		return "", err
	}
	if errno != 0 {
		return "", errno
	}
	return unix.ByteSliceToString(buffer[:]), nil
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
