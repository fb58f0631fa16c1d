package authenticode

import (
	"bytes"
	"slices"
	"testing"

	"kpm/core"
	"kpm/trust/trusttest"
)

// Damage that keeps this reader from reading a compound file, and that others
// may put up with.
var cfbDamage = map[string]func(b []byte){
	"a reserved field":    func(b []byte) { b[cfbReserved] = 1 },
	"the byte order":      func(b []byte) { b[cfbByteOrder] = 0 },
	"the cutoff":          func(b []byte) { b[cfbCutoffAt] = 1 },
	"the table of tables": func(b []byte) { b[cfbDIFATAt] ^= 0xff },
	"data at the end":     nil,
}

func damaged(b []byte, change func(b []byte)) []byte {
	if change == nil {
		return append(slices.Clone(b), bytes.Repeat([]byte("x"), 70000)...)
	}
	b = slices.Clone(b)
	change(b)
	return b
}

// Documents, and packages that nobody signed, are not broken for being written
// otherwise than signers write.
func TestUnsignedCompoundFilesAreNotBroken(t *testing.T) {
	pki := trusttest.New(t)
	document := layout{}.write(storageOf("Root Entry", streamOf("WordDocument", noise(5000))))
	unsigned := wixlPackage(t)
	for name, change := range cfbDamage {
		for _, x := range []struct {
			content []byte
			format  string
		}{{document, ""}, {unsigned, formatMSI}} {
			format, evidence := verify(t, pki.Anchors(), damaged(x.content, change))
			if format != x.format || len(evidence) != 0 {
				t.Errorf("%s: %q, want %q: %+v", name, format, x.format, evidence)
			}
		}
	}
	// What was cut off before its directory may have been signed.
	for _, size := range []int{8, cfbHeaderSize, 2 * cfbHeaderSize} {
		if _, evidence := verify(t, pki.Anchors(), document[:size]); len(evidence) != 1 || evidence[0].Standing != core.Broken {
			t.Errorf("%d bytes: %+v", size, evidence)
		}
	}
}

// Attack: a signed package that this reader can no longer read passes for one
// that nobody has signed.
func TestSignedCompoundFilesStayBroken(t *testing.T) {
	pki := trusttest.New(t)
	for _, args := range [][]string{nil, {"-add-msi-dse"}} {
		signed := sign(t, pki.Get(trusttest.Good), ".msi", wixlPackage(t), args...)
		for name, change := range cfbDamage {
			_, evidence := verify(t, pki.Anchors(), damaged(signed, change))
			if len(evidence) != 1 || evidence[0].Standing != core.Broken {
				t.Errorf("%s, %v: %+v", name, args, evidence)
			}
		}
	}
}
