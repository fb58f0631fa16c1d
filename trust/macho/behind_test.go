package macho

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"kpm/core"
	"kpm/trust/archive"
	"kpm/trust/trusttest"
)

// resigned is a program whose signature is shorter than the linker's, which lay
// in its place: codesign leaves the end of that behind.
func resigned(t testing.TB) (signed []byte, end int) {
	t.Helper()
	signed = sign(t, tiny(little64(), arm64, nil), signing{team: trusttest.TeamID, flags: flagRuntime})
	at := int(place(t, signed).offset)
	end = at + int(binary.BigEndian.Uint32(signed[at+4:]))
	if len(signed)-end < 64 {
		t.Fatalf("%d bytes of space are too few", len(signed)-end)
	}
	for i := end; i < len(signed); i++ {
		signed[i] = byte(i)*13 + 1
	}
	return signed, end
}

func TestWhatLiesBehindAShorterSignature(t *testing.T) {
	signed, end := resigned(t)
	e := want(t, anchors(t), signed, core.Trusted, "")
	c := outcome(e, "behind the signature")
	if c.Outcome != core.NotChecked || !strings.Contains(c.Detail, "bytes") {
		t.Errorf("%+v", c)
	}
	clear(signed[end:])
	if c := outcome(want(t, anchors(t), signed, core.Trusted, ""), "behind the signature"); c.Outcome != "" {
		t.Errorf("zeros: %+v", c)
	}
}

// Nobody signs what lies behind. It may be any bytes, but not more of them than
// the load commands say, none of the signature's own, and no archive.
func TestNothingHidesBehindASignature(t *testing.T) {
	signed, end := resigned(t)
	at := int(place(t, signed).offset)
	be := binary.BigEndian
	for name, change := range map[string]func(p []byte) []byte{
		"an archive": func(p []byte) []byte {
			record := append([]byte("PK\x05\x06"), make([]byte, archive.EndSize-4)...)
			copy(p[len(p)-archive.EndSize:], record)
			return p
		},
		"more than the space":         func(p []byte) []byte { return append(p, p[end:]...) },
		"less than the space":         func(p []byte) []byte { return p[:end] },
		"the signature a byte longer": func(p []byte) []byte { be.PutUint32(p[at+4:], be.Uint32(p[at+4:])+1); return p },
		"the signature takes all":     func(p []byte) []byte { be.PutUint32(p[at+4:], uint32(len(p)-at)); return p },
		"the signature a part short":  func(p []byte) []byte { be.PutUint32(p[at+4:], be.Uint32(p[at+4:])-8); return p },
		"the space made larger": func(p []byte) []byte {
			put32(p, atCodeSign+12, uint32(len(p)-at+16))
			return append(p, make([]byte, 16)...)
		},
		"the space made smaller": func(p []byte) []byte { put32(p, atCodeSign+12, uint32(end-at)); return p },
		"a part moved behind": func(p []byte) []byte {
			last := at + superHeaderSize + (int(be.Uint32(p[at+8:]))-1)*indexEntrySize
			part := p[at+int(be.Uint32(p[last+4:])) : end]
			copy(p[end:], part)
			be.PutUint32(p[last+4:], uint32(end-at))
			return p
		},
		"the signature itself moved behind": func(p []byte) []byte {
			put32(p, atCodeSign+8, uint32(end))
			put32(p, atCodeSign+12, uint32(len(p)-end))
			copy(p[end:], p[at:end])
			return p
		},
	} {
		e := judge(t, anchors(t), change(slices.Clone(signed)))
		if len(e) != 1 || e[0].Standing != core.Broken {
			t.Errorf("%s: %+v", name, e)
		}
	}
}
