package launcher

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"kpm/core/filecache"
	"kpm/core/port"
)

// maxHash is the largest program that is hashed, in bytes.
const maxHash = 1 << 30

// maxDigests is how many Protected files' contents are remembered.
const maxDigests = 1024

// errMoved means that a file changed while it was read.
var errMoved = errors.New("it changed while it was read: try again")

// contents is what is known about a program's bytes.
type contents struct {
	sha256      string
	interpreter string // behind "#!", "" for a binary
}

// contentsOf reads, or remembers, the program behind handle, which is Protected
// and is what info says.
func (l *Launcher) contentsOf(ctx context.Context, handle *os.File, info port.FileInfo) (contents, error) {
	of := filecache.Identify(info, 0)
	if c, ok := l.digests.Get(of, nil); ok {
		return c, nil
	}
	file, err := l.cfg.Files.Open(handle)
	if err != nil {
		return contents{}, err
	}
	defer file.Close()
	hash := sha256.New()
	head, err := pour(ctx, hash, file)
	if err != nil {
		return contents{}, fmt.Errorf("hash %s: %w", info.Path, err)
	}
	c := contents{sha256: hex.EncodeToString(hash.Sum(nil))}
	if c.interpreter, err = shebang(head); err != nil {
		return contents{}, err
	}
	// Root may be installing a new version at this moment.
	now, err := l.cfg.Files.Inspect(handle)
	if err != nil {
		return contents{}, err
	}
	if filecache.Identify(now, 0) != of {
		return contents{}, errMoved
	}
	l.digests.Put(of, c)
	return c, nil
}

// pour writes file to dst and returns its beginning. It looks at ctx between
// reads and gives up beyond maxHash.
func pour(ctx context.Context, dst io.Writer, file io.Reader) (head []byte, err error) {
	buffer := make([]byte, 128<<10)
	for size := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, err := file.Read(buffer)
		if len(head) < shebangSize {
			head = append(head, buffer[:min(n, shebangSize-len(head))]...)
		}
		if size += int64(n); size > maxHash {
			return nil, fmt.Errorf("more than %d bytes", maxHash)
		}
		if _, err := dst.Write(buffer[:n]); err != nil {
			return nil, err
		}
		if errors.Is(err, io.EOF) {
			return head, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// headOf returns the beginning of the program behind handle.
func (l *Launcher) headOf(handle *os.File) ([]byte, error) {
	file, err := l.cfg.Files.Open(handle)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	head := make([]byte, shebangSize)
	n, err := io.ReadFull(file, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	return head[:n], nil
}
