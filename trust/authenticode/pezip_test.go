package authenticode

import (
	"bytes"
	"testing"

	"kpm/core"
	"kpm/trust/archive"
	"kpm/trust/trusttest"
)

// Attack: java -jar signed.exe runs the archive that it finds at the end of the
// file, and the file's signature seems to be the archive's (CVE-2020-1464).
func TestAnArchiveThatNobodySigned(t *testing.T) {
	pki := trusttest.New(t)
	program := victim.bytes()
	message := blob(t, sign(t, pki.Get(trusttest.Good), ".exe", program))
	hidden := func(change func(f *trusttest.Forgery)) []byte {
		f := trusttest.Take(bytes.Clone(message))
		change(f)
		return withTable(t, program, f.DER())
	}
	attribute := append([]byte{4, archive.EndSize}, tiny(jar(t, 0))...)
	installer := append(bytes.Clone(program), jar(t, 0)...)
	for name, c := range map[string]struct {
		file []byte
		want core.Standing
	}{
		"as it was signed":         {withTable(t, program, message), core.Trusted},
		"in an unsigned attribute": {hidden(func(f *trusttest.Forgery) { f.AddUnsigned(oidIndirectData, attribute) }), core.Broken},
		"an installer's own":       {sign(t, pki.Get(trusttest.Good), ".exe", installer), core.Trusted},
	} {
		if _, evidence := verify(t, pki.Anchors(), c.file); len(evidence) == 0 || evidence[0].Standing != c.want {
			t.Errorf("%s: %+v, expected %s", name, evidence, c.want)
		}
	}
}
