package authenticode

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"kpm/trust/trusttest"
)

// impatient gives up once the last byte has been read.
type impatient struct {
	*bytes.Reader
	end    int64
	giveUp func()
}

func (r impatient) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.Reader.ReadAt(p, off)
	if off == readSize && off+int64(n) == r.end {
		r.giveUp()
	}
	return n, err
}

// Attack: certificates and time-stamps, not bytes, are what takes the time.
func TestSignaturesAreNotJudgedForWhoHasGivenUp(t *testing.T) {
	pki := trusttest.New(t)
	signed := sign(t, pki.Get(trusttest.Good), ".exe", handmade{plus: true, sections: 2, overlay: readSize}.bytes())
	ctx, cancel := context.WithCancel(t.Context())
	r := impatient{bytes.NewReader(signed), int64(len(signed)), cancel}
	if _, evidence, err := Verify(ctx, r, r.end, pki.Anchors()); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %d pieces of evidence", err, len(evidence))
	}
	if ctx.Err() == nil {
		t.Fatal("the file was not read to its end")
	}
}
