package pipe

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
)

func TestPiecesAreReadAsTheyWereWritten(t *testing.T) {
	for _, handles := range [][]uint64{nil, {4}, {4, 8, 12, 16, 20, 24, 28, 1 << 40}} {
		b := AppendPiece([]byte("x"), []byte("frame"), handles...)[1:]
		r := bytes.NewReader(append(bytes.Clone(b), "next"...))
		got, err := ReadPiece(r)
		if err != nil || got.Size != 5 || !slices.Equal(got.Handles, handles) || r.Len() != len("framenext") {
			t.Errorf("%v: %+v, %v", handles, got, err)
		}
		for n := range len(b) - len("frame") {
			want := io.ErrUnexpectedEOF
			if n == 0 {
				want = io.EOF
			}
			if _, err := ReadPiece(bytes.NewReader(b[:n])); err != want {
				t.Errorf("%d bytes of it: %v, expected %v", n, err, want)
			}
		}
	}
	for name, b := range map[string][]byte{
		"no bytes":           AppendPiece(nil, nil, 4),
		"nine handles":       AppendPiece(nil, []byte("x"), make([]uint64, MaxHandles+1)...),
		"4 GB of bytes":      {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
		"4 thousand million": {1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff},
	} {
		if _, err := ReadPiece(bytes.NewReader(b)); !errors.Is(err, ErrPiece) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzPiece(f *testing.F) {
	f.Add(AppendPiece(nil, []byte("frame"), 4, 8))
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ReadPiece(bytes.NewReader(b))
		if err == nil && !bytes.HasPrefix(b, AppendPiece(nil, make([]byte, p.Size), p.Handles...)[:headSize+8*len(p.Handles)]) {
			t.Errorf("%x became %+v", b, p)
		}
	})
}
