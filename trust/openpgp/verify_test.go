package openpgp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"kpm/core"
	"kpm/trust/openpgp/gpgtest"
)

var content = []byte("#!/bin/sh\r\necho signed\r\n")

// keys reads a keyring that must be right.
func keys(t testing.TB, data []byte) *Keyring {
	t.Helper()
	k, err := ReadKeyring(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// verdict asks about the content of these tests, now.
func verdict(k *Keyring, signature []byte) core.Evidence {
	return k.Verify(context.Background(), bytes.NewReader(content), signature, time.Now())
}

func TestWhatGnuPGSignsIsTrusted(t *testing.T) {
	g := gpgtest.New(t)
	for algorithm, hashes := range map[string][]string{
		"rsa2048": {"SHA256", "SHA384", "SHA512"}, "ed25519": {"SHA256", "SHA384", "SHA512"},
		"nistp256": {"SHA256"}, "nistp384": {"SHA384"}, "nistp521": {"SHA512"},
	} {
		key := g.Generate("Vendor <"+algorithm+"@example.org>", algorithm, "sign", "never")
		for _, hash := range hashes {
			for _, armor := range []string{"--armor", "--no-armor"} {
				signature := g.Sign(key, content, armor, "--digest-algo", hash)
				e := verdict(keys(t, g.Export(key)), signature)
				if e.Standing != core.Trusted || e.Kind != core.KindOpenPGP || e.Rank != core.RankSigned || e.KeyID != key ||
					e.Signer != "Vendor <"+algorithm+"@example.org>" || strings.ReplaceAll(e.Digest, "-", "") != hash {
					t.Errorf("%s, %s, %s: %+v", algorithm, hash, armor, e)
				}
				if !e.SignedAt.IsZero() {
					t.Errorf("a time that only the signer asserts became SignedAt: %v", e.SignedAt)
				}
			}
		}
	}
}

func TestASubkeySignsForItsKey(t *testing.T) {
	g := gpgtest.New(t)
	primary := g.Generate("Vendor", "ed25519", "cert", "never")
	sub := g.AddSubkey(primary, "ed25519", "sign", "never")
	g.AddSubkey(primary, "cv25519", "encr", "never")
	e := verdict(keys(t, g.Export(primary)), g.Sign(sub, content))
	if e.Standing != core.Trusted || e.KeyID != primary || e.Signer != "Vendor" {
		t.Fatalf("%+v", e)
	}
	var said bool
	for _, c := range e.Checks {
		said = said || c.Name == checkKey && c.Detail == sub
	}
	if !said {
		t.Errorf("no check names the subkey %s: %+v", sub, e.Checks)
	}
}

func TestNobodyTrustedHasSigned(t *testing.T) {
	g := gpgtest.New(t)
	known, unknown := g.Generate("known", "ed25519", "sign", "never"), g.Generate("unknown", "ed25519", "sign", "never")
	signature := g.Sign(unknown, content)
	unread := iotest.ErrReader(errors.New("nobody may read this"))
	for name, k := range map[string]*Keyring{"another key": keys(t, g.Export(known)), "no keyring": nil} {
		e := k.Verify(context.Background(), unread, signature, time.Now())
		if e.Standing != core.Untrusted || e.KeyID != unknown || e.Reason != "no configured key made this signature" {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestSeveralSignatures(t *testing.T) {
	g := gpgtest.New(t)
	a, b, c := g.Generate("a", "ed25519", "sign", "never"), g.Generate("b", "rsa2048", "sign", "never"), g.Generate("c", "ed25519", "sign", "never")
	k := keys(t, g.Export(a, b))
	good, also, unknown := g.Sign(a, content), g.Sign(b, content, "--digest-algo", "SHA512"), g.Sign(c, content)
	forged := g.Sign(a, []byte("something else"))
	for name, test := range map[string]struct {
		signatures [][]byte
		want       core.Standing
		key        string
	}{
		"two good":                    {[][]byte{good, also}, core.Trusted, a},
		"unknown, then good":          {[][]byte{unknown, also}, core.Trusted, b},
		"good, then unknown":          {[][]byte{good, unknown}, core.Trusted, a},
		"two unknown":                 {[][]byte{unknown, unknown}, core.Untrusted, c},
		"good, then forged":           {[][]byte{also, forged}, core.Broken, a},
		"forged, then good":           {[][]byte{forged, also}, core.Broken, a},
		"unknown, then forged":        {[][]byte{unknown, forged}, core.Broken, a},
		"eight":                       {[][]byte{good, good, good, good, good, good, good, also}, core.Trusted, a},
		"nine":                        {[][]byte{good, good, good, good, good, good, good, good, good}, core.Broken, ""},
		"good, then cut":              {[][]byte{good, also[:20]}, core.Broken, ""},
		"good, then malformed":        {[][]byte{good, {0xc2, 3, 4, 0, 22}}, core.Broken, ""},
		"good, then one of version 3": {[][]byte{good, {0xc2, 5, 3, 5, 0, 1, 2}}, core.Trusted, a},
	} {
		e := verdict(k, bytes.Join(test.signatures, nil))
		if e.Standing != test.want || test.key != "" && e.KeyID != test.key {
			t.Errorf("%s: %v %s %s, expected %v of %s", name, e.Standing, e.Reason, e.KeyID, test.want, test.key)
		}
	}
}

// A signature is as good as its key and its date are, and GnuPG says so too.
func TestKeysAndTimes(t *testing.T) {
	g := gpgtest.New(t)
	const past = "--faked-system-time=20240101T000000!"
	revoke := func(key string) {
		certificate := g.Home + "/openpgp-revocs.d/" + strings.ToUpper(key) + ".rev"
		out, err := readRevocation(certificate)
		if err != nil {
			t.Fatal(err)
		}
		g.Run(out, "--import")
	}
	good := g.Generate("good", "ed25519", "sign", "never", past)
	expired := g.Generate("expired", "ed25519", "sign", "1m", past)
	revoked := g.Generate("revoked", "ed25519", "sign", "never", past)
	short := g.Generate("short", "rsa1024", "sign", "never")
	primary := g.Generate("primary", "ed25519", "cert", "never", past)
	subExpired, subRevoked := g.AddSubkey(primary, "ed25519", "sign", "1m", past), g.AddSubkey(primary, "ed25519", "sign", "never", past)
	sha1 := g.Generate("sha1", "rsa2048", "sign", "never", "--cert-digest-algo", "SHA1")
	curve := g.Generate("curve", "secp256k1", "sign", "never")
	dsa := g.Generate("dsa", "dsa2048", "sign", "never")
	retired := g.Generate("retired", "ed25519", "sign,cert", "never")
	cases := []struct {
		name      string
		signature []byte
		says      string // nothing: trusted
		gpg       bool   // GnuPG says otherwise: it calls it good
	}{
		{"good", g.Sign(good, content), "", true},
		{"made long ago", g.Sign(good, content, past), "", true},
		{"the key has expired", g.Sign(expired, content, past), "the signer's key has expired", false},
		{"the key is revoked", g.Sign(revoked, content), "the signer's key is revoked", false},
		{"the signature has expired", g.Sign(good, content, past, "--default-sig-expire", "1m"), "the signature has expired", false},
		{"the signature has not expired", g.Sign(good, content, "--default-sig-expire", "1m"), "", true},
		{"the future", g.Sign(good, content, "--faked-system-time=20400101T000000!"), "in the future", true},
		{"before the key", g.Sign(good, content, "--faked-system-time=20230101T000000!", "--ignore-time-conflict"), "younger than the signature", false},
		{"short RSA", g.Sign(short, content), "fewer than 2048 bits", true},
		{"SHA-1", g.Sign(good, content, "--digest-algo", "SHA1"), "another file may have the same signature", true},
		{"SHA-224", g.Sign(good, content, "--digest-algo", "SHA224"), "another file may have the same signature", true},
		{"RIPEMD-160", g.Sign(good, content, "--digest-algo", "RIPEMD160"), "not understood", true},
		{"text", g.Sign(good, content, "--textmode"), "over text", true},
		{"a critical notation", g.Sign(good, content, "--sig-notation", "!what@example.org=yes"), "notation that is not understood", false},
		{"a notation", g.Sign(good, content, "--sig-notation", "what@example.org=yes"), "", true},
		{"the subkey has expired", g.Sign(subExpired, content, past), "the signer's subkey has expired", false},
		{"the subkey is revoked", g.Sign(subRevoked, content, past), "the signer's subkey is revoked", false},
		{"the key is bound by SHA-1", g.Sign(sha1, content), "described by a signature with SHA-1", true},
		{"secp256k1", g.Sign(curve, content), "the signer's key is on the curve", true},
		{"DSA", g.Sign(dsa, content, "--digest-algo", "SHA256"), "algorithm 17", true},
		{"not for signing any more", g.Sign(retired, content), "not for signing", false},
	}
	revoke(revoked)
	g.Run([]byte("key 2\nrevkey\ny\n0\n\ny\nsave\n"), "--command-fd", "0", "--edit-key", primary)
	g.Run([]byte("change-usage\nS\nQ\nsave\n"), "--command-fd", "0", "--expert", "--edit-key", retired)
	exported := g.Export()
	k, other := keys(t, exported), gpgtest.Knowing(t, exported)
	for _, c := range cases {
		e := verdict(k, c.signature)
		want := core.Untrusted
		if c.says == "" {
			want = core.Trusted
		}
		if e.Standing != want || !strings.Contains(e.Reason, c.says) {
			t.Errorf("%s: %v, %q, expected %v, %q", c.name, e.Standing, e.Reason, want, c.says)
		}
		if gpg := other.Good(c.signature, content); gpg != c.gpg {
			t.Errorf("%s: GnuPG says %v", c.name, gpg)
		}
		if e := k.Verify(context.Background(), strings.NewReader("changed"), c.signature, time.Now()); e.Standing == core.Trusted {
			t.Errorf("%s: changed and trusted", c.name)
		}
	}
}

func TestTheFileIsReadOnceAndToTheEnd(t *testing.T) {
	g := gpgtest.New(t)
	key := g.Generate("a", "ed25519", "sign", "never")
	long := bytes.Repeat([]byte("0123456789abcdef"), 3*readSize/16+1)
	signature := g.Sign(key, long)
	k := keys(t, g.Export(key))
	counted := &counter{r: iotest.HalfReader(bytes.NewReader(long))}
	if e := k.Verify(context.Background(), counted, append(signature, signature...), time.Now()); e.Standing != core.Trusted || counted.n != len(long) {
		t.Errorf("%+v, %d of %d bytes read", e, counted.n, len(long))
	}
	if e := k.Verify(context.Background(), bytes.NewReader(long[:len(long)-1]), signature, time.Now()); e.Standing != core.Broken {
		t.Errorf("one byte short: %+v", e)
	}
	failing := io.MultiReader(bytes.NewReader(long[:1000]), iotest.ErrReader(errors.New("the disk is gone")))
	if e := k.Verify(context.Background(), failing, signature, time.Now()); e.Standing != core.Untrusted || !strings.Contains(e.Reason, "the disk is gone") {
		t.Errorf("unreadable: %+v", e)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if e := k.Verify(ctx, bytes.NewReader(long), signature, time.Now()); e.Standing != core.Untrusted {
		t.Errorf("canceled: %+v", e)
	}
}

type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

func BenchmarkVerify(b *testing.B) {
	g := gpgtest.New(b)
	key := g.Generate("a", "rsa2048", "sign", "never")
	for _, size := range []int{1 << 10, 16 << 20} {
		data := bytes.Repeat([]byte{7}, size)
		signature, k := g.Sign(key, data, "--digest-algo", "SHA256"), keys(b, g.Export(key))
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				if e := k.Verify(context.Background(), bytes.NewReader(data), signature, time.Now()); e.Standing != core.Trusted {
					b.Fatal(e)
				}
			}
		})
	}
}
