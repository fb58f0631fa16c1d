package macho

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"kpm/core"
	"kpm/trust/trusttest"
)

// member is a slice of a fat file to be made.
type member struct {
	kind, subkind uint32
	image         []byte
}

// fat makes a fat file, each slice on a boundary of 16 KiB as lipo does.
func fat(wide bool, members ...member) []byte {
	be := binary.BigEndian
	magic := uint32(magicFat)
	if wide {
		magic = magicFat64
	}
	out := be.AppendUint32(be.AppendUint32(nil, magic), uint32(len(members)))
	offset := 0x4000
	var body []byte
	for _, m := range members {
		body = append(body, make([]byte, offset-0x4000-len(body))...)
		out = be.AppendUint32(be.AppendUint32(out, m.kind), m.subkind)
		if wide {
			out = be.AppendUint64(be.AppendUint64(out, uint64(offset)), uint64(len(m.image)))
			out = be.AppendUint32(be.AppendUint32(out, 14), 0)
		} else {
			out = be.AppendUint32(be.AppendUint32(out, uint32(offset)), uint32(len(m.image)))
			out = be.AppendUint32(out, 14)
		}
		body = append(body, m.image...)
		offset = (offset + len(m.image) + 0x3fff) &^ 0x3fff
	}
	return append(append(out, make([]byte, 0x4000-len(out))...), body...)
}

func signedFor(t testing.TB, kind uint32, s signing) member {
	t.Helper()
	return member{kind, 0, sign(t, tiny(little64(), kind, nil), s)}
}

func TestFatFiles(t *testing.T) {
	team := signing{team: trusttest.TeamID, flags: flagRuntime}
	arm, intel := signedFor(t, arm64, team), signedFor(t, amd64, team)
	for _, wide := range []bool{false, true} {
		e := want(t, anchors(t), fat(wide, arm, intel), core.Trusted, "")
		if e.TeamID != trusttest.TeamID || e.Identifier != "com.example.tool" || outcome(e, "arm64: file digest").Outcome != core.Passed || outcome(e, "x86_64: file digest").Outcome != core.Passed {
			t.Errorf("%+v", e)
		}
	}
	real := func(arch string, kind uint32) member {
		image := program(t, arch)
		return member{kind, binary.LittleEndian.Uint32(image[8:]), image}
	}
	goArm, goIntel := real("arm64", arm64), real("amd64", amd64)
	want(t, anchors(t), fat(false, goArm, goIntel), core.Untrusted, "x86_64 part is not signed") // as the Go linker leaves them
	signedGo := func(m member) member { m.image = sign(t, m.image, team); return m }
	want(t, anchors(t), fat(false, signedGo(goArm), signedGo(goIntel)), core.Trusted, "")
	if e := judge(t, anchors(t), fat(true, goIntel, member{i386, 0, []byte("!<arch>\n")})); len(e) != 0 {
		t.Errorf("nothing in it is signed: %+v", e)
	}
}

func TestOneBadSliceSpoilsTheFile(t *testing.T) {
	pki := trusttest.New(t)
	team := signing{team: trusttest.TeamID}
	good := signedFor(t, arm64, team)
	changed := signedFor(t, amd64, team)
	changed.image[0x1800] ^= 1
	for name, c := range map[string]struct {
		other    member
		standing core.Standing
		reason   string
	}{
		"unsigned":                  {member{amd64, 0, tiny(little64(), amd64, nil)}, core.Untrusted, "x86_64 part is not signed"},
		"no image":                  {member{amd64, 0, []byte("!<arch>\n")}, core.Untrusted, "x86_64 part is not signed"},
		"changed":                   {changed, core.Broken, "x86_64: the file was changed"},
		"cut short":                 {member{amd64, 0, changed.image[:len(changed.image)-1]}, core.Broken, "x86_64"},
		"by a stranger":             {signedFor(t, amd64, signing{by: pki.Get(trusttest.Stranger)}), core.Untrusted, "x86_64"},
		"of its team, otherwise":    {signedFor(t, amd64, signing{by: developerEC(t, trusttest.TeamID), team: trusttest.TeamID}), core.Untrusted, "same signer"},
		"by another team":           {signedFor(t, amd64, signing{by: developerEC(t, "OTHERTEAM1"), team: "OTHERTEAM1"}), core.Untrusted, "same signer"},
		"by no team":                {teamless(t, amd64, nil), core.Untrusted, "same signer"},
		"for another architecture":  {member{amd64, 0, good.image}, core.Broken, "calls the arm64 slice x86_64"},
		"with nothing but a header": {member{amd64, 0, changed.image[:4]}, core.Broken, "cut short"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, members := range [][]member{{good, c.other}, {c.other, good}} {
				e := want(t, anchors(t), fat(false, members...), c.standing, c.reason)
				if e.Standing == core.Untrusted && e.TeamID == trusttest.TeamID {
					t.Errorf("the good slice's team stands for the file: %+v", e)
				}
			}
		})
	}
	t.Run("no team, two certificates", func(t *testing.T) {
		arm := teamless(t, arm64, nil)
		want(t, anchors(t), fat(false, arm, teamless(t, amd64, developerEC(t, "OTHERTEAM1"))), core.Untrusted, "same signer")
		if e := want(t, anchors(t), fat(false, arm, teamless(t, amd64, nil)), core.Trusted, ""); e.TeamID != "" {
			t.Errorf("team %q", e.TeamID)
		}
	})
}

// Tools that sign slices before they are put together name each by its file.
func TestOneSignerNamesSlicesDifferently(t *testing.T) {
	arm := signedFor(t, arm64, signing{team: trusttest.TeamID, flags: flagRuntime})
	intel := signedFor(t, amd64, signing{team: trusttest.TeamID, flags: flagRuntime, identifier: "tool-x86_64"})
	e := want(t, anchors(t), fat(false, arm, intel), core.Trusted, "")
	if e.TeamID != trusttest.TeamID || len(e.Chain) != 3 || e.Identifier != "" {
		t.Errorf("%+v", e)
	}
	if a, b := outcome(e, "arm64: identifier"), outcome(e, "x86_64: identifier"); a.Detail != "com.example.tool" || b.Detail != "tool-x86_64" {
		t.Errorf("%+v, %+v", a, b)
	}
	for name, change := range map[string]func(m *member){
		"a byte of one slice": func(m *member) { m.image[0x1800] ^= 1 },
		"its identifier":      func(m *member) { i := bytes.Index(m.image, []byte("tool-x86_64")); m.image[i] ^= 1 },
		"the slice of somebody else": func(m *member) {
			*m = signedFor(t, amd64, signing{by: developerEC(t, "OTHERTEAM1"), team: "OTHERTEAM1"})
		},
		"its signature taken away": func(m *member) { m.image = tiny(little64(), amd64, nil) },
	} {
		changed := member{intel.kind, intel.subkind, slices.Clone(intel.image)}
		change(&changed)
		if e := judge(t, anchors(t), fat(false, arm, changed)); len(e) != 1 || e[0].Standing == core.Trusted || e[0].TeamID == trusttest.TeamID && e[0].Standing != core.Broken {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestAFatFileIsAsOldAsItsLastSlice(t *testing.T) {
	pki := trusttest.New(t)
	stamped := func(kind uint32, at time.Time) member {
		m := signedFor(t, kind, signing{team: trusttest.TeamID})
		m.image = editMessage(t, m.image, func(f *trusttest.Forgery) {
			f.AddUnsigned(trusttest.OIDToken, trusttest.Token{Stamper: pki.Get(trusttest.Stamper), Over: f.Value().Body, At: at}.DER())
		})
		return m
	}
	early, late := pki.Now.Add(-48*time.Hour), pki.Now.Add(-24*time.Hour)
	for _, members := range [][]member{{stamped(arm64, early), stamped(amd64, late)}, {stamped(arm64, late), stamped(amd64, early)}} {
		if e := want(t, anchors(t), fat(false, members...), core.Trusted, ""); !e.SignedAt.Equal(late) || e.TimeStamp != "rfc3161" {
			t.Errorf("signed at %v", e.SignedAt)
		}
	}
	unstamped := signedFor(t, amd64, signing{team: trusttest.TeamID})
	if e := want(t, anchors(t), fat(false, stamped(arm64, early), unstamped), core.Trusted, ""); !e.SignedAt.IsZero() || e.TimeStamp != "" {
		t.Errorf("signed at %v (%s)", e.SignedAt, e.TimeStamp)
	}
}

// teamless is a slice whose signature names no team.
func teamless(t testing.TB, kind uint32, by *trusttest.Entity) member {
	t.Helper()
	m := signedFor(t, kind, signing{})
	m.image = forge(t, m.image, recipe{by: by})
	return m
}

func TestFatHeaders(t *testing.T) {
	team := signing{team: trusttest.TeamID}
	arm, intel := signedFor(t, arm64, team), signedFor(t, amd64, team)
	be := binary.BigEndian
	set := func(at int, v uint32) func(p []byte) []byte {
		return func(p []byte) []byte { be.PutUint32(p[at:], v); return p }
	}
	const first, second = fatHeaderSize, fatHeaderSize + fatArchSize
	for name, c := range map[string]struct {
		change func(p []byte) []byte
		reason string
	}{
		"no architectures":    {set(4, 0), "lists 0"},
		"more than there are": {set(4, 44), "lists 44"},
		"three of two":        {set(4, 3), "outside"},
		"one of two":          {set(4, 1), "hidden"},
		"the same one twice":  {func(p []byte) []byte { copy(p[second:], p[first:second]); return p }, "two slices for arm64"},
		"the same one, other features": {func(p []byte) []byte {
			copy(p[second:], p[first:first+4])
			be.PutUint32(p[second+4:], 0x80000000)
			return p
		}, "two slices for arm64"},
		"one slice twice":            {func(p []byte) []byte { copy(p[second+8:], p[first+8:second]); return p }, "overlap"},
		"slices that overlap":        {set(second+8, 0x8000), "overlap"},
		"a slice in the header":      {func(p []byte) []byte { be.PutUint32(p[first+8:], 0); return p }, "overlap"},
		"a slice beyond the end":     {set(second+8, 0xffffc000), "outside"},
		"a slice that ends beyond":   {set(second+12, 0x7fffffff), "outside"},
		"a slice of nothing":         {set(second+12, 0), "outside"},
		"a slice cut short":          {set(second+12, 0x1000), "appended"},
		"a slice between boundaries": {set(second+16, 20), "alignment"},
		"an absurd alignment":        {set(second+16, 0xffffffff), "alignment"},
		"data between the slices":    {func(p []byte) []byte { p[0x3fff] = 1; return p }, "hidden"},
		"data after the header":      {func(p []byte) []byte { copy(p[second+fatArchSize:], p[first:second]); return p }, "hidden"},
		"data appended":              {func(p []byte) []byte { return append(p, 0) }, "appended"},
		"a header cut short":         {func(p []byte) []byte { return p[:20] }, "past the end"},
	} {
		t.Run(name, func(t *testing.T) {
			want(t, anchors(t), c.change(fat(false, arm, intel)), core.Broken, c.reason)
		})
	}
	t.Run("a reserved field in use", func(t *testing.T) {
		wide := fat(true, arm, intel)
		be.PutUint32(wide[fatHeaderSize+28:], 1)
		want(t, anchors(t), wide, core.Broken, "alignment")
	})
	t.Run("64-bit offsets that wrap", func(t *testing.T) {
		wide := fat(true, arm, intel)
		be.PutUint64(wide[fatHeaderSize+8:], 1<<64-0x4000)
		want(t, anchors(t), wide, core.Broken, "outside")
		be.PutUint64(wide[fatHeaderSize+16:], 1<<63)
		want(t, anchors(t), wide, core.Broken, "outside")
	})
}

// TestEveryBitOfTheFatHeader: only the alignment may change without another
// verdict, as long as the slice lies where it says.
func TestEveryBitOfTheFatHeader(t *testing.T) {
	team := signing{team: trusttest.TeamID}
	file := fat(false, signedFor(t, arm64, team), signedFor(t, amd64, team))
	aligns := []int{fatHeaderSize + 19, fatHeaderSize + fatArchSize + 19}
	for i := range fatHeaderSize + 2*fatArchSize {
		for bit := range 8 {
			file[i] ^= 1 << bit
			for _, e := range judge(t, anchors(t), file) {
				if e.Standing == core.Trusted && !slices.Contains(aligns, i) && !capability(i) {
					t.Errorf("byte %d, bit %d: %s", i, bit, e.Reason)
				}
			}
			file[i] ^= 1 << bit
		}
	}
}

// capability: the byte holds bits that select no slice.
func capability(i int) bool { return (i-fatHeaderSize)%fatArchSize == 4 }

func TestRecognise(t *testing.T) {
	for head, is := range map[string]bool{
		"\xcf\xfa\xed\xfe\x0c\x00\x00\x01": true,
		"\xce\xfa\xed\xfe\x07\x00\x00\x00": true,
		"\xfe\xed\xfa\xce\x00\x00\x00\x12": true,
		"\xfe\xed\xfa\xcf\x01\x00\x00\x12": true,
		"\xca\xfe\xba\xbe\x00\x00\x00\x02": true,
		"\xca\xfe\xba\xbf\x00\x00\x00\x02": true,
		"\xca\xfe\xba\xbe\x00\x00\x00\x34": false, // Java 8
		"\xca\xfe\xba\xbe\x00\x03\x00\x2d": false, // Java 1.1
		"\xbe\xba\xfe\xca\x02\x00\x00\x00": false, // no system reads it
		"\x7fELF\x02\x01\x01\x00":          false,
		"MZ\x90\x00\x03\x00\x00\x00":       false,
		"\xcf\xfa\xed\xfe":                 false,
		"":                                 false,
	} {
		if got := Recognise([]byte(head)); got != is {
			t.Errorf("%x: %v", head, got)
		}
	}
	if n := strings.Count(cpu{arm64, 2}.String(), "e"); n != 1 {
		t.Errorf("arm64e is called %s", cpu{arm64, 2})
	}
}
