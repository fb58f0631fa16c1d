package authenticode

import (
	"context"
	"crypto"
	"encoding/asn1"
	"io"
	"slices"

	"kpm/core"
)

// fileDigests are what catalogs know a file by: the Authenticode digest of a PE
// image, and of any other file the digest of its bytes.
type fileDigests struct {
	kind member
	sums map[crypto.Hash][]byte
}

// member tells what a digest is of.
type member uint8

const (
	memberImage member = 1 << iota // a PE image without its signature
	memberFlat                     // any other file
)

func kindOf(dataType asn1.ObjectIdentifier) member {
	if dataType.Equal(oidPeImageData) {
		return memberImage
	}
	return memberFlat
}

// listing makes the digests that a catalog would list s by. made are those
// that the signatures of s needed anyway. s may be nil.
func (s *subject) listing(ctx context.Context, r io.ReaderAt, size int64, hashes []crypto.Hash, made map[crypto.Hash][]byte) (fileDigests, error) {
	switch {
	case s == nil || s.format != formatPE:
		running := start(hashes)
		err := stream(ctx, r, size, func(chunk []byte, _ int64) { running.write(chunk) })
		return fileDigests{memberFlat, running.sums()}, err
	case s.malformed != nil:
		return fileDigests{}, nil // nobody knows what it would be signed by
	case made != nil:
		return fileDigests{memberImage, made}, nil
	}
	sums, err := s.digest(ctx, hashes)
	return fileDigests{memberImage, sums}, err
}

// listedBy are the digests that catalogs need of a PE image, to be made in the
// pass over it that its signatures need too.
func listedBy(s *subject, catalogs []*Catalog) []crypto.Hash {
	if s == nil || s.format != formatPE {
		return nil
	}
	return hashesOf(catalogs)
}

func hashesOf(catalogs []*Catalog) []crypto.Hash {
	var hashes []crypto.Hash
	for _, c := range catalogs {
		for _, h := range c.hashes {
			if !slices.Contains(hashes, h) {
				hashes = append(hashes, h)
			}
		}
	}
	return hashes
}

// judgeFile is what the catalog says about a file, if it lists it: as much as
// the catalog itself is worth now, and nothing to trust if it knows the file
// only by a digest that can be forged.
func (c *Catalog) judgeFile(file fileDigests) (core.Evidence, bool) {
	for _, known := range digestAlgorithms { // the strong ones first
		sum, made := file.sums[known.hash]
		if !made || c.members[string(sum)]&file.kind == 0 {
			continue
		}
		e := c.judge()
		e.Kind, e.Digest = core.KindCatalog, known.hash.String()
		pass(&e, "file digest", "the catalog lists it")
		distrust(&e, known.hash)
		return e, true
	}
	return core.Evidence{}, false
}
