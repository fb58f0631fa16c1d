package authenticode

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"

	"kpm/core"
	"kpm/trust/cms"
)

const formatMSI = "msi"

// The class ids of Windows Installer's packages, patches and transforms, as
// they lie in a root entry: {000C1084-0000-0000-C000-000000000046} and its
// neighbours.
var (
	msiClasses = [][]byte{msiClass(0x84), msiClass(0x86), msiClass(0x82)}
	// msiSIP is {000C10F1-0000-0000-C000-000000000046}.
	msiSIP = msiClass(0xf1)
)

func msiClass(n byte) []byte {
	return []byte{n, 0x10, 0x0c, 0x00, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0x46}
}

// The streams of the root that hold the signature. With the second one, which
// holds a digest, names, sizes and times are signed too.
const (
	msiSignature   = "\x05DigitalSignature"
	msiSignatureEx = "\x05MsiDigitalSignatureEx"
)

// startsMSI: any compound file; readMSI looks whose.
func startsMSI(head []byte) bool { return bytes.HasPrefix(head, cfbMagic) }

// installer is a Windows Installer package.
type installer struct {
	*compound
	signature, extra *entry // the streams that hold the signature; nil: there is none
	names            []byte // what extra holds: the digest of the directory
	weak             bool   // and that can be forged
}

// readMSI reads a package's structure and signature. A compound file that is
// neither a package nor signed is somebody's document, and one that this reader
// is too strict for and that nowhere claims a signature is not signed.
func readMSI(r io.ReaderAt, size int64) (*subject, error) {
	s := &subject{format: formatMSI, dataType: oidSipInfo, sip: msiSIP}
	c, err := readCompound(r, size)
	m := installer{compound: c}
	if err == nil {
		s.signatures, err = m.readSignature()
	}
	switch {
	case errors.Is(err, errMalformed):
		return unreadable(r, size, err)
	case err != nil:
		return nil, err
	case s.signatures == nil && !m.classed():
		return nil, nil
	}
	s.digest, s.checks, s.unproven = m.digest, m.checks, m.unproven()
	return s, nil
}

// classed reports whether the root says that this is a package.
func (m *installer) classed() bool {
	for _, class := range msiClasses {
		if bytes.Equal(m.root.raw[cfbCLSID:][:16], class) {
			return true
		}
	}
	return false
}

// readSignature reads the signature, if there is one, and looks at what a
// signature is not about.
func (m *installer) readSignature() ([][]byte, error) {
	m.signature, m.extra = m.find(msiSignature), m.find(msiSignatureEx)
	switch {
	case m.signature == nil && m.extra == nil:
		return nil, nil
	case m.signature == nil || m.signature.kind != cfbStream || m.extra != nil && m.extra.kind != cfbStream:
		return nil, malformed("the package has a part of a signature")
	case m.signature.size == 0 || m.signature.size > cms.MaxSize:
		return nil, malformed("the package's signature is empty, or larger than %d MiB", cms.MaxSize>>20)
	}
	if err := m.readNames(); err != nil {
		return nil, err
	}
	if err := m.checkEnd(); err != nil {
		return nil, err
	}
	blob, err := m.content(m.signature)
	return [][]byte{blob}, err
}

// find returns an entry of the root by its name.
func (m *installer) find(name string) *entry {
	for _, e := range m.root.children {
		if bytes.Equal(e.name, utf16le(name)) {
			return e
		}
	}
	return nil
}

// readNames reads MsiDigitalSignatureEx and compares it with the digest of the
// directory, which Windows does not (osslsigncode issue 262).
func (m *installer) readNames() error {
	if m.extra == nil {
		return nil
	}
	for _, known := range digestAlgorithms {
		if m.extra.size != int64(known.hash.Size()) {
			continue
		}
		var err error
		if m.names, err = m.content(m.extra); err != nil {
			return err
		}
		if !bytes.Equal(m.names, m.prehash(known.hash)) {
			return malformed("names, sizes or times in the package were changed after it was signed")
		}
		m.weak = weak(known.hash)
		return nil
	}
	return malformed("the package's MsiDigitalSignatureEx is no known digest")
}

// unproven says what is missing where only the contents of the streams are
// signed, one after the other. Whoever names them anew, or moves the bounds
// between them, makes another package with the same signature; and of a package
// with MsiDigitalSignatureEx anyone makes one without, by giving the stream
// another name that comes first.
func (m *installer) unproven() string {
	switch {
	case m.signature != nil && m.extra == nil:
		return "the signature is about what the package's streams hold, but not about their names and sizes"
	case m.weak:
		return "the signature knows the names in the package by SHA-1, which can be forged"
	}
	return ""
}

// checkEnd refuses what lies behind everything that belongs to the package,
// where formats begin that are read from a file's end, and archives that begin
// further in. Windows, too, wants the last sector to be in use since
// CVE-2020-1464. Other unused sectors, and the padding behind streams, are left
// alone: Windows leaves old contents there, no installer reads them, and what
// neither begins nor ends a file does not make it another one.
func (m *installer) checkEnd() error {
	end := m.end
	for e := range streams(m.root) {
		for part := range m.extents(e) {
			end = max(end, part.end)
		}
	}
	if end <= m.offset(m.sectors-1) {
		return malformed("data was appended to the package")
	}
	padding, err := m.bytes(end, m.size-end)
	if err != nil {
		return err
	}
	if !zero(padding) {
		return malformed("data was appended to the package")
	}
	return checkZip(m.r, m.size, m.covers)
}

// covers reports whether a part of the file lies in one piece in a stream that
// the signature is about.
func (m *installer) covers(part span) bool {
	for e := range streams(m.root) {
		if m.unsigned(e) {
			continue
		}
		for have := range m.extents(e) {
			if have.start <= part.start && part.end <= have.end {
				return true
			}
		}
	}
	return false
}

// digest hashes the package as Windows Installer does. No document defines it;
// osslsigncode (msi.c), relic and jsign agree on: the contents of the streams,
// storage by storage, each storage's entries by the bytes of their names, and
// behind each storage its class id. What MsiDigitalSignatureEx holds comes
// first.
func (m *installer) digest(ctx context.Context, hashes []crypto.Hash) (map[crypto.Hash][]byte, error) {
	running := start(hashes)
	running.write(m.names)
	if err := m.digestStorage(ctx, m.root, make([]byte, min(readSize, m.size)), running); err != nil {
		return nil, err
	}
	return running.sums(), nil
}

func (m *installer) digestStorage(ctx context.Context, storage *entry, buffer []byte, running digests) error {
	for _, e := range storage.children {
		var err error
		switch {
		case m.unsigned(e):
		case e.kind == cfbStorage:
			err = m.digestStorage(ctx, e, buffer, running)
		default:
			err = m.copyTo(ctx, e, buffer, running.write)
		}
		if err != nil {
			return err
		}
	}
	running.write(storage.raw[cfbCLSID:][:16])
	return nil
}

// unsigned reports whether e holds the signature: in the root only. A stream
// of that name further down is like any other.
func (m *installer) unsigned(e *entry) bool { return e == m.signature || e == m.extra }

// prehash is the digest of the directory: of the root class id and state bits;
// of other storages name, class id, state bits and times; of streams name, the
// lower half of the size, state bits and times.
func (m *installer) prehash(algorithm crypto.Hash) []byte {
	running := start([]crypto.Hash{algorithm})
	m.prehashStorage(m.root, running)
	return running.sums()[algorithm]
}

func (m *installer) prehashStorage(storage *entry, running digests) {
	if storage != m.root {
		running.write(storage.name)
	}
	running.write(storage.raw[cfbCLSID : cfbState+4])
	if storage != m.root {
		running.write(storage.raw[cfbTimes:cfbFirst])
	}
	for _, e := range storage.children {
		switch {
		case m.unsigned(e):
		case e.kind == cfbStorage:
			m.prehashStorage(e, running)
		default:
			running.write(e.name)
			running.write(e.raw[cfbSize : cfbSize+4])
			running.write(e.raw[cfbState:cfbFirst])
		}
	}
}

// checks tells what this kind of signature leaves out.
func (m *installer) checks() []core.Check {
	directory := core.Check{Name: "names of the package's streams", Outcome: core.Passed, Detail: "signed with their sizes and times"}
	if m.extra == nil {
		directory.Outcome = core.NotChecked
		directory.Detail = "there is no MsiDigitalSignatureEx"
	}
	free := 0
	for sector := range m.sectors {
		if !m.used.has(sector) {
			free++
		}
	}
	unused := core.Check{Name: "unused parts of the package", Outcome: core.NotChecked}
	unused.Detail = fmt.Sprintf("%d of %d sectors and the padding of the others are neither signed nor read by the installer", free, m.sectors)
	return []core.Check{directory, unused}
}
