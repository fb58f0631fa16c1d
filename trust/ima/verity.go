package ima

import (
	"context"
	"crypto"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/bits"

	"kpm/core"
	"kpm/core/port"
)

// Parameters of an fs-verity Merkle tree (Documentation/filesystems/
// fsverity.rst, "Merkle tree"). What is not said is as fsverity(1) has it:
// SHA-256, blocks of 4096 bytes and no salt.
type Parameters struct {
	Hash      crypto.Hash // crypto.SHA256 or crypto.SHA512; 0 is SHA-256
	BlockSize int         // a power of two from 1024 to 65536; 0 is 4096
	Salt      []byte      // up to 32 bytes
}

const (
	defaultBlock = 4096
	minBlock     = 1024
	maxBlock     = 65536
	maxSalt      = 32
	// readSize is how much is read at once, in bytes: a multiple of any block.
	readSize = 256 << 10
)

var errParameters = errors.New("ima: such fs-verity parameters do not exist")

// number is the algorithm in struct fsverity_descriptor (FS_VERITY_HASH_ALG_*
// in include/uapi/linux/fsverity.h), 0 if there is none.
func number(h crypto.Hash) byte {
	switch h {
	case crypto.SHA256:
		return 1
	case crypto.SHA512:
		return 2
	}
	return 0
}

// Measure computes the fs-verity digest of the size bytes of r: the hash of
// struct fsverity_descriptor, which holds the root of their Merkle tree. It
// reads them once and keeps one block for each level of the tree.
func Measure(ctx context.Context, r io.ReaderAt, size int64, p Parameters) ([]byte, error) {
	if p.Hash == 0 {
		p.Hash = crypto.SHA256
	}
	if p.BlockSize == 0 {
		p.BlockSize = defaultBlock
	}
	if number(p.Hash) == 0 || p.BlockSize < minBlock || p.BlockSize > maxBlock || p.BlockSize&(p.BlockSize-1) != 0 || len(p.Salt) > maxSalt {
		return nil, errParameters
	}
	t := newTree(p)
	buffer := make([]byte, readSize)
	for at := int64(0); at < size; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := int(min(readSize, size-at))
		if read, err := r.ReadAt(buffer[:n], at); read < n {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, fmt.Errorf("ima: fs-verity digest: %w", err)
		}
		for at += int64(n); n%p.BlockSize != 0; n++ {
			buffer[n] = 0 // the last block is filled up
		}
		for block := 0; block < n; block += p.BlockSize {
			t.add(0, t.sum(buffer[block:block+p.BlockSize]))
		}
	}
	return descriptorDigest(p, size, t.root()), nil
}

// descriptorSize is that of struct fsverity_descriptor without a signature.
const descriptorSize = 256

// descriptorDigest hashes struct fsverity_descriptor (Documentation/
// filesystems/fsverity.rst, "fs-verity descriptor").
func descriptorDigest(p Parameters, size int64, root []byte) []byte {
	var d [descriptorSize]byte
	d[0] = 1 // version
	d[1] = number(p.Hash)
	d[2] = byte(bits.TrailingZeros(uint(p.BlockSize)))
	d[3] = byte(len(p.Salt))
	binary.LittleEndian.PutUint64(d[8:], uint64(size))
	copy(d[16:80], root)
	copy(d[80:112], p.Salt)
	h := p.Hash.New()
	h.Write(d[:])
	return h.Sum(nil)
}

// tree is a Merkle tree under construction. levels[i] is the unfinished block
// of digests at level i.
type tree struct {
	Parameters
	prefix []byte // the salt, filled up to the hash's own block size
	levels [][]byte
	hash   hash.Hash
	space  [64]byte
}

func newTree(p Parameters) *tree {
	h := p.Hash.New()
	t := &tree{Parameters: p, hash: h}
	if len(p.Salt) > 0 {
		t.prefix = make([]byte, h.BlockSize())
		copy(t.prefix, p.Salt)
	}
	return t
}

// sum hashes a block. The digest is good until the next one.
func (t *tree) sum(block []byte) []byte {
	t.hash.Reset()
	t.hash.Write(t.prefix)
	t.hash.Write(block)
	return t.hash.Sum(t.space[:0])
}

// add puts a digest into the level's block, and a full block's digest into the
// level above.
func (t *tree) add(level int, digest []byte) {
	if level == len(t.levels) {
		t.levels = append(t.levels, make([]byte, 0, t.BlockSize))
	}
	t.levels[level] = append(t.levels[level], digest...)
	if len(t.levels[level]) == t.BlockSize {
		t.finish(level)
	}
}

// finish fills up the level's block and hashes it into the level above.
func (t *tree) finish(level int) {
	block := t.levels[level]
	full := block[:t.BlockSize]
	clear(full[len(block):])
	t.levels[level] = block[:0]
	t.add(level+1, t.sum(full))
}

// root is the digest that is alone on its level. An empty file has none: its
// root is all zeros.
func (t *tree) root() []byte {
	for level := 0; level < len(t.levels); level++ {
		top := level == len(t.levels)-1
		if top && len(t.levels[level]) == t.Hash.Size() {
			return t.levels[level]
		}
		if len(t.levels[level]) > 0 {
			t.finish(level)
		}
	}
	return make([]byte, t.Hash.Size())
}

// measure computes the digest of the bytes with the parameters that the kernel
// names, and reports what the kernel itself holds the file to.
//
// Attack: a file system of the caller's own (FUSE) answers the ioctl, with the
// digest and signature of another file. So the kernel's digest is compared and
// never believed.
func (j *judge) measure(p Parameters, measured port.Verity, enabled bool) (digest []byte, enforced core.Check, err error) {
	enforced = core.Check{Name: "kernel enforcement", Outcome: core.NotChecked, Detail: "fs-verity is not enabled for the file"}
	if enabled {
		p.BlockSize, p.Salt = measured.BlockSize, measured.Salt
	}
	digest, err = Measure(j.ctx, j.Content, j.Size, p)
	if err == nil && enabled {
		enforced = core.Check{Name: "kernel enforcement", Outcome: core.Passed}
		if string(digest) != string(measured.Digest) {
			enforced.Outcome = core.Failed
		}
	}
	return digest, enforced, err
}

// veritySignature judges security.ima of kindVerity.
func (j *judge) veritySignature(e core.Evidence, a attribute, measured port.Verity, enabled bool) (core.Evidence, error) {
	e.Digest, e.KeyID = a.algorithm.name, a.id()
	switch {
	case number(a.algorithm.hash) == 0:
		return broken(e, "security.ima is malformed: fs-verity does not use "+a.algorithm.name), nil
	case enabled && measured.BlockSize == 0:
		return untrusted(e, "this kernel does not tell how it computes the fs-verity digest"), nil
	}
	candidates := j.keys.named(a.keyID)
	if len(candidates) == 0 {
		return untrusted(e, "the key that made the signature is not one that is trusted"), nil
	}
	digest, enforced, err := j.measure(Parameters{Hash: a.algorithm.hash}, measured, enabled)
	if err != nil {
		return unmeasured(e, err)
	}
	e.Checks = append(e.Checks, enforced)
	if enforced.Outcome == core.Failed {
		return broken(e, "these bytes are not those that the kernel measured with fs-verity"), nil
	}
	return j.keys.judge(e, candidates, a.algorithm, a.signed(digest), a.signature, "the file was changed after it was signed"), nil
}

// unmeasured tells bytes that could not be read from parameters that cannot be.
func unmeasured(e core.Evidence, err error) (core.Evidence, error) {
	if errors.Is(err, errParameters) {
		return broken(e, "the fs-verity parameters are malformed"), nil
	}
	return e, err
}
