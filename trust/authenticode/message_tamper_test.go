package authenticode

import (
	"bytes"
	"crypto"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"strings"
	"testing"

	"kpm/core"
	"kpm/trust/trusttest"
)

// good is what a proper signature of the image says.
func goodContent(t testing.TB, image []byte) *node {
	t.Helper()
	return digestData(oidPeImageData, imageData(), idSHA256, digestOf(t, image, crypto.SHA256)[crypto.SHA256])
}

// Each of these is properly signed by a trusted signer. What it says is not
// what a signature of this file says.
func TestASignatureThatSaysSomethingElse(t *testing.T) {
	pki := trusttest.New(t)
	signer, image := pki.Get(trusttest.Good), victim.bytes()
	digest := digestOf(t, image, crypto.SHA256)[crypto.SHA256]
	flat := sha256.Sum256(image)
	data := func(kids ...*node) *node {
		return digestData(oidPeImageData, seq(kids...), idSHA256, digest)
	}
	long := goodContent(t, image)
	long.kids = append(long.kids, null())
	parameters := goodContent(t, image)
	parameters.at(1, 0).kids[1] = octet([]byte("parameters"))
	swapped := goodContent(t, image)
	swapped.kids[0], swapped.kids[1] = swapped.kids[1], swapped.kids[0]
	untyped := goodContent(t, image)
	untyped.at(0).kids[0] = null()
	pages := func(object ...*node) *node { return data(tagged(0, tagged(1, object...))) }
	inside := func(n *node) *node { return pages(octet(pageHashesClass), octet(n.der(t))) }
	kind := object(oidPageHashesV2...)
	edited := func(f func(n *node)) *node { n := goodContent(t, image); f(n); return n }
	individual := func(n *node) *node { n.at(0).kids[0] = object(oidIndividual...); return n }
	inOctets := octet(goodContent(t, image).der(t))
	for name, x := range map[string]struct {
		want  string
		draft draft
	}{
		"proper":                         {harmless, draft{content: goodContent(t, image)}},
		"proper, without data":           {harmless, draft{content: digestData(oidPeImageData, nil, idSHA256, digest)}},
		"proper, without link":           {harmless, draft{content: data(prim(3, []byte{0}))}},
		"proper, link to something":      {harmless, draft{content: data(prim(3, []byte{0}), tagged(0, tagged(1, octet(digest[:16]), octet(nil))))}},
		"the file's flat digest":         {broken, draft{content: digestData(oidPeImageData, imageData(), idSHA256, flat[:])}},
		"another file's digest":          {broken, draft{content: goodContent(t, handmade{sections: 1}.bytes())}},
		"no digest":                      {broken, draft{content: digestData(oidPeImageData, imageData(), idSHA256, nil)}},
		"half a digest":                  {broken, draft{content: digestData(oidPeImageData, imageData(), idSHA256, digest[:16])}},
		"a digest and more":              {broken, draft{content: digestData(oidPeImageData, imageData(), idSHA256, append(bytes.Clone(digest), 0))}},
		"a digest of another name":       {broken, draft{content: digestData(oidPeImageData, imageData(), []int{2, 16, 840, 1, 101, 3, 4, 2, 3}, digest)}},
		"a CAB's data type":              {broken, draft{content: digestData(oidCabData, imageData(), idSHA256, digest)}},
		"an MSI's data type":             {broken, draft{content: digestData(oidSipInfo, seq(number(1), octet(digest[:16])), idSHA256, digest)}},
		"no data type":                   {broken, draft{content: untyped}},
		"more than a digest":             {broken, draft{content: long}},
		"digest before data":             {broken, draft{content: swapped}},
		"digest with parameters":         {broken, draft{content: parameters}},
		"data twice":                     {broken, draft{content: data(prim(3, []byte{0}), prim(3, []byte{0}))}},
		"the type that sbsign writes":    {harmless, draft{content: digestData(oidIndividual, imageData(), idSHA256, digest)}},
		"that type, with page hashes":    {broken, draft{content: individual(inside(set(seq(kind, set(octet(pagesOf(t, image, crypto.SHA256)))))))}},
		"that type, of another digest":   {broken, draft{content: digestData(oidIndividual, imageData(), idSHA256, flat[:])}},
		"that type, with other data":     {broken, draft{content: digestData(oidIndividual, octet(nil), idSHA256, digest)}},
		"the type of another program":    {broken, draft{content: digestData(oidCommercial, imageData(), idSHA256, digest)}},
		"data of another type":           {broken, draft{content: digestData(oidPeImageData, octet(nil), idSHA256, digest)}},
		"two links":                      {broken, draft{content: data(tagged(0, imageData().at(1, 0), imageData().at(1, 0)))}},
		"a link to half an object":       {broken, draft{content: data(tagged(0, tagged(1, octet(digest[:16]))))}},
		"page hashes that are damaged":   {broken, draft{content: data(tagged(0, tagged(1, octet(pageHashesClass), octet([]byte{0x31, 0x7f}))))}},
		"page hashes that are not there": {broken, draft{content: data(tagged(0, tagged(1, octet(pageHashesClass), octet(nil))))}},
		"page hashes of no class":        {broken, draft{content: pages(number(1), octet(nil))}},
		"page hashes in no octets":       {broken, draft{content: pages(octet(pageHashesClass), number(1))}},
		"page hashes not in a set":       {broken, draft{content: inside(seq())}},
		"page hashes twice":              {broken, draft{content: inside(set(seq(kind, set(octet(nil))), seq(kind, set(octet(nil)))))}},
		"page hashes of no kind":         {broken, draft{content: inside(set(seq(null(), set(octet(nil)))))}},
		"page hashes without value":      {broken, draft{content: inside(set(seq(kind, set())))}},
		"page hashes as a number":        {broken, draft{content: inside(set(seq(kind, set(number(1)))))}},
		"page hashes, half":              {broken, draft{content: inside(set(seq(kind)))}},
		"a digest that is no octets":     {broken, draft{content: edited(func(n *node) { *n.at(1, 1) = *number(1) })}},
		"a digest that is a number":      {broken, draft{content: edited(func(n *node) { *n.at(1) = *number(1) })}},
		"a digest by no algorithm":       {broken, draft{content: edited(func(n *node) { n.at(1, 0).kids = nil })}},
		"a digest by a number":           {broken, draft{content: edited(func(n *node) { *n.at(1, 0, 0) = *number(1) })}},
		"data that is a number":          {broken, draft{content: edited(func(n *node) { *n.at(0) = *number(1) })}},
		"not a sequence":                 {broken, draft{content: set(goodContent(t, image).kids...)}},
		"an empty sequence":              {broken, draft{content: seq()}},
		"a content in an octet string":   {broken, draft{content: inOctets}},
		"plain data":                     {broken, draft{content: inOctets, kind: idData}},
		"a catalog's type":               {broken, draft{content: goodContent(t, image), kind: oidTrustList}},
		"a time-stamp's type":            {broken, draft{content: inOctets, kind: []int{1, 2, 840, 113549, 1, 9, 16, 1, 4}}},
		"a catalog":                      {broken, draft{content: trustList(t, member1(t, image)), kind: oidTrustList}},
		"SHA-3":                          {"untrusted", draft{content: digestData(oidPeImageData, imageData(), idSHA3, digest)}},
		"MD5":                            {"untrusted", draft{content: digestData(oidPeImageData, imageData(), idMD5, md5Of(image))}},
		"SHA-1":                          {"untrusted", draft{content: digestData(oidPeImageData, imageData(), idSHA1, digestOf(t, image, crypto.SHA1)[crypto.SHA1])}},
		"SHA-1 of another file":          {broken, draft{content: digestData(oidPeImageData, imageData(), idSHA1, sha1Of(image))}},
	} {
		x.draft.signer = signer
		_, evidence := verify(t, pki.Anchors(), withTable(t, image, x.draft.der(t)))
		if got := outcome(evidence); got != x.want {
			t.Errorf("%s: %s, want %s: %+v", name, got, x.want, evidence)
		}
	}
}

func md5Of(b []byte) []byte  { s := md5.Sum(b); return s[:] }
func sha1Of(b []byte) []byte { s := sha1.Sum(b); return s[:] }

// Paths in a message as osslsigncode and draft make it.
var (
	signedData = []int{1, 0}
	content    = []int{1, 0, 2, 1, 0}
	signerInfo = []int{1, 0, -1, 0}
)

// Opinions of osslsigncode.
const (
	oneIsEnough  = "it is content with one good signature among several"
	stampIgnored = "it takes a bad time-stamp for none"
)

// What a SignedData says can be changed without anything else noticing than
// whoever verifies it.
func TestATamperedSignature(t *testing.T) {
	pki := trusttest.New(t)
	signer := pki.Get(trusttest.Good)
	image := sign(t, signer, ".exe", victim.bytes(), stamped(t, pki.Get(trusttest.Stamper), "-n", "Example")...)
	other := handmade{plus: true, sections: 2, overlay: 16, fill: 9}.bytes()
	otherSigned := sign(t, signer, ".exe", other, stamped(t, pki.Get(trusttest.Stamper))...)
	stray := parse(t, blob(t, sign(t, pki.Get(trusttest.Stranger), ".exe", victim.bytes())))
	its := parse(t, blob(t, otherSigned))
	unsigned := func(m *node) *node { return m.at(signerInfo...).at(-1) }
	foreign := newPeer(t, pki)
	table := map[string]struct {
		want    string
		change  func(m *node)
		foreign string
	}{
		"nothing":                       {harmless, func(m *node) {}, ""},
		"content of another file":       {broken, func(m *node) { *m.at(content...) = *its.at(content...) }, ""},
		"the file's digest":             {broken, func(m *node) { m.at(content...).at(1, 1).value[0] ^= 1 }, ""},
		"the file's digest algorithm":   {broken, func(m *node) { *m.at(content...).at(1, 0, 0) = *object(idSHA3...) }, ""},
		"the data type":                 {broken, func(m *node) { *m.at(content...).at(0, 0) = *object(oidCabData...) }, ""},
		"the content's type":            {broken, func(m *node) { *m.at(signedData...).at(2, 0) = *object(idData...) }, ""},
		"no content":                    {broken, func(m *node) { m.at(signedData...).at(2).kids = m.at(signedData...).at(2).kids[:1] }, ""},
		"the signed attributes' digest": {broken, func(m *node) { signedAttribute(m, idDigest).at(1, 0).value[0] ^= 1 }, ""},
		"the signed content type":       {broken, func(m *node) { *signedAttribute(m, idContentType).at(1, 0) = *object(idData...) }, ""},
		"the program's name":            {broken, func(m *node) { *signedAttribute(m, oidOpusInfo).at(1, 0) = *seq() }, ""},
		"the statement":                 {broken, func(m *node) { *signedAttribute(m, oidStatementType).at(1, 0, 0) = *object(oidCommercial...) }, ""},
		"no signed attributes":          {broken, func(m *node) { drop(m.at(signerInfo...), 3) }, ""},
		"signed attributes of another":  {broken, func(m *node) { *m.at(signerInfo...).at(3) = *its.at(signerInfo...).at(3) }, ""},
		"an attribute more":             {broken, func(m *node) { add(m.at(signerInfo...).at(3), attribute(oidStatementType, null())) }, ""},
		"an attribute fewer":            {broken, func(m *node) { drop(m.at(signerInfo...).at(3), 0) }, ""},
		"attributes in another order":   {harmless, func(m *node) { k := m.at(signerInfo...).at(3).kids; k[0], k[1] = k[1], k[0] }, "a SET has no order: the signature is over the attributes as DER sorts them, and it does not sort"},
		"the signature":                 {broken, func(m *node) { m.at(signerInfo...).at(5).value[7] ^= 1 }, ""},
		"signature of another file":     {broken, func(m *node) { *m.at(signerInfo...).at(5) = *its.at(signerInfo...).at(5) }, ""},
		"no signature":                  {broken, func(m *node) { m.at(signerInfo...).at(5).value = nil }, ""},
		"a signature of zero":           {broken, func(m *node) { clear(m.at(signerInfo...).at(5).value) }, ""},
		"the signature's algorithm":     {broken, func(m *node) { *m.at(signerInfo...).at(4, 0) = *object(1, 2, 840, 10045, 4, 3, 2) }, "it goes by the key"},
		"the digest's algorithm":        {broken, func(m *node) { *m.at(signerInfo...).at(2, 0) = *object(2, 16, 840, 1, 101, 3, 4, 2, 3) }, ""},
		"signer of another":             {broken, func(m *node) { *m.at(signerInfo...) = *stray.at(signerInfo...) }, ""},
		"certificates of another":       {broken, func(m *node) { *m.at(signedData...).at(3) = *stray.at(signedData...).at(3) }, ""},
		"no certificates":               {broken, func(m *node) { m.at(signedData...).at(3).kids = nil }, ""},
		"no signer":                     {broken, func(m *node) { m.at(signedData...).at(-1).kids = nil }, ""},
		"two signers":                   {broken, func(m *node) { add(m.at(signedData...).at(-1), stray.at(signerInfo...)) }, ""},
		"issuer's name": {broken, func(m *node) {
			*m.at(signerInfo...).at(1, 0) = *parse(t, pki.Get(trusttest.Stranger).Certificate.RawIssuer)
		}, ""},
		"serial number":              {broken, func(m *node) { m.at(signerInfo...).at(1, 1).value[0] ^= 1 }, ""},
		"issuing CA left out":        {"untrusted", func(m *node) { m.at(signedData...).at(3).kids = onlySigner(t, m, signer) }, ""},
		"a certificate more":         {harmless, func(m *node) { add(m.at(signedData...).at(3), parse(t, pki.Get(trusttest.Stranger).Certificate.Raw)) }, ""},
		"no time-stamp":              {harmless, func(m *node) { drop(m.at(signerInfo...), -1) }, ""},
		"time-stamp of another file": {broken, func(m *node) { *unsigned(m) = *its.at(signerInfo...).at(-1) }, stampIgnored},
		"time-stamp is noise":        {broken, func(m *node) { *unsigned(m).at(0, 1) = *set(octet([]byte("noise"))) }, stampIgnored},
		"time-stamp twice":           {harmless, func(m *node) { add(unsigned(m), unsigned(m).at(0)) }, ""},
		"time-stamp five times":      {broken, func(m *node) { unsigned(m).kids = repeated(unsigned(m).at(0), 5) }, "it takes the first"},
		"an unknown unsigned attribute": {harmless, func(m *node) {
			add(unsigned(m), attribute([]int{1, 3, 6, 1, 4, 1, 42921, 1, 2, 1}, octet(make([]byte, 999))))
		}, ""},
		"nested: noise":                  {broken, func(m *node) { add(unsigned(m), attribute(oidNested, octet([]byte("noise")))) }, "it passes over a nested signature that it cannot read"},
		"nested: another file's":         {broken, func(m *node) { add(unsigned(m), attribute(oidNested, its)) }, oneIsEnough},
		"nested: the same without stamp": {harmless, func(m *node) { add(unsigned(m), attribute(oidNested, unstamped(t, image))) }, ""},
		"nested: a stranger's":           {"untrusted", func(m *node) { add(unsigned(m), attribute(oidNested, stray)) }, oneIsEnough},
		"nested: 16": {broken, func(m *node) {
			add(unsigned(m), attribute(oidNested, repeated(unstamped(t, image), maxSignatures)...))
		}, "it does not count them"},
		"nested in nested": {broken, func(m *node) {
			inner := unstamped(t, image)
			add(inner.at(signerInfo...), tagged(1, attribute(oidNested, unstamped(t, image))))
			add(unsigned(m), attribute(oidNested, inner))
		}, "it does not look into nested signatures"},
	}
	for name, x := range table {
		m := parse(t, blob(t, image))
		x.change(m)
		changed := reseal(t, func([]byte) []byte { return winCertificate(revision2, pkcsSignedData, m.der(t)) })(bytes.Clone(image))
		_, evidence := verify(t, pki.Anchors(), changed)
		if got := outcome(evidence); got != x.want {
			t.Errorf("%s: %s, want %s: %+v", name, got, x.want, evidence)
		}
		accepted, printed := foreign.accepts(t, ".exe", changed)
		if agreed := accepted == (x.want == harmless); agreed == (x.foreign != "") {
			t.Errorf("%s: osslsigncode accepts: %v (%q)\n%s", name, accepted, x.foreign, printed)
		}
	}
	t.Logf("%d manipulations", len(table)-1)
}

func add(n *node, kid *node) { n.kids = append(n.kids, kid) }

func drop(n *node, i int) {
	if i < 0 {
		i += len(n.kids)
	}
	n.kids = append(n.kids[:i:i], n.kids[i+1:]...)
}

func signedAttribute(m *node, id []int) *node {
	for _, a := range m.at(signerInfo...).at(3).kids {
		if bytes.Equal(a.at(0).value, object(id...).value) {
			return a
		}
	}
	panic("no such attribute")
}

// onlySigner are the certificates without those of CAs.
func onlySigner(t testing.TB, m *node, signer *trusttest.Entity) []*node {
	for _, c := range m.at(signedData...).at(3).kids {
		if bytes.Equal(c.der(t), signer.Certificate.Raw) {
			return []*node{c}
		}
	}
	panic("no such certificate")
}

func unstamped(t testing.TB, image []byte) *node {
	m := parse(t, blob(t, image))
	drop(m.at(signerInfo...), -1)
	return m
}

func repeated(n *node, times int) []*node {
	var all []*node
	for range times {
		all = append(all, n)
	}
	return all
}

func TestUnsignedBytesInASignatureAreReported(t *testing.T) {
	pki := trusttest.New(t)
	file := sign(t, pki.Get(trusttest.Good), ".exe", victim.bytes(), "-addUnauthenticatedBlob")
	_, evidence := verify(t, pki.Anchors(), file)
	if len(evidence) != 1 || evidence[0].Standing != core.Trusted {
		t.Fatalf("%+v", evidence)
	}
	if got := check(evidence[0], "parts of the signature that nobody signs"); got.Outcome != core.NotChecked || !strings.Contains(got.Detail, "bytes") {
		t.Errorf("%+v", got)
	}
}

func TestStatementTypes(t *testing.T) {
	pki := trusttest.New(t)
	image := victim.bytes()
	for want, statement := range map[string]*node{
		"individual":        seq(object(oidIndividual...)),
		"commercial":        seq(object(oidCommercial...)),
		"1.2.3":             seq(object(1, 2, 3)),
		"it cannot be read": seq(null()),
	} {
		d := draft{signer: pki.Get(trusttest.Good), content: goodContent(t, image), signed: []*node{attribute(oidStatementType, statement)}}
		_, evidence := verify(t, pki.Anchors(), withTable(t, image, d.der(t)))
		if outcome(evidence) != harmless || check(evidence[0], "statement type").Detail != want {
			t.Errorf("%s: %+v", want, evidence)
		}
	}
}

// What a signer says of himself is shown on one line, whatever it is.
func TestHostileProgramNames(t *testing.T) {
	pki := trusttest.New(t)
	image := victim.bytes()
	utf16 := func(units ...byte) *node { return seq(tagged(0, taggedPrim(0, units))) }
	ascii := func(s string) *node { return seq(tagged(0, taggedPrim(1, []byte(s)))) }
	for name, opusInfo := range map[string]*node{
		"line feed":     ascii("a\nTrusted: yes"),
		"escape":        ascii("a\x1b[2Ja"),
		"right to left": utf16(0x20, 0x2e, 0, 'a'),
		"lone half":     utf16(0xd8, 0x00),
		"odd":           utf16(0, 'a', 0),
		"long":          ascii(strings.Repeat("long ", 2000)),
		"not UTF-8":     ascii("\xff\xfe\x00"),
		"of no type":    seq(tagged(0, null())),
		"two":           seq(tagged(0, taggedPrim(1, nil), taggedPrim(1, nil))),
		"nothing":       null(),
		"an address":    seq(tagged(1, taggedPrim(0, []byte("https://example.com/\r\n")))),
	} {
		d := draft{signer: pki.Get(trusttest.Good), content: goodContent(t, image), signed: []*node{attribute(oidOpusInfo, opusInfo)}}
		_, evidence := verify(t, pki.Anchors(), withTable(t, image, d.der(t)))
		if outcome(evidence) != harmless {
			t.Errorf("%s: %+v", name, evidence)
			continue
		}
		for _, c := range evidence[0].Checks {
			if len(c.Detail) > 6*maxClaim || strings.ContainsFunc(c.Detail, func(r rune) bool { return r < ' ' || r == 0x202e || r == 0x7f }) {
				t.Errorf("%s: %q", name, c.Detail)
			}
		}
	}
}
