package authenticode

import (
	"bytes"
	"errors"
	"io"
)

// maxScanned bounds the compound files that are looked through for claims, in
// bytes. Documents are smaller.
const maxScanned = 256 << 20

// unreadable is what is left of a compound file that cannot be read as one:
// broken if it claims a signature or was cut off before its directory, which
// would say; an unsigned package if it claims to be one; and otherwise nothing of
// ours. Office and old tools write layouts that no signer of packages does.
//
// Attack: a file of holes that says it is larger than any disk, and is looked
// through to its end. What is larger than maxScanned is taken for broken.
func unreadable(r io.ReaderAt, size int64, why error) (*subject, error) {
	if size > maxScanned {
		return &subject{format: formatMSI, malformed: why}, nil
	}
	signed, classed, err := cfbClaims(r, size)
	cut := true
	if err == nil && size >= cfbHeaderSize {
		header := make([]byte, cfbHeaderSize)
		if n, err := r.ReadAt(header, 0); n < len(header) {
			return nil, short(err)
		}
		shift := uint(9)
		if header[cfbSectorShift] == 12 {
			shift = 12
		}
		cut = (int64(word(header, cfbDirectoryFirst))+1)<<shift >= size
	}
	switch {
	case err != nil:
		return nil, err
	case signed || cut:
		return &subject{format: formatMSI, malformed: why}, nil
	case classed:
		return &subject{format: formatMSI}, nil
	}
	return nil, nil
}

// cfbClaims looks for directory entries that only a signed package has, and for
// a root entry of a package. It looks wherever one could lie, whatever the
// tables say: sectors are of a multiple of 128 bytes, and so are entries.
//
// Attack: a signed package that was changed so that this reader no longer finds
// its directory, while Windows Installer, which puts up with more, still does.
// It must not pass for one that nobody has signed.
func cfbClaims(r io.ReaderAt, size int64) (signed, classed bool, err error) {
	names := [][]byte{utf16le(msiSignature + "\x00"), utf16le(msiSignatureEx + "\x00")}
	buffer := make([]byte, min(readSize, size))
	for at := int64(0); at < size && !signed; at += int64(len(buffer)) {
		n, err := r.ReadAt(buffer, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return false, false, err
		}
		for b := buffer[:n]; len(b) >= cfbEntrySize && !signed; b = b[cfbEntrySize:] {
			signed = bytes.HasPrefix(b, names[0]) || bytes.HasPrefix(b, names[1])
			if b[cfbType] != cfbRoot {
				continue
			}
			for _, class := range msiClasses {
				classed = classed || bytes.Equal(b[cfbCLSID:][:16], class)
			}
		}
	}
	return signed, classed, nil
}
