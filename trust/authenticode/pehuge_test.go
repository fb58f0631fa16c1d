package authenticode

import (
	"bytes"
	"runtime"
	"testing"
)

// sparse is a file of any size that is zero where nothing was written.
type sparse map[int64][]byte

func (s sparse) ReadAt(b []byte, at int64) (int, error) {
	clear(b)
	for start, data := range s {
		if from := max(start, at); from < min(start+int64(len(data)), at+int64(len(b))) {
			copy(b[from-at:], data[from-start:])
		}
	}
	return len(b), nil
}

// Offsets and sizes are 32 bits wide in the headers, and files are not. None
// of these is read further than its headers, and no length in them costs
// memory.
func TestHostileLengthsInFilesOfManyGigabytes(t *testing.T) {
	const giant = 9 << 30
	head := func(changes ...func([]byte) []byte) []byte {
		b := victim.bytes()
		for _, change := range changes {
			b = change(b)
		}
		return b
	}
	table := func(at, size int) func([]byte) []byte {
		return func(b []byte) []byte { return relocate(b, at, size) }
	}
	for name, x := range map[string]struct {
		head []byte
		size int64
		want string
	}{
		"no table":                    {head(), giant, ""},
		"table in the middle":         {head(table(1<<31, 4096)), giant, "data follows the signature"},
		"table across 4 GiB":          {head(table(0xfffffff8, 0x10)), 0x1_0000_0008, "a signature is longer than the certificate table"},
		"table of 4 GiB behind 4 GiB": {head(table(0xfffffff8, 0xfffffff8)), 0x1_ffff_fff0, "the certificate table is larger than 16 MiB"},
		"table of 4 GiB":              {head(table(0x1000, 0xfffff000)), 0x1_0000_0000, "the certificate table is larger than 16 MiB"},
		"section across 4 GiB": {head(table(0xfffffff8, 0x10), put32(sectionsAt+sectionRaw, 0xffffff00), put32(sectionsAt+sectionRawSize, 0xffffff00)),
			0x1_0000_0008, "a section reaches into the certificate table"},
		"65535 sections":     {head(table(1<<31, 4096), put(coffAt+coffSections, 0xff, 0xff)), 1<<31 + 4096, "a section lies inside the headers"},
		"PE header at 4 GiB": {put32(dosHeaderNew, 0xfffffff0)(head()), giant, ""},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s, err := readPE(sparse{0: x.head}, x.size)
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if s != nil && s.malformed != nil {
			got = sentence(s.malformed)
		}
		if got != x.want {
			t.Errorf("%s: %q, want %q", name, got, x.want)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
			t.Errorf("%s: took %d bytes of memory", name, used)
		}
	}
}

// A certificate of the largest size that is read, full of elements that are as
// small as they can be.
func TestASignatureOfManySmallElements(t *testing.T) {
	many := bytes.Repeat([]byte{5, 0}, 4<<20)
	content := []byte{0x30, 0x84, 0, 0x80, 0, 0}
	if _, err := readIndirect(append(content, many...)); err == nil {
		t.Error("accepted")
	}
	list := &Catalog{members: make(map[string]member)}
	if err := list.readList(append(content, many...)); err == nil {
		t.Error("accepted as a catalog")
	}
}
