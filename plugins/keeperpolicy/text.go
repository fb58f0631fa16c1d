package keeperpolicy

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"fmt"
	"io"
)

// worthPacking is from how many bytes on a text takes less room when it is packed.
const worthPacking = 4 << 10

// text is what a file held that could be used. It is needed again only when the file no
// longer can be, and of many policies it would be a third of what they take.
type text struct {
	data []byte
	from *unpacked // nil if data is not packed
}

// unpacked is what a packed text was made of.
type unpacked struct {
	digest [sha256.Size]byte
	size   int
}

// is says whether t is data.
func (t text) is(data []byte) bool {
	if t.from == nil {
		return bytes.Equal(t.data, data)
	}
	return *t.from == of(data)
}

func of(data []byte) unpacked { return unpacked{sha256.Sum256(data), len(data)} }

// unpack returns what t was made of.
func (t text) unpack() ([]byte, error) {
	if t.from == nil {
		return t.data, nil
	}
	data := make([]byte, t.from.size)
	if _, err := io.ReadFull(flate.NewReader(bytes.NewReader(t.data)), data); err != nil {
		return nil, fmt.Errorf("unpack %d bytes of policies: %w", t.from.size, err)
	}
	if !t.is(data) {
		return nil, fmt.Errorf("unpack %d bytes of policies: they are others", t.from.size)
	}
	return data, nil
}

// packer makes texts, one after the other.
type packer struct {
	flate  *flate.Writer
	buffer bytes.Buffer
}

// pack makes a text of data, which must not change any more.
func (p *packer) pack(data []byte) text {
	if len(data) < worthPacking {
		return text{data: data}
	}
	p.buffer.Reset()
	if p.flate == nil {
		p.flate, _ = flate.NewWriter(&p.buffer, flate.BestSpeed) // there is such a level
	} else {
		p.flate.Reset(&p.buffer)
	}
	if _, err := p.flate.Write(data); err != nil || p.flate.Close() != nil || p.buffer.Len() > len(data)/2 {
		return text{data: data}
	}
	from := of(data)
	return text{bytes.Clone(p.buffer.Bytes()), &from}
}
