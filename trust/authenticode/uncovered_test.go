package authenticode

import (
	"bytes"
	"strings"
	"testing"

	"kpm/core"
	"kpm/trust/trusttest"
)

// What can be added to a signature without making it another one is named, with
// its size.
func TestWhatNobodySignsIsNamed(t *testing.T) {
	const (
		stampParts  = "time-stamp: parts that nobody signs"
		otherStamps = "time-stamp: others"
	)
	pki := trusttest.New(t)
	image := sign(t, pki.Get(trusttest.Good), ".exe", victim.bytes(), stamped(t, pki.Get(trusttest.Stamper))...)
	stranger := parse(t, pki.Get(trusttest.Stranger).Certificate.Raw)
	unsigned := func(m *node) *node { return m.at(signerInfo...).at(-1) }
	token := func(m *node) *node { return unsigned(m).at(0, 1, 0) }
	everything := []string{uncovered, stampParts, otherStamps}
	for name, x := range map[string]struct {
		change func(m *node)
		check  string
		says   string
	}{
		"nothing":                          {func(*node) {}, "", ""},
		"a certificate":                    {func(m *node) { add(m.at(signedData...).at(3), stranger) }, uncovered, "1 certificate that no chain needs ("},
		"an attribute certificate":         {func(m *node) { add(m.at(signedData...).at(3), tagged(1, octet(make([]byte, 40)))) }, uncovered, "certificates of other kinds (44 bytes)"},
		"an unsigned attribute":            {func(m *node) { add(unsigned(m), attribute([]int{1, 3, 9}, octet(make([]byte, 40)))) }, uncovered, "unsigned attributes (42 bytes)"},
		"a time-stamp":                     {func(m *node) { add(unsigned(m), unsigned(m).at(0)) }, otherStamps, "1 more"},
		"a certificate of the time-stamp":  {func(m *node) { add(token(m).at(signedData...).at(3), stranger) }, stampParts, "1 certificate that no chain needs ("},
		"an attribute of the time-stamp's": {func(m *node) { add(token(m).at(signerInfo...), tagged(1, attribute([]int{1, 3, 9}, null()))) }, stampParts, "unsigned attributes (2 bytes)"},
	} {
		m := parse(t, blob(t, image))
		x.change(m)
		changed := reseal(t, func([]byte) []byte { return winCertificate(revision2, pkcsSignedData, m.der(t)) })(bytes.Clone(image))
		_, evidence := verify(t, pki.Anchors(), changed)
		if standing(evidence) != core.Trusted {
			t.Errorf("%s: %+v", name, evidence)
			continue
		}
		for _, of := range everything {
			c := check(evidence[0], of)
			if of != otherStamps && c.Outcome != core.NotChecked {
				t.Errorf("%s: %s: %+v", name, of, c)
			}
			// What does not always stand there has a size, or is counted.
			if added := strings.ContainsAny(c.Detail, "0123456789"); added != (of == x.check) || !strings.Contains(c.Detail, x.says) && added {
				t.Errorf("%s: %s: %q", name, of, c.Detail)
			}
		}
	}
}

func TestACatalogNamesWhatNobodySigns(t *testing.T) {
	pki := trusttest.New(t)
	image := victim.bytes()
	_, evidence := ReadCatalog(catalogFile(t, pki.Get(trusttest.Good), trustList(t, member1(t, image)), "-addUnauthenticatedBlob"), pki.Anchors())
	if got := check(evidence, uncovered); got.Outcome != core.NotChecked || evidence.Standing != core.Trusted {
		t.Errorf("%+v", evidence)
	}
}
