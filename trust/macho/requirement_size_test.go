package macho

import (
	"encoding/binary"
	"errors"
	"testing"
)

// balanced is a tree of "and" over the given number of "always".
func balanced(leaves int) []byte {
	if leaves == 1 {
		return binary.BigEndian.AppendUint32(nil, opTrue)
	}
	b := binary.BigEndian.AppendUint32(nil, opAnd)
	b = append(b, balanced(leaves/2)...)
	return append(b, balanced(leaves-leaves/2)...)
}

// Attack: a requirement of thousands of terms, each compared with every
// certificate, keeps the service busy for seconds before policy is asked.
func TestRequirementsHaveABoundedNumberOfTerms(t *testing.T) {
	for leaves, fits := range map[int]bool{1: true, 500: true, 501: false, 8000: false} {
		body := append(binary.BigEndian.AppendUint32(nil, requirementForm), balanced(leaves)...)
		blob := binary.BigEndian.AppendUint32(nil, magicRequirement)
		blob = append(binary.BigEndian.AppendUint32(blob, uint32(blobHeaderSize+len(body))), body...)
		r, err := ParseRequirement(blob)
		if (err == nil) != fits || !fits && !errors.Is(err, errMalformed) {
			t.Errorf("%d leaves: %v", leaves, err)
		}
		if fits && !r.Match(Subject{}) {
			t.Errorf("%d leaves: not met", leaves)
		}
	}
}
