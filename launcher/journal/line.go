package journal

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// MaxLine is the longest line in bytes, without its newline: the largest
// subject (128 KiB), every byte of it escaped, and room for the rest.
const MaxLine = 3 << 20

// noHash is the Prev of the very first record.
const noHash = "0000000000000000000000000000000000000000000000000000000000000000"

func hashLine(line []byte) string {
	sum := sha256.Sum256(line)
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], sum[:])
	return string(text[:])
}

// parseLine reads one line without its newline. It checks shape only; whether
// the line belongs where it stands is the chain's business.
func parseLine(line []byte) (Record, error) {
	var r Record
	err := r.parse(line, string(line))
	return r, err
}

// parse is parseLine into a Record that nothing has been said of. whole is the line too:
// the record keeps parts of it.
func (r *Record) parse(line []byte, whole string) error {
	if !r.plain(line, whole) {
		*r = Record{}
		if err := json.Unmarshal(line, r); err != nil {
			return err
		}
	}
	switch {
	case r.Seq == 0:
		return errors.New("seq is missing")
	case r.Type == "":
		return errors.New("type is missing")
	case len(r.Prev) != len(noHash):
		return errors.New("prev is not a SHA-256")
	}
	return nil
}

// errPartial is an unfinished last line; errLong one beyond MaxLine.
var (
	errPartial = errors.New("the line has no end")
	errLong    = fmt.Errorf("the line is longer than %d bytes", MaxLine)
)

// readLine returns the next line without its newline, io.EOF after the last
// one, or errPartial or errLong. The line is valid until the next call.
func readLine(r *bufio.Reader, buffer []byte) ([]byte, error) {
	buffer = buffer[:0]
	for {
		part, err := r.ReadSlice('\n')
		buffer = append(buffer, part...)
		switch {
		case err == nil && len(buffer) <= MaxLine+1:
			return buffer[:len(buffer)-1], nil
		case len(buffer) > MaxLine:
			return buffer, errLong
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(buffer) > 0:
			return buffer, errPartial
		default:
			return buffer, err
		}
	}
}

// segmentName is the file of the segment whose first record is seq.
func segmentName(seq uint64) string { return fmt.Sprintf("journal-%020d.jsonl", seq) }

// segmentSeq reads a segment's file name.
func segmentSeq(name string) (uint64, bool) {
	digits, ok := strings.CutPrefix(name, "journal-")
	if !ok {
		return 0, false
	}
	if digits, ok = strings.CutSuffix(digits, ".jsonl"); !ok || len(digits) != 20 {
		return 0, false
	}
	seq, err := strconv.ParseUint(digits, 10, 64)
	return seq, err == nil && seq > 0
}
