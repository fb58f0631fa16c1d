package authenticode

import (
	"context"
	"crypto"
	_ "crypto/sha1" // dual-signed files are SHA-1 first
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/binary"
	"fmt"
	"hash"
	"io"

	"kpm/core"
)

// readSize is how much is read of a file at a time.
const readSize = 256 << 10

// digest makes the image's digests (Authenticode_PE, "Calculating the PE Image
// Hash") in one pass. The specification hashes the headers, then the sections
// by the offset of their raw data, then what follows them: in an image without
// gaps that is the file from end to end, except for CheckSum, the directory
// entry of the certificate table and the table. A gap is hashed here where it
// lies, so no byte outside those three goes unsigned.
func (p *image) digest(ctx context.Context, hashes []crypto.Hash) (map[crypto.Hash][]byte, error) {
	digests, _, err := p.digestPages(ctx, hashes, nil)
	return digests, err
}

// digestPages is digest, and makes tables of page hashes on the way. An image
// whose pages are not as pageTable knows them has no tables.
func (p *image) digestPages(ctx context.Context, hashes, pages []crypto.Hash) (digests, tables map[crypto.Hash][]byte, err error) {
	running := start(hashes)
	var paging []*pageTable
	for _, h := range pages {
		if spans, ok := p.pageSpans(); ok {
			paging = append(paging, newPageTable(h, spans))
		}
	}
	p.sum, p.finished = checksum{}, false
	err = stream(ctx, p.r, p.size, func(chunk []byte, at int64) {
		if p.checksum != 0 {
			p.sum.write(chunk)
		}
		p.signed(chunk, at, func(part []byte, at int64) {
			running.write(part)
			for _, t := range paging {
				t.write(part, at)
			}
		})
	})
	if err != nil {
		return nil, nil, err
	}
	p.finished = true
	if p.table == (span{}) {
		// Whoever signs it will first bring it to a multiple of 8; a catalog
		// lists the digest that it then has.
		running.write(make([]byte, -p.size&(winCertificateAlign-1)))
	}
	tables = make(map[crypto.Hash][]byte)
	for _, t := range paging {
		tables[t.algorithm] = t.finish()
	}
	return running.sums(), tables, nil
}

// signed hands over the parts of chunk, which begins at offset at, that a
// signature is about, in order.
func (p *image) signed(chunk []byte, at int64, part func([]byte, int64)) {
	end := at + int64(len(chunk))
	from := at
	for _, hole := range p.unsigned() {
		if hole.end <= from || hole.start >= end {
			continue
		}
		if hole.start > from {
			part(chunk[from-at:hole.start-at], from)
		}
		from = min(hole.end, end)
	}
	if from < end {
		part(chunk[from-at:], from)
	}
}

// unsigned are the parts that no signature is about, by offset.
func (p *image) unsigned() []span {
	holes := []span{{p.checksumAt, p.checksumAt + 4}}
	if p.directoryAt != 0 {
		holes = append(holes, span{p.directoryAt, p.directoryAt + directorySize})
	}
	if p.table != (span{}) {
		holes = append(holes, p.table)
	}
	return holes
}

// checks reports the PE checksum. It protects nothing: it is 16 bits wide and
// anyone can set it. A wrong one still tells that something was done to the
// file after it was made.
func (p *image) checks() []core.Check {
	check := core.Check{Name: "PE checksum", Outcome: core.NotChecked, Detail: "not set"}
	if p.checksum != 0 && p.finished {
		check.Outcome, check.Detail = core.Passed, ""
		if is := p.sum.of(p.checksum, p.size); is != p.checksum {
			check.Outcome = core.Failed
			check.Detail = fmt.Sprintf("says %08x, is %08x; it protects nothing", p.checksum, is)
		}
	}
	return []core.Check{check}
}

// stream reads a file from beginning to end.
func stream(ctx context.Context, r io.ReaderAt, size int64, chunk func(chunk []byte, at int64)) error {
	buffer := make([]byte, min(readSize, size))
	for at := int64(0); at < size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := buffer[:min(int64(len(buffer)), size-at)]
		if n, err := r.ReadAt(b, at); n < len(b) {
			return fmt.Errorf("authenticode: read: %w", short(err))
		}
		chunk(b, at)
		at += int64(len(b))
	}
	return nil
}

// digests are hashes under way.
type digests map[crypto.Hash]hash.Hash

func start(hashes []crypto.Hash) digests {
	d := make(digests, len(hashes))
	for _, h := range hashes {
		d[h] = h.New()
	}
	return d
}

func (d digests) write(b []byte) {
	for _, h := range d {
		h.Write(b)
	}
}

func (d digests) sums() map[crypto.Hash][]byte {
	sums := make(map[crypto.Hash][]byte, len(d))
	for algorithm, h := range d {
		sums[algorithm] = h.Sum(nil)
	}
	return sums
}

// checksum is the one's complement sum of a file's 16-bit words, of which
// CheckSum is made (CheckSumMappedFile of imagehlp). All chunks but the last
// are of a multiple of 8 bytes. Words of 32 bits have the same sum once it is
// folded (RFC 1071, section 2).
type checksum struct{ sum uint64 }

func (c *checksum) write(b []byte) {
	const low = 1<<32 - 1
	// Two sums, which do not wait for each other.
	even, odd := c.sum, uint64(0)
	for ; len(b) >= 32; b = b[32:] {
		v, w := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
		x, y := binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[24:])
		even += v&low + w&low + x&low + y&low
		odd += v>>32 + w>>32 + x>>32 + y>>32
	}
	var tail [32]byte
	copy(tail[:], b)
	for b := tail[:]; len(b) > 0; b = b[8:] {
		v := binary.LittleEndian.Uint64(b)
		even, odd = even+v&low, odd+v>>32
	}
	sum := even + odd
	c.sum = sum&low + sum>>32 // folded, so that no size of file overflows it
}

// of is the checksum of a file of that size whose CheckSum field, which counts
// as zero, holds field.
func (c *checksum) of(field uint32, size int64) uint32 {
	sum := c.sum + uint64(^field) // takes field away
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return uint32(sum) + uint32(size)
}
