package door

import "encoding/binary"

// maxStrings bounds the entries of one list, so that a small frame cannot ask
// for a large table.
const maxStrings = 16 << 10

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func appendString(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

func appendStrings(b []byte, list []string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(list)))
	for _, s := range list {
		b = appendString(b, s)
	}
	return b
}

// decoder reads fields until one does not fit; then all that follow are zero
// and end reports it.
type decoder struct {
	rest   []byte
	failed bool
}

func (d *decoder) take(n uint32) []byte {
	if d.failed || uint64(n) > uint64(len(d.rest)) {
		d.failed = true
		return nil
	}
	part := d.rest[:n]
	d.rest = d.rest[n:]
	return part
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) key() (k Key) {
	copy(k[:], d.take(uint32(len(k))))
	return k
}

func (d *decoder) uint16() uint16 {
	if b := d.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (d *decoder) uint32() uint32 {
	if b := d.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) string() string { return string(d.take(d.uint32())) }

func (d *decoder) strings() []string {
	n := d.uint32()
	if n > maxStrings || uint64(n)*4 > uint64(len(d.rest)) {
		d.failed = true
		return nil
	}
	list := make([]string, 0, n)
	for range n {
		list = append(list, d.string())
	}
	return list
}

func (d *decoder) end() error {
	if d.failed || len(d.rest) != 0 {
		return ErrFrame
	}
	return nil
}
