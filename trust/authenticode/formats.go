package authenticode

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// Names of formats that are treated apart (core.Provenance).
const (
	formatPE      = "pe"
	formatCatalog = "catalog"
)

// headSize is how many bytes of a file are looked at to tell its format.
const headSize = 4096

// format is one kind of file. starts tells it by its first bytes (up to
// headSize); nil: only read can tell, and is tried last.
type format struct {
	name   string
	starts func(head []byte) bool
	read   reader
}

// formats are tried in order.
func formats() []format {
	return []format{
		{formatPE, startsPE, readPE},
		{formatMSI, startsMSI, readMSI},
		{formatCAB, startsCAB, readCAB},
		{formatCatalog, startsCatalog, readCatalog},
		{formatScript, nil, readScript},
	}
}

// open reads what kind of file it is. A subject of nil means that it is none
// that can carry a signature.
func open(r io.ReaderAt, size int64) (*subject, error) {
	head := make([]byte, min(headSize, size))
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, int64(len(head))), head); err != nil {
		return nil, fmt.Errorf("authenticode: read: %w", short(err))
	}
	for _, f := range formats() {
		if f.starts != nil && !f.starts(head) {
			continue
		}
		s, err := f.read(r, size)
		if err != nil {
			return nil, fmt.Errorf("authenticode: read %s: %w", f.name, err)
		}
		if s != nil {
			return s, nil
		}
	}
	return nil, nil
}

// startsPE: "MZ" alone is a DOS program. One whose PE header lies beyond head
// still is taken for a PE; readPE looks.
func startsPE(head []byte) bool {
	if len(head) < dosHeaderSize || !bytes.HasPrefix(head, []byte("MZ")) {
		return false
	}
	at := int64(binary.LittleEndian.Uint32(head[dosHeaderNew:]))
	if at+4 > int64(len(head)) {
		return true
	}
	return bytes.Equal(head[at:at+4], []byte("PE\x00\x00"))
}

// startsCatalog: a ContentInfo that holds SignedData that holds a trust list,
// all of which a catalog says before anything long.
func startsCatalog(head []byte) bool {
	return len(head) > 0 && head[0] == 0x30 &&
		bytes.Contains(head[:min(len(head), 32)], []byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02")) &&
		bytes.Contains(head[:min(len(head), 256)], []byte("\x06\x09\x2b\x06\x01\x04\x01\x82\x37\x0a\x01"))
}

// readCatalog makes a subject of a catalog file, which is nothing but a
// signature.
func readCatalog(r io.ReaderAt, size int64) (*subject, error) {
	if size > maxTable {
		return &subject{format: formatCatalog, malformed: malformed("the catalog is larger than %d MiB", maxTable>>20)}, nil
	}
	whole := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, size), whole); err != nil {
		return nil, short(err)
	}
	return &subject{format: formatCatalog, signatures: [][]byte{whole}}, nil
}
