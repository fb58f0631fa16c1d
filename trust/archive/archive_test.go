package archive

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

func jar(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create("META-INF/MANIFEST.MF")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("Main-Class: Evil\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestHidden(t *testing.T) {
	archive, program := jar(t), bytes.Repeat([]byte("program "), 20_000)
	end := func(length, offset uint32) []byte {
		record := make([]byte, EndSize)
		copy(record, endMark)
		binary.LittleEndian.PutUint32(record[lengthAt:], length)
		binary.LittleEndian.PutUint32(record[offsetAt:], offset)
		return record
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for name, c := range map[string]struct {
		file   []byte
		signed int // the first bytes that are
		hidden bool
	}{
		"a program":                         {program, 0, false},
		"an empty file":                     {nil, 0, false},
		"an archive and nothing else":       {archive, 0, true},
		"appended":                          {join(program, archive), len(program), true},
		"signed with the program":           {join(program, archive), len(program) + len(archive), false},
		"its last byte is not signed":       {join(program, archive), len(program) + len(archive) - 1, true},
		"before the end, as if a comment":   {join(program, archive, program[:60_000]), len(program), true},
		"too far from the end to be found":  {join(archive, program), 0, false},
		"signed, and another behind it":     {join(program, archive, archive), len(program) + len(archive), true},
		"one for large archives":            {join(program, end(1<<32-1, 1<<32-1)), len(program) + EndSize, true},
		"one that began before the file":    {join(program, end(1<<31, 1<<31)), 0, false},
		"a record that is cut off":          {join(program, end(0, 0)[:EndSize-1]), 0, false},
		"more records than anyone looks at": {join(program, bytes.Repeat(end(1<<31, 1<<31), 20)), 0, true},
	} {
		hidden, err := Hidden(bytes.NewReader(c.file), int64(len(c.file)), func(_, end int64) bool { return end <= int64(c.signed) })
		if err != nil || hidden != c.hidden {
			t.Errorf("%s: hidden %v, %v", name, hidden, err)
		}
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	if _, err := Hidden(bytes.NewReader(nil), 10, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a file that shrank: %v", err)
	}
	failing := struct{ io.ReaderAt }{readerAt{iotest.ErrReader(io.ErrClosedPipe)}}
	if _, err := Hidden(failing, 10, nil); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a read error: %v", err)
	}
}

type readerAt struct{ io.Reader }

func (r readerAt) ReadAt(p []byte, _ int64) (int, error) { return r.Read(p) }

func FuzzHidden(f *testing.F) {
	f.Add([]byte("PK\x05\x06"), int64(3))
	f.Add(bytes.Repeat([]byte("PK\x05\x06"), 20), int64(0))
	f.Fuzz(func(t *testing.T, data []byte, signed int64) {
		hidden, err := Hidden(bytes.NewReader(data), int64(len(data)), func(start, end int64) bool {
			if start < 0 || start > end || end > int64(len(data)) {
				t.Errorf("asked about %d to %d of %d", start, end, len(data))
			}
			return end <= signed
		})
		if err != nil {
			t.Fatal(err)
		}
		if hidden && !bytes.Contains(data, endMark) {
			t.Error("hidden without a record")
		}
	})
}
