package launcher

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"kpm/core/port"
	"os"
	"sync"
)

// maxHash is the largest program that is hashed, in bytes.
const maxHash = 1 << 30

// maxDigests bounds the cache.
const maxDigests = 1024

// errMoved means that a file changed while it was read.
var errMoved = errors.New("it changed while it was read: try again")

// contents is what is known about a program's bytes.
type contents struct {
	sha256      string
	interpreter string // behind "#!", "" for a binary
}

// identity names one version of one file. The kernel moves the change time
// with every write and chmod; nobody but root can set it back, and root's files
// are the only ones that are remembered.
type identity struct {
	device, inode uint64
	size          int64
	change        int64 // nanoseconds
}

func identify(info port.FileInfo) identity {
	return identity{info.Device, info.Inode, info.Size, info.Change.UnixNano()}
}

// digests remembers the contents of Protected files, the least recently used
// forgotten first. A digest of a file that anyone else could change is never
// asked of it (decision 26).
type digests struct {
	mu      sync.Mutex
	entries map[identity]*list.Element
	order   *list.List // of digest, most recently used first
}

type digest struct {
	of       identity
	contents contents
}

func newDigests() *digests {
	return &digests{entries: map[identity]*list.Element{}, order: list.New()}
}

func (d *digests) get(of identity) (contents, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	element, ok := d.entries[of]
	if !ok {
		return contents{}, false
	}
	d.order.MoveToFront(element)
	return element.Value.(digest).contents, true
}

func (d *digests) put(of identity, c contents) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if element, ok := d.entries[of]; ok {
		d.order.MoveToFront(element)
		return
	}
	d.entries[of] = d.order.PushFront(digest{of, c})
	if d.order.Len() > maxDigests {
		oldest := d.order.Back()
		d.order.Remove(oldest)
		delete(d.entries, oldest.Value.(digest).of)
	}
}

// contentsOf reads, or remembers, the program behind handle, which is Protected
// and is what info says.
func (l *Launcher) contentsOf(ctx context.Context, handle *os.File, info port.FileInfo) (contents, error) {
	of := identify(info)
	if c, ok := l.digests.get(of); ok {
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
	if identify(now) != of {
		return contents{}, errMoved
	}
	l.digests.put(of, c)
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
