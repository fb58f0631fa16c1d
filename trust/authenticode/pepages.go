package authenticode

import (
	"crypto"
	"encoding/binary"
	"hash"
)

// pageSize is that of every machine Windows still runs on.
const pageSize = 4096

// pageTable makes the table of SpcPeImagePageHashes: for each page its offset
// in the file, 4 bytes, and its digest. The headers are the first page, each
// section begins a new one, a page that is not full counts as filled with
// zeros, and the last entry has the end of the last section for offset and
// zeros for digest. CheckSum and the directory entry are left out of the
// headers, and nothing takes their place. Microsoft has not published this: it
// is how signtool, osslsigncode and relic do it.
type pageTable struct {
	algorithm crypto.Hash
	hash      hash.Hash // of the page under way
	spans     []span    // still to do, by offset; the first begins with the page under way
	end       int64     // of the last page
	table     []byte
}

func newPageTable(algorithm crypto.Hash, spans []span) *pageTable {
	return &pageTable{algorithm: algorithm, hash: algorithm.New(), spans: spans}
}

// write takes the next part of the file, which begins at offset at.
func (t *pageTable) write(part []byte, at int64) {
	for len(part) > 0 && len(t.spans) > 0 {
		page := span{t.spans[0].start, min(t.spans[0].start+pageSize, t.spans[0].end)}
		n := min(int64(len(part)), page.start-at) // before the page
		if n <= 0 {
			n = min(int64(len(part)), page.end-at)
			t.hash.Write(part[:n])
		}
		part, at = part[n:], at+n
		if at == page.end {
			t.hash.Write(make([]byte, pageSize-page.size()))
			t.entry(page.start, t.hash.Sum(nil))
			t.hash.Reset()
			t.end = page.end
			t.spans[0].start = page.end
			if page.end == t.spans[0].end {
				t.spans = t.spans[1:]
			}
		}
	}
}

// finish adds the last entry and returns the table.
func (t *pageTable) finish() []byte {
	t.entry(t.end, make([]byte, t.algorithm.Size()))
	return t.table
}

func (t *pageTable) entry(at int64, digest []byte) {
	t.table = binary.LittleEndian.AppendUint32(t.table, uint32(at))
	t.table = append(t.table, digest...)
}

// pageSpans are the headers and the sections, if they lie in the file in the
// order of the section table and the headers fill no more than one page.
// Otherwise signers disagree about the table, and there is none.
func (p *image) pageSpans() ([]span, bool) {
	spans := append([]span{{0, p.headers}}, p.sections...)
	if p.alignment != pageSize || p.headers <= p.directoryAt+directorySize || p.headers > pageSize {
		return nil, false
	}
	before := int64(0)
	for _, s := range spans {
		if s.start < before {
			return nil, false
		}
		before = s.end
	}
	return spans, true
}
