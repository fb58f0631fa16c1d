package openpgp

import (
	"bytes"
	"context"
	"crypto"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"kpm/core"
	"kpm/trust/openpgp/gpgtest"
)

// No bit of a signature or of the file can be turned over, none can be missing
// and none added.
func TestEveryBitCounts(t *testing.T) {
	g := gpgtest.New(t)
	for _, algorithm := range []string{"rsa2048", "ed25519", "nistp256"} {
		key := g.Generate(algorithm, algorithm, "sign", "never")
		signature, k := g.Sign(key, content), keys(t, g.Export(key))
		if e := verdict(k, signature); e.Standing != core.Trusted {
			t.Fatalf("%s: %+v", algorithm, e)
		}
		for i := range 8 * len(signature) {
			if e := verdict(k, flip(signature, i)); e.Standing == core.Trusted {
				t.Errorf("%s: bit %d of byte %d turned over: %+v", algorithm, i%8, i/8, e)
			}
		}
		for n := range len(signature) {
			if e := verdict(k, signature[:n]); e.Standing != core.Broken {
				t.Errorf("%s: cut to %d bytes: %+v", algorithm, n, e)
			}
		}
		for n := range 256 {
			if e := verdict(k, append(slices.Clone(signature), byte(n))); e.Standing != core.Broken {
				t.Errorf("%s: byte %#x added: %+v", algorithm, n, e)
			}
		}
		for i := range 8 * len(content) {
			if e := k.Verify(context.Background(), bytes.NewReader(flip(content, i)), signature, time.Now()); e.Standing != core.Broken {
				t.Errorf("%s: bit %d of the file turned over: %+v", algorithm, i, e)
			}
		}
	}
}

func flip(data []byte, bit int) []byte {
	flipped := slices.Clone(data)
	flipped[bit/8] ^= 1 << (bit % 8)
	return flipped
}

// GnuPG lets pass what is not covered by the signature. We do not: a length that
// reaches beyond the end of the file, the unhashed subpacket with the key id, and
// the left 16 bits of the hash.
func TestGnuPGIsNotAsStrict(t *testing.T) {
	g := gpgtest.New(t)
	key := g.Generate("a", "ed25519", "sign", "never")
	signature, exported := g.Sign(key, content), g.Export(key)
	other, k := gpgtest.Knowing(t, exported), keys(t, exported)
	parts := dissect(t, signature)
	unhashedFrom := 2 + 6 + len(parts.hashed)
	unhashedTo := unhashedFrom + 2 + len(parts.unhashed) + 2
	for i := range signature {
		changed := flip(signature, 8*i+i%8)
		if verdict(k, changed).Standing == core.Trusted {
			t.Errorf("byte %d: accepted", i)
		}
		if other.Good(changed, content) && i != 1 && (i < unhashedFrom || i >= unhashedTo) {
			t.Errorf("byte %d: GnuPG takes it too, and nobody knows why", i)
		}
	}
}

// parts is a version 4 signature packet, taken apart.
type parts struct {
	kind, algorithm, hash byte
	hashed, unhashed      []byte // subpackets
	left                  []byte
	value                 []byte
}

func dissect(t testing.TB, signature []byte) parts {
	t.Helper()
	p, rest, err := nextPacket(signature)
	if err != nil || len(rest) > 0 {
		t.Fatal(err, len(rest))
	}
	b := p.body
	hashed, rest, err := lengthPrefixed(b[4:])
	if err != nil {
		t.Fatal(err)
	}
	unhashed, rest, err := lengthPrefixed(rest)
	if err != nil {
		t.Fatal(err)
	}
	return parts{b[1], b[2], b[3], hashed, unhashed, rest[:2], rest[2:]}
}

func (p parts) body() []byte {
	b := []byte{4, p.kind, p.algorithm, p.hash}
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(p.hashed))), p.hashed...)
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(p.unhashed))), p.unhashed...)
	return slices.Concat(b, p.left, p.value)
}

// framed makes a packet in the new format with a length of five octets.
func framed(tag int, body []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0xc0 | byte(tag), 255}, uint32(len(body))), body...)
}

func (p parts) packet() []byte { return framed(tagSignature, p.body()) }

// Each of these is a signature that a trusted key has made, changed by somebody
// who has not that key.
func TestManipulatedSignatures(t *testing.T) {
	g := gpgtest.New(t)
	key, stranger := g.Generate("a", "rsa2048", "sign", "never"), g.Generate("b", "rsa2048", "sign", "never")
	good := g.Sign(key, content)
	k := keys(t, g.Export(key))
	whole := dissect(t, good)
	if e := verdict(k, whole.packet()); e.Standing != core.Trusted {
		t.Fatalf("put together again: %+v", e)
	}
	id := whole.unhashed[2:]
	change := func(f func(p *parts)) []byte {
		p := whole
		f(&p)
		return p.packet()
	}
	armored := g.Sign(key, content, "--armor")
	other := dissect(t, g.Sign(key, []byte("other content")))
	text := dissect(t, g.Sign(key, content, "--textmode"))
	cases := map[string][]byte{
		"nothing":                                {},
		"white space":                            []byte(" \n\n"),
		"garbage":                                []byte("not a signature at all"),
		"zeros":                                  make([]byte, 300),
		"all ones":                               bytes.Repeat([]byte{255}, 300),
		"too long":                               append(slices.Clone(armored), bytes.Repeat([]byte("\n"), maxSignature)...),
		"type: text":                             change(func(p *parts) { p.kind = 1 }),
		"type: certification":                    change(func(p *parts) { p.kind = 0x10 }),
		"type: standalone":                       change(func(p *parts) { p.kind = 2 }),
		"type: subkey binding":                   change(func(p *parts) { p.kind = 0x18 }),
		"a text signature called binary":         change(func(p *parts) { *p = text; p.kind = 0 }),
		"hash: SHA-1":                            change(func(p *parts) { p.hash = 2 }),
		"hash: SHA-384":                          change(func(p *parts) { p.hash = 9 }),
		"hash: SHA-256":                          change(func(p *parts) { p.hash = 8 }),
		"hash: MD5":                              change(func(p *parts) { p.hash = 1 }),
		"hash: none known":                       change(func(p *parts) { p.hash = 200 }),
		"algorithm: RSA for signing only":        change(func(p *parts) { p.algorithm = 3 }),
		"algorithm: DSA":                         change(func(p *parts) { p.algorithm = 17 }),
		"algorithm: EdDSA":                       change(func(p *parts) { p.algorithm = 22 }),
		"algorithm: Ed25519":                     change(func(p *parts) { p.algorithm = 27 }),
		"algorithm: none known":                  change(func(p *parts) { p.algorithm = 99 }),
		"no hashed subpackets":                   change(func(p *parts) { p.hashed = nil }),
		"no subpackets":                          change(func(p *parts) { p.hashed, p.unhashed = nil, nil }),
		"hashed subpackets moved":                change(func(p *parts) { p.hashed, p.unhashed = nil, p.hashed }),
		"a later date":                           change(func(p *parts) { p.hashed = later(p.hashed) }),
		"a second date":                          change(func(p *parts) { p.hashed = append(slices.Clone(p.hashed), 5, 2, 1, 2, 3, 4) }),
		"a date that is not covered":             change(func(p *parts) { p.unhashed = append(slices.Clone(p.unhashed), 5, 2, 1, 2, 3, 4) }),
		"an expiry that is not covered":          change(func(p *parts) { p.unhashed = append(slices.Clone(p.unhashed), 5, 3, 0, 0, 0, 0) }),
		"a notation that is not covered":         change(func(p *parts) { p.unhashed = append(slices.Clone(p.unhashed), 9, 20, 0, 0, 0, 0, 0, 0, 0, 0) }),
		"something critical that is not covered": change(func(p *parts) { p.unhashed = append(slices.Clone(p.unhashed), 2, 0x80|100, 1) }),
		"something critical and unknown":         change(func(p *parts) { p.hashed = append(slices.Clone(p.hashed), 2, 0x80|100, 1) }),
		"a signature within": change(func(p *parts) {
			p.unhashed = append([]byte{255, 0, 0, 1, byte(len(p.body()) + 1 - 256), 32}, p.body()...)
		}),
		"a second key id":                     change(func(p *parts) { p.unhashed = append(slices.Clone(p.unhashed), p.unhashed...) }),
		"another key id":                      change(func(p *parts) { p.unhashed = append([]byte{9, 16}, flip(id, 7)...) }),
		"a short key id":                      change(func(p *parts) { p.unhashed = []byte{5, 16, 1, 2, 3, 4} }),
		"another fingerprint":                 change(func(p *parts) { p.unhashed = append([]byte{22, 33, 4}, make([]byte, 20)...) }),
		"a fingerprint of version 6":          change(func(p *parts) { p.unhashed = append([]byte{34, 33, 6}, make([]byte, 32)...) }),
		"a subpacket without an end":          change(func(p *parts) { p.unhashed = []byte{200} }),
		"an empty subpacket":                  change(func(p *parts) { p.unhashed = []byte{0} }),
		"a subpacket of four gigabytes":       change(func(p *parts) { p.unhashed = []byte{255, 255, 255, 255, 255, 16} }),
		"another left half":                   change(func(p *parts) { p.left = []byte{p.left[0], p.left[1] + 1} }),
		"the value of another file":           change(func(p *parts) { p.value = other.value }),
		"value and left half of another file": change(func(p *parts) { p.value, p.left = other.value, other.left }),
		"the value of another key":            change(func(p *parts) { p.value = dissect(t, g.Sign(stranger, content)).value }),
		"no value":                            change(func(p *parts) { p.value = nil }),
		"a value of zero":                     change(func(p *parts) { p.value = []byte{0, 0} }),
		"a value of one":                      change(func(p *parts) { p.value = []byte{0, 1, 1} }),
		"a value with a zero before it":       change(func(p *parts) { p.value = pad(p.value) }),
		"a value that says fewer bits":        change(func(p *parts) { p.value = flip(p.value, 8) }),
		"a value with a byte after it":        change(func(p *parts) { p.value = append(slices.Clone(p.value), 0) }),
		"two values":                          change(func(p *parts) { p.value = append(slices.Clone(p.value), p.value...) }),
		"a value of 65535 bits":               change(func(p *parts) { p.value = append([]byte{255, 255}, p.value[2:]...) }),
		"version 3":                           framed(tagSignature, append([]byte{3}, whole.body()[1:]...)),
		"version 5":                           framed(tagSignature, append([]byte{5}, whole.body()[1:]...)),
		"version 6":                           framed(tagSignature, append([]byte{6}, whole.body()[1:]...)),
		"an empty packet":                     framed(tagSignature, nil),
		"a literal packet before it":          append(framed(11, []byte("b\x00\x00\x00\x00\x00content")), good...),
		"a literal packet after it":           append(slices.Clone(good), framed(11, []byte("b\x00\x00\x00\x00\x00content"))...),
		"a one-pass signature before it":      append(framed(4, make([]byte, 13)), good...),
		"a marker before it":                  append(framed(10, []byte("PGP")), good...),
		"compressed":                          framed(8, append([]byte{0}, good...)),
		"a packet of a private kind after it": append(slices.Clone(good), framed(60, nil)...),
		"padding after it":                    append(slices.Clone(good), framed(21, []byte{1})...),
		"a key after it":                      append(slices.Clone(good), g.Export(key)...),
		"partial lengths":                     partial(whole.body()),
		"an indeterminate length":             append([]byte{0x80 | tagSignature<<2 | 3}, whole.body()...),
		"a packet of four gigabytes":          append([]byte{0xc2, 255, 255, 255, 255, 255}, whole.body()...),
		"armored: cut":                        armored[:len(armored)-10],
		"armored: another kind":               bytes.ReplaceAll(armored, []byte("SIGNATURE"), []byte("MESSAGE")),
		"armored: text after it":              append(slices.Clone(armored), "trailer"...),
		"armored: twice":                      append(slices.Clone(armored), armored...),
		"armored: no empty line":              bytes.Replace(armored, []byte("\n\n"), []byte("\n"), 1),
		"armored: not base64":                 bytes.Replace(armored, []byte("\n\n"), []byte("\n\n!!!!\n"), 1),
		"armored: a line twice":               repeatLine(armored),
		"armored: more after the checksum":    bytes.Replace(armored, []byte("\n-----END"), []byte("\nAAAA\n-----END"), 1),
		"a clear-text message":                g.Run(content, "--local-user", key+"!", "--clearsign"),
		"a signed message":                    g.Run(content, "--local-user", key+"!", "--sign"),
		"a public key":                        g.Export(key),
	}
	for name, signature := range cases {
		if e := verdict(k, signature); e.Standing == core.Trusted || e.Reason == "" {
			t.Errorf("%s: %+v", name, e)
		}
	}
	if len(cases) < 70 {
		t.Errorf("%d manipulations", len(cases))
	}
}

func later(hashed []byte) []byte {
	changed := slices.Clone(hashed)
	at := bytes.Index(changed, []byte{5, 2})
	changed[at+5]++
	return changed
}

func pad(value []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, binary.BigEndian.Uint16(value)+8), append([]byte{0}, value[2:]...)...)
}

// partial frames body in pieces of which each names the length of the next.
func partial(body []byte) []byte {
	out := []byte{0xc2, 224 + 8}
	out = append(out, body[:256]...)
	return append(append(out, byte(len(body)-256)), body[256:]...)
}

func repeatLine(text []byte) []byte {
	lines := bytes.SplitAfter(text, []byte("\n"))
	return bytes.Join(slices.Insert(lines, 4, lines[4]), nil)
}

// What is well-formed and not understood is not called broken: nobody can tell
// whether it is genuine.
func TestWhatIsNotUnderstood(t *testing.T) {
	g := gpgtest.New(t)
	key := g.Generate("a", "ed25519", "sign", "never")
	whole, k := dissect(t, g.Sign(key, content)), keys(t, g.Export(key))
	for name, f := range map[string]func(p *parts){
		"a critical subpacket": func(p *parts) { p.hashed = append(slices.Clone(p.hashed), 2, 0x80|100, 1) },
		"a hash":               func(p *parts) { p.hash = 200 },
		"an algorithm":         func(p *parts) { p.algorithm = 99 },
	} {
		p := whole
		f(&p)
		if e := verdict(k, p.packet()); e.Standing != core.Untrusted || !strings.Contains(e.Reason, "not understood") {
			t.Errorf("%s: %v, %q", name, e.Standing, e.Reason)
		}
	}
}

// secret reads a secret key that GnuPG has made, to sign with it what GnuPG
// would not.
func secret(t testing.TB, g *gpgtest.GPG, key string) (primary, sub *packet.PrivateKey) {
	t.Helper()
	reader := packet.NewReader(bytes.NewReader(g.Run(nil, "--export-secret-keys", key)))
	for {
		p, err := reader.Next()
		if err != nil {
			return primary, sub
		}
		if private, ok := p.(*packet.PrivateKey); ok && private.IsSubkey {
			sub = private
		} else if ok {
			primary = private
		}
	}
}

// Attack: somebody whose key is trusted, but not for signing, or is not the one
// it claims to be, signs nevertheless.
func TestKeysThatMayNotSign(t *testing.T) {
	g := gpgtest.New(t)
	certifier := g.Generate("certifier", "ed25519", "cert", "never")
	authenticator := g.Generate("authenticator", "ed25519", "cert", "never")
	g.AddSubkey(authenticator, "ed25519", "auth", "never")
	victim, thief := g.Generate("victim", "ed25519", "sign", "never"), g.Generate("thief", "ed25519", "cert", "never")

	sign := func(private *packet.PrivateKey) []byte {
		sig := &packet.Signature{SigType: packet.SigTypeBinary, PubKeyAlgo: private.PubKeyAlgo, Hash: crypto.SHA256,
			CreationTime: time.Now(), IssuerKeyId: &private.KeyId}
		h, err := sig.PrepareSign(nil)
		if err != nil {
			t.Fatal(err)
		}
		h.Write(content)
		var b bytes.Buffer
		if err := sig.Sign(h, private, nil); err != nil {
			t.Fatal(err)
		}
		if err := sig.Serialize(&b); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	primary, _ := secret(t, g, certifier)
	_, auth := secret(t, g, authenticator)
	stolen, _ := secret(t, g, victim)
	ours, _ := secret(t, g, thief)

	// The thief's key names the victim's as its signing subkey, which the
	// victim has not agreed to.
	stolen.IsSubkey = true
	binding := &packet.Signature{SigType: packet.SigTypeSubkeyBinding, PubKeyAlgo: ours.PubKeyAlgo, Hash: crypto.SHA256,
		CreationTime: time.Now(), IssuerKeyId: &ours.KeyId, FlagsValid: true, FlagSign: true}
	if err := binding.SignKey(&stolen.PublicKey, ours, nil); err != nil {
		t.Fatal(err)
	}
	adopted := bytes.NewBuffer(g.Export(thief))
	if err := stolen.PublicKey.Serialize(adopted); err != nil {
		t.Fatal(err)
	}
	if err := binding.Serialize(adopted); err != nil {
		t.Fatal(err)
	}

	for name, c := range map[string]struct {
		keys      []byte
		signature []byte
		says      string
	}{
		"certifies only":     {g.Export(certifier), sign(primary), "the signer's key is not for signing"},
		"authenticates only": {g.Export(authenticator), sign(auth), "the signer's subkey is not for signing"},
		"an adopted subkey":  {adopted.Bytes(), g.Sign(victim, content), "the signer's subkey is not bound to the key, or not by both"},
	} {
		if e := verdict(keys(t, c.keys), c.signature); e.Standing != core.Untrusted || e.Reason != c.says {
			t.Errorf("%s: %v, %q", name, e.Standing, e.Reason)
		}
		if gpgtest.Knowing(t, c.keys).Good(c.signature, content) {
			t.Errorf("%s: GnuPG takes it", name)
		}
	}
	if e := verdict(keys(t, g.Export(victim)), sign(stolen)); e.Standing != core.Trusted {
		t.Errorf("signing here does not work at all: %+v", e)
	}
}

// Two keys with one key id: the signature of one is not taken for the other's,
// and found under either order.
func TestKeyIDsMayCollide(t *testing.T) {
	g := gpgtest.New(t)
	a, b := g.Generate("a", "ed25519", "sign", "never"), g.Generate("b", "ed25519", "sign", "never")
	k := keys(t, g.Export(a, b))
	for _, c := range k.certificates {
		c.primary.KeyId = 7
	}
	for _, signer := range []string{a, b} {
		p := dissect(t, g.Sign(signer, content))
		p.unhashed = []byte{9, 16, 0, 0, 0, 0, 0, 0, 0, 7}
		s, err := readSignature(rawPacket{tagSignature, p.body()})
		if err != nil {
			t.Fatal(err)
		}
		s.fingerprints = nil
		if makers := k.makers(s); len(makers) != 2 {
			t.Fatalf("%d makers", len(makers))
		}
		h, err := s.PrepareVerify()
		if err != nil {
			t.Fatal(err)
		}
		h.Write(content)
		c := &claim{signature: s, makers: k.makers(s), hash: h}
		if maker, ok := c.maker(); !ok || fmt.Sprintf("%x", maker.primary.Fingerprint) != signer {
			t.Errorf("%v, %x, expected %s", ok, maker.primary.Fingerprint, signer)
		}
	}
}
