package cms_test

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"slices"
	"testing"

	"kpm/trust/cms"
	"kpm/trust/trusttest"
)

// Bytes that are no signature, or more than one.
func TestEncodingsAreRefused(t *testing.T) {
	good := start(t, trusttest.GoodEC).DER()
	ber := inBER(start(t, trusttest.GoodEC))
	for _, tc := range []struct {
		name string
		der  []byte
	}{
		{"nothing", nil},
		{"one byte", []byte{0x30}},
		{"row F: length without content", []byte{0x30, 0x05}},
		{"row F: length of length missing", []byte{0x30, 0x84}},
		{"row F: tag without end", []byte{0x1f, 0xff, 0xff}},
		{"row F: indefinite without end", []byte{0x30, 0x80}},
		{"row F: empty indefinite", []byte{0x30, 0x80, 0x00, 0x00}},
		{"length of four gigabytes", []byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0x06}},
		{"length of eight bytes", []byte{0x30, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
		{"length of 126 bytes", append([]byte{0x30, 0xfe}, make([]byte, 126)...)},
		{"indefinite primitive", []byte{0x04, 0x80, 0x00, 0x00}},
		{"text", []byte("-----BEGIN PKCS7-----")},
		{"larger than the bound", make([]byte, cms.MaxSize+1)},
		{"zeros", make([]byte, 64)},
		{"nested without end", bytes.Repeat([]byte{0x30, 0x80}, 1<<18)},
		{"nested with lengths", nested(1 << 12)},
		{"more elements than there may be in BER", append([]byte{0x30, 0x80}, append(bytes.Repeat([]byte{0x05, 0x00}, 1<<17), 0, 0)...)},
		{"BER beyond its bound", append([]byte{0x30, 0x80}, append((&trusttest.Node{ID: 4, Body: make([]byte, 1<<20)}).DER(), 0, 0)...)},
		{"a byte too many", append(bytes.Clone(good), 1)},
		{"a byte behind padding", append(bytes.Clone(good), 0, 0, 1)},
		{"more padding than alignment needs", append(bytes.Clone(good), make([]byte, 9)...)},
		{"a second signature behind the first", append(bytes.Clone(good), good...)},
		{"a byte too many behind BER", append(bytes.Clone(ber), 1)},
		{"BER cut before its end", ber[:len(ber)-1]},
		{"a child that reaches past its parent", overlong(good)},
		{"an octet string in pieces that are numbers", bytes.Replace(ber, []byte{0x24, 0x80, 0x04}, []byte{0x24, 0x80, 0x02}, 1)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := cms.Parse(tc.der); !errors.Is(err, cms.ErrMalformed) {
				t.Errorf("got %v", err)
			}
		})
	}
	for n := range good {
		if _, err := cms.Parse(good[:n]); !errors.Is(err, cms.ErrMalformed) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
}

func nested(depth int) []byte {
	n := &trusttest.Node{ID: 0x30}
	for range depth {
		n = &trusttest.Node{ID: 0x30, Children: []*trusttest.Node{n}}
	}
	return n.DER()
}

// overlong lets the object identifier, the first child, claim more than is in
// the element around it. The library's own conversion of BER takes that.
func overlong(good []byte) []byte {
	out := []byte{0x30, 0x80, 0x30, 0x02, 0x06, 0x09}
	return append(append(out, good[6:]...), 0, 0)
}

// inBER encodes a signature as codesign does. Certificates and signed
// attributes are DER in any case (RFC 5652, sections 5.3 and 10.2.3).
func inBER(b *bench) []byte {
	certificates := b.Certificates().Children
	return b.Root.BER(func(n *trusttest.Node) bool { return slices.Contains(certificates, n) || n == b.Signed() })
}

// What may differ between encodings of the same signature makes no difference.
func TestEncodingsAreAccepted(t *testing.T) {
	for _, tc := range []struct {
		name string
		make func(b *bench) []byte
	}{
		{"DER", func(b *bench) []byte { return b.DER() }},
		{"BER", inBER},
		{"attributes in BER too", func(b *bench) []byte {
			certificates := b.Certificates().Children
			return b.Root.BER(func(n *trusttest.Node) bool { return slices.Contains(certificates, n) })
		}},
		{"padding to eight bytes", func(b *bench) []byte { return append(b.DER(), make([]byte, 7)...) }},
		{"attributes in another order", func(b *bench) []byte {
			slices.Reverse(b.Signed().Children)
			return b.DER()
		}},
		{"the same certificate twice", func(b *bench) []byte {
			b.Certificates().Add(b.Certificates().At(0).Clone())
			return b.DER()
		}},
		{"certificates in another order", func(b *bench) []byte {
			slices.Reverse(b.Certificates().Children)
			return b.DER()
		}},
		{"attribute certificates, which Microsoft's time-stamps carry", func(b *bench) []byte {
			b.Certificates().Add(&trusttest.Node{ID: 0xa1, Children: []*trusttest.Node{node(1)}})
			c := b.Certificates()
			c.Children = slices.Insert(c.Children, 0, &trusttest.Node{ID: 0xa2, Children: []*trusttest.Node{node(2)}})
			return b.DER()
		}},
		{"signature algorithm with its hash", func(b *bench) []byte {
			b.Signer().Children[signatureAlgorithm] = algorithmID(oid(1, 2, 840, 10045, 4, 3, 2))
			return b.DER()
		}},
		{"signature algorithm named by the key alone", func(b *bench) []byte {
			b.Signer().Children[signatureAlgorithm] = algorithmID(oid(1, 2, 840, 10045, 2, 1))
			return b.DER()
		}},
		{"digest algorithm without parameters", func(b *bench) []byte {
			b.Signer().At(digestAlgorithm).Remove(1)
			return b.DER()
		}},
		{"unsigned attributes", func(b *bench) []byte {
			b.AddUnsigned(oid(1, 2, 3), trusttest.Encode(1), trusttest.Encode(2))
			b.AddUnsigned(oid(1, 2, 3), trusttest.Encode(3))
			return b.DER()
		}},
		{"revocation lists, which are ignored", func(b *bench) []byte {
			d := b.Data()
			d.Children = slices.Insert(d.Children, 4, &trusttest.Node{ID: 0xa1, Children: []*trusttest.Node{node(1)}})
			return b.DER()
		}},
		{"by key identifier", func(b *bench) []byte {
			b.Signer().Children[sid] = &trusttest.Node{ID: 0x80, Body: b.signer.Certificate.SubjectKeyId}
			return b.DER()
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := start(t, trusttest.GoodEC)
			d, err := cms.Parse(tc.make(b))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(d.Content, signed) || !bytes.Equal(d.ContentDER, trusttest.Encode(signed)) {
				t.Errorf("content %q in %x", d.Content, d.ContentDER)
			}
			s, err := d.Verify(nil)
			if err != nil {
				t.Fatal(err)
			}
			if !s.Certificate.Equal(b.signer.Certificate) || s.Weak {
				t.Errorf("signed by %v, weak %v", s.Certificate.Subject, s.Weak)
			}
			if v, ok := s.Attribute(trusttest.OIDContentType); !ok || !bytes.Equal(v.FullBytes, trusttest.Encode(trusttest.OIDData)) {
				t.Errorf("content type attribute %x", v.FullBytes)
			}
		})
	}
}

// The content of PKCS #7 is any element; what is digested is its value.
func TestContentIsTheValueOfAnyElement(t *testing.T) {
	e := trusttest.New(t).Get(trusttest.GoodEC)
	element := trusttest.Encode([]int{1, 2, 3})
	m := trusttest.Message{Signer: e, Type: oid(1, 3, 6, 1, 4, 1, 311, 2, 1, 4), Content: element[2:], Element: element}
	d, err := cms.Parse(trusttest.Sign(m))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Verify(nil); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(d.ContentDER, element) || !bytes.Equal(d.Content, element[2:]) {
		t.Errorf("%x, %x", d.ContentDER, d.Content)
	}
}

// An empty content is a content, and no room for another.
func TestDetachedContentOnlyWhereNoneIsAttached(t *testing.T) {
	e := trusttest.New(t).Get(trusttest.GoodEC)
	for _, tc := range []struct {
		name     string
		message  trusttest.Message
		detached []byte
		want     error
	}{
		{"attached", trusttest.Message{Content: signed}, nil, nil},
		{"attached and given", trusttest.Message{Content: signed}, signed, cms.ErrMalformed},
		{"empty", trusttest.Message{Content: []byte{}}, nil, nil},
		{"empty and given", trusttest.Message{Content: []byte{}}, signed, cms.ErrMalformed},
		{"detached", trusttest.Message{Content: signed, Detached: true}, signed, nil},
		{"detached and not given", trusttest.Message{Content: signed, Detached: true}, nil, cms.ErrMalformed},
		{"detached from other content", trusttest.Message{Content: signed, Detached: true}, signed[1:], cms.ErrForged},
		{"detached from nothing", trusttest.Message{Content: signed, Detached: true}, []byte{}, cms.ErrForged},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.message.Signer = e
			d, err := cms.Parse(trusttest.Sign(tc.message))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.Verify(tc.detached); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

// Whatever single byte somebody changes, what is accepted is the same content,
// signed by the same key. Bytes that are not signed, such as those of
// certificates, are for chain to judge.
func TestNoByteCanBeChanged(t *testing.T) {
	for _, signer := range []string{trusttest.Good, trusttest.GoodEC} {
		b := start(t, signer)
		good := b.DER()
		want, err := verify(good)
		if err != nil {
			t.Fatal(err)
		}
		refused := 0
		for i := range good {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << (i % 8)
			d, err := cms.Parse(bad)
			if err != nil {
				refused++
				continue
			}
			s, err := d.Verify(nil)
			if err != nil {
				refused++
				continue
			}
			if !bytes.Equal(d.Content, signed) || !d.ContentType.Equal(trusttest.OIDData) ||
				!bytes.Equal(s.Certificate.RawSubjectPublicKeyInfo, want.Certificate.RawSubjectPublicKeyInfo) || len(s.Attributes) != len(want.Attributes) {
				t.Errorf("%s: byte %d changed is accepted as something else", signer, i)
			}
		}
		if refused < len(good)/2 {
			t.Errorf("%s: only %d of %d refused", signer, refused, len(good))
		}
	}
}

func TestUnsignedValues(t *testing.T) {
	b := start(t, trusttest.GoodEC)
	b.AddUnsigned(oid(1, 2, 3), trusttest.Encode(1), trusttest.Encode(2))
	b.AddUnsigned(oid(1, 2, 4), trusttest.Encode(4))
	b.AddUnsigned(oid(1, 2, 3), trusttest.Encode(3))
	s, err := verify(b.DER())
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	for _, v := range s.UnsignedValues(oid(1, 2, 3)) {
		var n int
		if _, err := asn1.Unmarshal(v.FullBytes, &n); err != nil {
			t.Fatal(err)
		}
		got = append(got, n)
	}
	if !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("got %v", got)
	}
	if _, ok := s.Attribute(oid(1, 2, 4)); ok {
		t.Error("an unsigned attribute counts as signed")
	}
}
