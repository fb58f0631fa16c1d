package sqlite

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Sizes of the write-ahead log (section 4.1 of the format), in bytes.
const (
	walHeader   = 32
	frameHeader = 24
	maxLog      = 256 << 20
)

// log finds the pages that the write-ahead log holds newer than the database.
// Frames count up to the last one that ends a transaction, and only as long as
// salts and running checksums hold (sections 4.2 and 4.3): what comes after is
// of a transaction that never was, or left over.
func (f *File) log(wal io.ReaderAt, size int64) error {
	if size > maxLog {
		return fmt.Errorf("%w: a write-ahead log of %d bytes", ErrMalformed, size)
	}
	head := make([]byte, walHeader)
	if size < walHeader {
		return nil
	}
	if _, err := wal.ReadAt(head, 0); err != nil {
		return f.readError(err)
	}
	var order binary.ByteOrder = binary.LittleEndian
	switch binary.BigEndian.Uint32(head) {
	case 0x377f0682:
	case 0x377f0683:
		order = binary.BigEndian
	default:
		return nil // never begun
	}
	var sum checksum
	sum.add(order, head[:24])
	if !sum.is(head[24:]) || int(binary.BigEndian.Uint32(head[8:])) != f.pageSize {
		return nil
	}
	frame := make([]byte, frameHeader+f.pageSize)
	pending, committed := map[uint32]int64{}, map[uint32]int64{}
	for at := int64(walHeader); at+int64(len(frame)) <= size; at += int64(len(frame)) {
		if _, err := wal.ReadAt(frame, at); err != nil {
			return f.readError(err)
		}
		sum.add(order, frame[:8])
		sum.add(order, frame[frameHeader:])
		if string(frame[8:16]) != string(head[16:24]) || !sum.is(frame[16:]) {
			break
		}
		pending[binary.BigEndian.Uint32(frame)] = at + frameHeader
		if pages := binary.BigEndian.Uint32(frame[4:]); pages > 0 {
			f.pages = pages
			for number, offset := range pending {
				committed[number] = offset
			}
			clear(pending)
		}
	}
	f.wal, f.frames = wal, committed
	return nil
}

// checksum is the running one of section 4.2.
type checksum [2]uint32

func (s *checksum) add(order binary.ByteOrder, data []byte) {
	for ; len(data) >= 8; data = data[8:] {
		s[0] += order.Uint32(data) + s[1]
		s[1] += order.Uint32(data[4:]) + s[0]
	}
}

func (s *checksum) is(data []byte) bool {
	return binary.BigEndian.Uint32(data) == s[0] && binary.BigEndian.Uint32(data[4:]) == s[1]
}
