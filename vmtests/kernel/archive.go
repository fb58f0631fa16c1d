//go:build linux

package kernel

import (
	"fmt"
	"io"
)

// archive writes a cpio archive as the kernel unpacks it for its first file
// system ("newc", Documentation/driver-api/early-userspace/buffer-format.rst).
type archive struct {
	w     io.Writer
	inode int
	err   error
}

const (
	modeFile      = 0o100755
	modeDirectory = 0o040755
	modeCharacter = 0o020600
)

// add appends an entry. major and minor are those of a device.
func (a *archive) add(name string, mode int, data []byte, major, minor int) {
	a.inode++
	header := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.inode, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor, len(name)+1, 0, name)
	a.write([]byte(header))
	a.write(data)
}

// write fills up to a multiple of 4 bytes.
func (a *archive) write(p []byte) {
	for _, part := range [][]byte{p, make([]byte, -len(p)&3)} {
		if a.err == nil {
			_, a.err = a.w.Write(part)
		}
	}
}

// close ends the archive.
func (a *archive) close() error {
	a.add("TRAILER!!!", 0, nil, 0, 0)
	return a.err
}
