package authenticode

import (
	"encoding/binary"
	"errors"
)

// The certificate table (PE Format, "The Attribute Certificate Table"):
// WIN_CERTIFICATE structures of a length that counts the 8 bytes of their
// header, a revision, a type and the certificate, each on a multiple of 8.
const (
	winCertificateHeader = 8
	winCertificateAlign  = 8
	revision2            = 0x0200
	pkcsSignedData       = 0x0002
)

// maxTable bounds a certificate table. A signature in it is bounded by
// cms.MaxSize.
const maxTable = 16 << 20

// maxSignatures bounds the signatures of a file, nested ones included.
const maxSignatures = 16

// readTable reads the signatures in the certificate table. Nothing in the
// table is signed, and Windows by default does not mind what it carries
// besides signatures: an installer that reads its orders from there obeys
// whoever wrote them (MS13-098, EnableCertPaddingCheck). So the table ends
// where the file does, and it holds signatures and not a byte more.
func (p *image) readTable() (signatures [][]byte, faulty, err error) {
	switch {
	case p.table.size() < winCertificateHeader:
		return nil, malformed("the certificate table is too small for a signature"), nil
	case p.table.start%winCertificateAlign != 0:
		return nil, malformed("the certificate table does not begin on a multiple of 8"), nil
	case p.table.end > p.size:
		return nil, malformed("the certificate table reaches past the end of the file"), nil
	case p.table.end < p.size:
		return nil, malformed("data follows the signature"), nil
	case p.table.size() > maxTable:
		return nil, malformed("the certificate table is larger than %d MiB", maxTable>>20), nil
	}
	table, err := p.read(p.table.start, p.table.size())
	if err != nil {
		return nil, nil, err
	}
	for len(table) > 0 {
		if len(table) < winCertificateHeader {
			return nil, malformed("data follows the signature"), nil
		}
		if len(signatures) == maxSignatures {
			return nil, malformed("the file has more than %d signatures", maxSignatures), nil
		}
		length := int64(binary.LittleEndian.Uint32(table))
		if length < winCertificateHeader || length > int64(len(table)) {
			return nil, malformed("a signature is longer than the certificate table"), nil
		}
		revision, kind := binary.LittleEndian.Uint16(table[4:]), binary.LittleEndian.Uint16(table[6:])
		if revision != revision2 || kind != pkcsSignedData {
			return nil, malformed("the certificate table holds something other than a signature"), nil
		}
		signature, faulty := unpad(table[winCertificateHeader:length])
		if faulty != nil {
			return nil, faulty, nil
		}
		signatures = append(signatures, signature)
		next := min((length+winCertificateAlign-1)&^(winCertificateAlign-1), int64(len(table)))
		if !allZero(table[length:next]) {
			return nil, malformed("data is hidden behind the signature"), nil
		}
		table = table[next:]
	}
	return signatures, nil, nil
}

// hiddenArchive finds a ZIP archive that reaches into the table: an attribute
// that nobody signs, a certificate that nobody needs, has room for a JAR. One
// within the program, as installers carry, is signed with it.
func (p *image) hiddenArchive() (faulty, err error) {
	err = checkZip(p.r, p.size, func(archive span) bool { return archive.end <= p.table.start })
	if errors.Is(err, errMalformed) {
		return err, nil
	}
	return nil, err
}

// unpad cuts a signature off its alignment: fewer than 8 zero bytes.
func unpad(blob []byte) (signature []byte, faulty error) {
	n, ok := derSize(blob)
	if !ok {
		return nil, malformed("the signature's encoding is damaged")
	}
	if padding := blob[n:]; len(padding) >= winCertificateAlign || !allZero(padding) {
		return nil, malformed("data is hidden behind the signature")
	}
	return blob[:n], nil
}

// derSize is the size of the element at the beginning of b, if b holds all of
// it. Its length may take up to four bytes.
func derSize(b []byte) (size int64, ok bool) {
	if len(b) < 2 {
		return 0, false
	}
	header, length := int64(2), int64(b[1])
	if b[1] >= 0x80 {
		n := int(b[1] & 0x7f)
		if n == 0 || n > 4 || len(b) < 2+n {
			return 0, false
		}
		header, length = int64(2+n), 0
		for _, c := range b[2 : 2+n] {
			length = length<<8 | int64(c)
		}
	}
	size = header + length
	return size, size <= int64(len(b))
}

// allZero reports whether b holds nothing.
func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
