package authenticode

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"kpm/trust/trusttest"
)

// lastReader gives up once the last byte has been read.
type lastReader struct {
	*bytes.Reader
	end    int64
	giveUp func()
}

func (r lastReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.Reader.ReadAt(p, off)
	if off == readSize && off+int64(n) == r.end {
		r.giveUp()
	}
	return n, err
}

// Attack: a file that there is much to read of before anything is hashed.
func TestNothingIsReadForWhoHasGivenUp(t *testing.T) {
	pki := trusttest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, data := range map[string][]byte{
		"image":   victim.bytes(),
		"package": append(bytes.Clone(cfbMagic), make([]byte, 4096)...),
		"cabinet": append(bytes.Clone(cabMagic), make([]byte, 4096)...),
		"text":    []byte("text"),
	} {
		if _, _, err := Verify(ctx, bytes.NewReader(data), int64(len(data)), pki.Anchors()); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Attack: certificates and time-stamps, not bytes, are what takes the time.
func TestSignaturesAreNotJudgedForWhoHasGivenUp(t *testing.T) {
	pki := trusttest.New(t)
	signed := sign(t, pki.Get(trusttest.Good), ".exe", handmade{plus: true, sections: 2, overlay: readSize}.bytes())
	ctx, cancel := context.WithCancel(t.Context())
	r := lastReader{bytes.NewReader(signed), int64(len(signed)), cancel}
	if _, evidence, err := Verify(ctx, r, r.end, pki.Anchors()); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %d pieces of evidence", err, len(evidence))
	}
	if ctx.Err() == nil {
		t.Fatal("the file was not read to its end")
	}
}
