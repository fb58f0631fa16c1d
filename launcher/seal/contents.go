package seal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"kpm/core"
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
// and is what info says. If it is read, meanwhile is done beside it, on another
// processor.
func (s *Sealer) contentsOf(ctx context.Context, user core.UserID, handle *os.File, info port.FileInfo, meanwhile func()) (contents, error) {
	of := filecache.Identify(info, 0)
	if c, ok := s.digests.Get(of, nil); ok {
		return c, nil
	}
	file, err := s.Files.Open(handle)
	if err != nil {
		return contents{}, err
	}
	defer file.Close()
	if err := s.budget.spend(ctx, user, info); err != nil {
		return contents{}, err
	}
	var beside sync.WaitGroup
	beside.Go(meanwhile)
	defer beside.Wait()
	hash := sha256.New()
	pace := s.budget.pace(ctx, user)
	head, err := pour(ctx, hash, file, pace.step)
	pace.end()
	if err != nil {
		return contents{}, fmt.Errorf("hash %s: %w", info.Path, err)
	}
	c := contents{sha256: hex.EncodeToString(hash.Sum(nil))}
	if c.interpreter, err = shebang(head); err != nil {
		return contents{}, err
	}
	// Root may be installing a new version at this moment.
	now, err := s.Files.Inspect(handle)
	if err != nil {
		return contents{}, err
	}
	if filecache.Identify(now, 0) != of {
		return contents{}, errMoved
	}
	s.digests.Put(of, c)
	return c, nil
}

// pour writes file to dst and returns its beginning. It looks at ctx between
// reads and gives up beyond maxHash.
func pour(ctx context.Context, dst io.Writer, file io.Reader, step func() error) (head []byte, err error) {
	buffer := make([]byte, port.Piece)
	for size := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := step(); err != nil {
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
