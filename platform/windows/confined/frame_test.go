package confined

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"kpm/core/port"
)

// handed is a file with a number.
type handed struct {
	port.HandedFile
	number uint64
	closed *int
}

func (h handed) Close() error { *h.closed++; return nil }

// received reads everything, by small pieces, and says which files came before
// which byte.
func received(stream []byte, piece int, wrap func(io.Reader) io.Reader) (got []byte, files map[int]uint64, closed int, err error) {
	files = map[int]uint64{}
	f := &frames{from: wrap(bytes.NewReader(stream)), open: func(n uint64) port.HandedFile { return handed{nil, n, &closed} }}
	p := make([]byte, piece)
	for {
		n, file, err := f.Receive(p)
		if h, ok := file.(handed); ok {
			files[len(got)] = h.number
		}
		got = append(got, p[:n]...)
		if err != nil {
			return got, files, closed, err
		}
	}
}

// A file comes with the first byte of what it was sent with, however the pipe cuts
// the stream.
func TestFrames(t *testing.T) {
	stream := AppendFrame(nil, []byte("hello"), 0)
	stream = AppendFrame(stream, []byte("a file"), 0x1234)
	stream = AppendFrame(stream, []byte("x"), 8)
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"at once": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "by halves": iotest.HalfReader,
	} {
		for _, piece := range []int{1, 2, 5, 6, 100} {
			got, files, _, err := received(stream, piece, wrap)
			if string(got) != "helloa filex" || err != io.EOF || len(files) != 2 || files[5] != 0x1234 || files[11] != 8 {
				t.Errorf("%s, %d bytes each: %q, files %v, %v", name, piece, got, files, err)
			}
		}
	}
}

// What ends within a frame is no end of file, and the file that came with it is
// closed.
func TestFramesThatAreNone(t *testing.T) {
	whole := AppendFrame(nil, []byte("four"), 5)
	for n := 1; n < len(whole); n++ {
		_, files, closed, err := received(whole[:n], 100, func(r io.Reader) io.Reader { return r })
		if err == nil || err == io.EOF || len(files) != 0 {
			t.Errorf("%d bytes: %v, files %v", n, err, files)
		}
		if n >= headSize && closed != 1 {
			t.Errorf("%d bytes: closed %d times", n, closed)
		}
	}
	for _, size := range [][]byte{{0, 0, 0, 0}, {1, 0, 0x10, 0}, {0xff, 0xff, 0xff, 0xff}} {
		_, _, _, err := received(append(make([]byte, 8), size...), 100, func(r io.Reader) io.Reader { return r })
		if !errors.Is(err, errFrame) {
			t.Errorf("size %v: %v", size, err)
		}
	}
}
