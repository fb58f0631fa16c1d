package authenticode

import (
	"bytes"
	"encoding/binary"
)

// headSize is how many bytes Recognise is given at most: a PE's header may lie
// that far in before the file is taken for something else.
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
		{"pe", startsPE, readPE},
	}
}

// Recognise says what a file that begins with head may be: "pe", "msi", "cab",
// "catalog", or "" for what carries no signature or is told by more than its
// beginning, as scripts are.
func Recognise(head []byte) string {
	for _, f := range formats() {
		if f.starts != nil && f.starts(head) {
			return f.name
		}
	}
	return ""
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
