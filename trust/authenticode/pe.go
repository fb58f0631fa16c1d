package authenticode

import (
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"slices"
)

// Offsets and sizes of PE/COFF ("PE Format", learn.microsoft.com): the DOS
// header, of which only the magic and the offset of the PE header are alive,
// the COFF header with its signature, and the optional header, whose offsets
// count from its own beginning.
const (
	dosHeaderSize = 64
	dosHeaderNew  = 0x3c

	coffSize            = 24
	coffSections        = 6
	coffOptionalSize    = 20
	optionalAlignment   = 32 // SectionAlignment
	optionalHeaders     = 60 // SizeOfHeaders
	optionalChecksum    = 64
	directorySize       = 8
	certificateEntry    = 4 // of the data directories
	sectionSize         = 40
	sectionRawSize      = 16
	sectionRaw          = 20
	magicPE32           = 0x10b
	magicPE32Plus       = 0x20b
	directoriesPE32     = 96 // NumberOfRvaAndSizes lies right before them
	directoriesPE32Plus = 112
)

// span is a range of a file, end exclusive.
type span struct{ start, end int64 }

func (s span) size() int64 { return s.end - s.start }

// image is a PE file: where the parts lie that a signature is about, and the
// three that it is not.
type image struct {
	r    io.ReaderAt
	size int64

	checksum   uint32 // what the CheckSum field says; 0: nothing
	checksumAt int64
	// directoryAt is where the certificate table's directory entry lies; 0 if
	// there is none.
	directoryAt int64
	// table is the certificate table, empty if there is none. Its directory
	// entry is the only one that holds a file offset instead of an address.
	table span

	headers   int64  // SizeOfHeaders
	alignment uint32 // SectionAlignment
	sections  []span // raw data, in the section table's order

	sum      checksum // of the last pass
	finished bool     // there was one
}

// readPE reads the headers of a PE32 or PE32+ image, and its certificate table
// if it has one. An image without one is a subject without signatures.
func readPE(r io.ReaderAt, size int64) (*subject, error) {
	p := &image{r: r, size: size}
	found, faulty, err := p.readHeaders()
	if err != nil || !found {
		return nil, err
	}
	s := &subject{format: formatPE, dataType: oidPeImageData, checks: p.checks}
	if faulty == nil && p.table != (span{}) {
		s.signatures, faulty, err = p.readTable()
		if faulty == nil && err == nil {
			faulty, err = p.hiddenArchive()
		}
	}
	if err != nil {
		return nil, err
	}
	if faulty != nil {
		return &subject{format: formatPE, malformed: faulty}, nil
	}
	s.digest, s.digestPages = p.digest, p.digestPages
	return s, nil
}

// readHeaders reports whether the file is an image at all, and if it is, what
// is wrong with it. Whatever no longer is a PE header belongs to a DOS program.
func (p *image) readHeaders() (found bool, faulty, err error) {
	dos, err := p.read(0, dosHeaderSize)
	if dos == nil || dos[0] != 'M' || dos[1] != 'Z' {
		return false, nil, err
	}
	at := int64(binary.LittleEndian.Uint32(dos[dosHeaderNew:]))
	coff, err := p.read(at, coffSize+directoriesPE32)
	if coff == nil || string(coff[:4]) != "PE\x00\x00" {
		return false, nil, err
	}
	optional := coff[coffSize:]
	directories := int64(0)
	switch binary.LittleEndian.Uint16(optional) {
	case magicPE32:
		directories = directoriesPE32
	case magicPE32Plus:
		directories = directoriesPE32Plus
	default:
		return false, nil, nil
	}
	optionalAt := at + coffSize
	optionalSize := int64(binary.LittleEndian.Uint16(coff[coffOptionalSize:]))
	p.checksumAt = optionalAt + optionalChecksum
	p.checksum = binary.LittleEndian.Uint32(optional[optionalChecksum:])
	p.headers = int64(binary.LittleEndian.Uint32(optional[optionalHeaders:]))
	p.alignment = binary.LittleEndian.Uint32(optional[optionalAlignment:])

	entryOffset := directories + certificateEntry*directorySize
	count, err := p.read(optionalAt+directories-4, 4)
	if err != nil {
		return false, nil, err
	}
	if count == nil {
		return true, malformed("the file ends inside its headers"), nil
	}
	if binary.LittleEndian.Uint32(count) <= certificateEntry {
		return true, nil, nil // no room for a signature
	}
	entry, err := p.read(optionalAt+entryOffset, directorySize)
	if err != nil {
		return false, nil, err
	}
	if entry == nil {
		return true, malformed("the file ends inside its headers"), nil
	}
	p.directoryAt = optionalAt + entryOffset
	tableAt := int64(binary.LittleEndian.Uint32(entry))
	tableSize := int64(binary.LittleEndian.Uint32(entry[4:]))
	if tableAt == 0 && tableSize == 0 {
		return true, nil, nil
	}
	if optionalSize < entryOffset+directorySize {
		// The loader would see the entry, a tool that goes by the header's
		// size would see the section table there.
		return true, malformed("the headers overlap"), nil
	}
	p.table = span{tableAt, tableAt + tableSize}
	sections := int(binary.LittleEndian.Uint16(coff[coffSections:]))
	faulty, err = p.readSections(optionalAt+optionalSize, sections)
	return true, faulty, err
}

// readSections reads the section table, and checks that what is signed lies
// before the certificate table and nothing else does twice. A certificate
// table that covers a section would leave that section unsigned.
func (p *image) readSections(at int64, count int) (faulty, err error) {
	headersEnd := at + int64(count)*sectionSize
	if headersEnd > p.table.start {
		return malformed("the certificate table lies inside the headers"), nil
	}
	table, err := p.read(at, int64(count)*sectionSize)
	if err != nil {
		return nil, err
	}
	if table == nil {
		return malformed("the file ends inside its headers"), nil
	}
	for ; len(table) > 0; table = table[sectionSize:] {
		start := int64(binary.LittleEndian.Uint32(table[sectionRaw:]))
		size := int64(binary.LittleEndian.Uint32(table[sectionRawSize:]))
		if size == 0 || start == 0 { // uninitialised data
			continue
		}
		p.sections = append(p.sections, span{start, start + size})
	}
	ordered := slices.SortedFunc(slices.Values(p.sections), func(a, b span) int { return cmp.Compare(a.start, b.start) })
	before := headersEnd
	for _, s := range ordered {
		switch {
		case s.start < headersEnd:
			return malformed("a section lies inside the headers"), nil
		case s.start < before:
			return malformed("sections overlap"), nil
		case s.end > p.table.start:
			return malformed("a section reaches into the certificate table"), nil
		}
		before = s.end
	}
	return nil, nil
}

// read returns n bytes at offset at, or nil if the file ends before them.
func (p *image) read(at, n int64) ([]byte, error) {
	if at < 0 || n > p.size || at > p.size-n {
		return nil, nil
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(p.r, at, n), b); err != nil {
		return nil, short(err)
	}
	return b, nil
}

// short turns the end of a file that was longer a moment ago into an error
// that no one takes for a regular end.
func short(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
