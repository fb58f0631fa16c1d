// Package authenticode reads Microsoft's signatures on files: those inside
// PE images, MSI packages, cabinets and scripts, and the signed catalogs that
// list files which carry none. It finds the signature, works out which bytes
// it must be about, and says whether it is.
//
// It does not decide who may sign: certificates are trust/chain's, messages
// trust/cms's, time-stamps trust/timestamp's. It asks no operating system and
// no network, so it says the same everywhere.
package authenticode

import (
	"context"
	"crypto"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"strings"

	"kpm/core"
)

// errMalformed is wrapped by everything that is wrong with a container: a
// subject's malformed, or a signature's content. It is never Verify's error.
var errMalformed = errors.New("authenticode: malformed")

// malformed makes an error of what is wrong, said for a person ("the
// certificate table reaches past the end of the file").
func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errMalformed, fmt.Sprintf(format, args...))
}

// sentence is what malformed was told.
func sentence(err error) string {
	return strings.TrimPrefix(err.Error(), errMalformed.Error()+": ")
}

// subject is a file of a format that can carry an Authenticode signature. Its
// functions read the file that the subject was read from; an error of theirs
// means that the bytes could not be read.
type subject struct {
	// format is what core.Provenance calls it.
	format string
	// signatures are PKCS#7 blobs, each a whole primary signature. None: the
	// file is not signed.
	signatures [][]byte
	// malformed says why the container cannot be believed: it claims to be
	// signed and is broken. It is made by malformed.
	malformed error
	// digest hashes what a signature is about with each of hashes, all in one
	// pass over the file.
	digest func(ctx context.Context, hashes []crypto.Hash) (map[crypto.Hash][]byte, error)
	// digestPages is digest and makes in the same pass, for each of pages, the
	// table of page hashes. Nil for formats that have none: all but PE.
	digestPages func(ctx context.Context, hashes, pages []crypto.Hash) (whole, tables map[crypto.Hash][]byte, err error)
	// dataType is the type of SpcIndirectDataContent's data that belongs to
	// the format. A signature with another one was made for other bytes.
	dataType asn1.ObjectIdentifier
	// sip is the GUID, as it lies in the file, that an SpcSipInfo must name;
	// nil if dataType is not SpcSipInfo or any will do.
	sip []byte
	// unproven says, as a reason does, what of the file even an intact signature
	// leaves open, so that somebody else's file can have it too. Empty: nothing.
	unproven string
	// checks are what reading the container has found, for every evidence. It
	// is called after digest or digestPages.
	checks func() []core.Check
}

// SpcIndirectDataContent's data types (Authenticode_PE, "SpcAttributeTypeAndOptionalValue").
var (
	oidPeImageData = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 15} // PE
	oidCabData     = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 25} // CAB: an SpcLink
	oidSipInfo     = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 30} // MSI and scripts
)

// reader reads the file's structure and no more of it than that needs. A nil
// subject with a nil error means that the file is not of this format after
// all; an error, that the bytes could not be read.
type reader func(r io.ReaderAt, size int64) (*subject, error)
