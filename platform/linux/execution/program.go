//go:build linux

package execution

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"kpm/core/port"
)

// maxHashed bounds the files whose hash is computed while somebody waits, in bytes.
const maxHashed = 256 << 20

// Program implements port.Executions.
func (g *Group) Program(kept port.Execution, interpreter bool) (port.Program, error) {
	link := "/proc/self/fd/" + strconv.Itoa(kept.Token)
	name, err := os.Readlink(link)
	if err != nil {
		return port.Program{}, fmt.Errorf("what is the file called: %w", err)
	}
	p := port.Program{Path: name, Elsewhere: true}
	var open, there unix.Stat_t
	if err := unix.Fstat(kept.Token, &open); err != nil {
		return port.Program{}, fmt.Errorf("fstat: %w", err)
	}
	if open.Nlink == 0 {
		p.Path = strings.TrimSuffix(name, " (deleted)")
	}
	// Attack: in a mount namespace or a chroot of one's own, or below what is mounted
	// over it, a file of one's own is called like a program that is allowed.
	if unix.Lstat(p.Path, &there) == nil && there.Dev == open.Dev && there.Ino == open.Ino {
		p.Elsewhere = false
	}
	// A copy of the descriptor has its place in the file, and others read as well.
	read := io.NewSectionReader(descriptor(kept.Token), 0, maxHashed+1)
	if open.Size <= maxHashed {
		sum := sha256.New()
		if n, err := io.Copy(sum, read); err == nil && n <= maxHashed {
			p.Hash = hex.EncodeToString(sum.Sum(nil))
		}
	}
	if !interpreter {
		return p, nil
	}
	path, script, ok := interpreterOf(descriptor(kept.Token))
	if !ok {
		return p, nil
	}
	// As the process itself will look for it.
	if unix.Stat(fmt.Sprintf("/proc/%d/root%s", kept.Process, path), &there) == nil {
		p.Interpreter, p.Script = stateOf(&there), script
	}
	return p, nil
}

// descriptor reads an open file by place.
type descriptor int

// ReadAt implements io.ReaderAt.
func (d descriptor) ReadAt(p []byte, at int64) (n int, err error) {
	for n < len(p) {
		m, err := unix.Pread(int(d), p[n:], at+int64(n))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return n, err
		case m == 0:
			return n, io.EOF
		default:
			n += m
		}
	}
	return n, nil
}
