package readahead

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func content(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

func TestEach(t *testing.T) {
	all := content(3*piece + 17)
	for _, c := range []struct{ at, size int64 }{
		{0, 0}, {0, 1}, {0, piece}, {0, piece + 1}, {5, 2 * piece}, {0, int64(len(all))}, {17, 3 * piece}, {int64(len(all)), 0},
	} {
		var got []byte
		next := c.at
		err := Each(t.Context(), bytes.NewReader(all), c.at, c.size, func(p []byte, at int64) error {
			if at != next {
				t.Errorf("%+v: a piece at %d, expected %d", c, at, next)
			}
			got, next = append(got, p...), at+int64(len(p))
			return nil
		})
		if err != nil || !bytes.Equal(got, all[c.at:c.at+c.size]) {
			t.Errorf("%+v: %d bytes, %v", c, len(got), err)
		}
	}
}

func TestEachEnds(t *testing.T) {
	all := content(4 * piece)
	stop := errors.New("stop")
	ctx, cancel := context.WithCancel(t.Context())
	seen := 0
	for name, c := range map[string]struct {
		r    io.ReaderAt
		size int64
		use  func([]byte, int64) error
		want error
	}{
		"when it is told to":     {bytes.NewReader(all), 4 * piece, func([]byte, int64) error { return stop }, stop},
		"where the file ends":    {bytes.NewReader(all), 4*piece + 1, func([]byte, int64) error { return nil }, io.ErrUnexpectedEOF},
		"where a small one does": {bytes.NewReader(all[:9]), 10, func([]byte, int64) error { return nil }, io.ErrUnexpectedEOF},
		"where it is unreadable": {failing{stop}, 4 * piece, func([]byte, int64) error { return nil }, stop},
		"when nobody waits": {bytes.NewReader(all), 4 * piece, func([]byte, int64) error {
			if seen++; seen == 1 {
				cancel()
			}
			return nil
		}, context.Canceled},
	} {
		with := t.Context()
		if c.want == context.Canceled {
			with = ctx
		}
		if err := Each(with, c.r, 0, c.size, c.use); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Each(ctx, bytes.NewReader(all), 0, 9, func([]byte, int64) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

type failing struct{ error }

func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.error }
