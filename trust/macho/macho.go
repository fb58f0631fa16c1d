// Package macho verifies the code signature inside a Mach-O file, thin or fat:
// that every byte is the one that was signed, by whom, and what the signer says
// about the program (identifier, team, hardening, entitlements, requirements).
//
// It sees one file. What else a bundle seals (Info.plist, resources, a stapled
// notarisation ticket) lies beside the file and is reported as not checked; so
// is what only a Mac can answer (trust settings, the trust cache, Gatekeeper).
//
// Layouts and rules are Apple's: mach-o/loader.h, mach-o/fat.h, xnu's
// osfmk/kern/cs_blobs.h and bsd/kern/ubc_subr.c, Security's
// libsecurity_codesigning (codedirectory.h, requirement.h, StaticCode.cpp).
package macho

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"kpm/core"
	"kpm/trust/archive"
	"kpm/trust/chain"
)

// errMalformed is wrapped by everything that is wrong with the file, as opposed
// to with reading it. It is never Verify's error.
var errMalformed = errors.New("mach-o: malformed")

// malformed makes an error of what is wrong, said for a person.
func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errMalformed, fmt.Sprintf(format, args...))
}

// sentence is what malformed was told.
func sentence(err error) string {
	return strings.TrimPrefix(err.Error(), errMalformed.Error()+": ")
}

// The magic numbers (mach-o/loader.h, mach-o/fat.h), as they read big-endian.
const (
	magic32      = 0xfeedface
	magic64      = 0xfeedfacf
	magic32Swap  = 0xcefaedfe
	magic64Swap  = 0xcffaedfe
	magicFat     = 0xcafebabe
	magicFat64   = 0xcafebabf
	javaVersions = 45 // a Java class shares magicFat and goes on with its version, 45 and up
)

// Recognise says whether a file that begins with head (8 bytes or more) is a
// Mach-O image or a fat file of several.
func Recognise(head []byte) bool {
	if len(head) < 8 {
		return false
	}
	switch binary.BigEndian.Uint32(head) {
	case magic32, magic64, magic32Swap, magic64Swap, magicFat64:
		return true
	case magicFat:
		return binary.BigEndian.Uint32(head[4:]) < javaVersions
	}
	return false
}

// Verify judges the signatures of a Mach-O file of size bytes: one piece of
// evidence for the whole file, none if it claims no signature. A fat file is
// worth what its worst slice is, because any of them may be the one that runs.
// An error means that the bytes could not be read.
func Verify(ctx context.Context, r io.ReaderAt, size int64, a *chain.Anchors) ([]core.Evidence, error) {
	head := make([]byte, min(size, 8))
	if err := readFull(r, head, 0); err != nil {
		return nil, err
	}
	if !Recognise(head) {
		return nil, nil
	}
	f := file{r: r, size: size, anchors: a}
	evidence, err := f.verify(ctx, binary.BigEndian.Uint32(head))
	if err == nil && len(evidence) > 0 {
		err = f.checkArchive()
	}
	if errors.Is(err, errMalformed) {
		return []core.Evidence{broken(sentence(err))}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("mach-o: %w", err)
	}
	return evidence, nil
}

// file is what is being verified.
type file struct {
	r       io.ReaderAt
	size    int64
	anchors *chain.Anchors
	code    []extent // of the file, each covered by page hashes of a signature
}

func (f *file) verify(ctx context.Context, magic uint32) ([]core.Evidence, error) {
	if magic != magicFat && magic != magicFat64 {
		e, err := f.verifySlice(ctx, slice{size: f.size})
		if e == nil || err != nil {
			return nil, err
		}
		return []core.Evidence{*e}, nil
	}
	slices, err := f.slices(magic == magicFat64)
	if err != nil {
		return nil, err
	}
	parts := make([]part, len(slices))
	signed := false
	for i, s := range slices {
		parts[i].name = s.cpu.String()
		if parts[i].evidence, err = f.verifySlice(ctx, s); err != nil {
			return nil, err
		}
		signed = signed || parts[i].evidence != nil
	}
	if !signed {
		return nil, nil
	}
	if err := f.checkGaps(ctx, slices, magic == magicFat64); err != nil {
		return nil, err
	}
	return []core.Evidence{merge(parts)}, nil
}

// checkArchive refuses a file that is a ZIP archive as well: nobody signs all
// of a signature, and java -jar runs what it finds there (CVE-2020-1464).
func (f *file) checkArchive() error {
	hidden, err := archive.Hidden(f.r, f.size, func(start, end int64) bool {
		return slices.ContainsFunc(f.code, func(c extent) bool {
			return uint64(start) >= c.offset && uint64(end) <= c.end()
		})
	})
	if hidden {
		return malformed("a ZIP archive that nobody signed is hidden in the file")
	}
	return err
}

// verifySlice judges one image. No evidence: it claims no signature.
func (f *file) verifySlice(ctx context.Context, s slice) (*core.Evidence, error) {
	e, err := f.judgeSlice(ctx, s)
	if errors.Is(err, errMalformed) {
		b := broken(sentence(err))
		return &b, nil
	}
	return e, err
}

func broken(reason string) core.Evidence {
	return core.Evidence{Kind: core.KindMachO, Rank: core.RankSigned, Standing: core.Broken, Reason: reason}
}

// readFull reads len(p) bytes at off, which the caller has found to be inside
// the file: fewer mean that the file shrank, and are an error.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("mach-o: read: %w", err)
}
