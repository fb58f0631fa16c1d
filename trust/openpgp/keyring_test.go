package openpgp

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"kpm/core"
	"kpm/trust/openpgp/gpgtest"
)

func TestKeyringForms(t *testing.T) {
	g := gpgtest.New(t)
	a, b := g.Generate("a", "ed25519", "sign", "never"), g.Generate("b", "ed25519", "sign", "never")
	armor := func(keys ...string) []byte { return g.Run(nil, append([]string{"--armor", "--export"}, keys...)...) }
	signatures := map[string][]byte{a: g.Sign(a, content), b: g.Sign(b, content)}
	h := gpgtest.New(t)
	h.Run(slices.Concat(g.Run(nil, "--export-secret-keys", b), g.Export(a)), "--import")
	h.Run(nil, "--local-user", b, "--quick-sign-key", a)
	certified := h.Export(a, b)
	if len(certified) <= len(g.Export(a, b)) {
		t.Fatal("b has not certified a")
	}
	for name, data := range map[string][]byte{
		"binary":                    g.Export(a, b),
		"armored":                   armor(a, b),
		"two blocks":                append(armor(a), armor(b)...),
		"text around blocks":        slices.Concat([]byte("The key of a:\r\n\n"), armor(a), []byte("\nand of b\n"), armor(b), []byte("end")),
		"lines that end in CR LF":   bytes.ReplaceAll(armor(a, b), []byte("\n"), []byte("\r\n")),
		"a key twice":               slices.Concat(g.Export(a), g.Export(b), g.Export(a)),
		"a packet of GnuPG's own":   slices.Concat(g.Export(a), framed(tagTrust, []byte{1, 2}), g.Export(b)),
		"a user id with a picture":  slices.Concat(g.Export(a), framed(tagUserAttr, []byte{2, 1, 1}), g.Export(b)),
		"a subkey of unknown kind":  slices.Concat(g.Export(a), framed(tagPublicSubkey, []byte{4, 0, 0, 0, 0, 200}), g.Export(b)),
		"a key of version 3":        slices.Concat(framed(tagPublicKey, []byte{3, 0, 0}), framed(tagUserID, []byte("x")), g.Export(a, b)),
		"a key of unknown kind":     slices.Concat(framed(tagPublicKey, []byte{4, 0, 0, 0, 0, 200}), g.Export(a, b)),
		"somebody else's signature": certified,
	} {
		k := keys(t, data)
		for _, key := range []string{a, b} {
			if e := verdict(k, signatures[key]); e.Standing != core.Trusted || e.KeyID != key {
				t.Errorf("%s: %+v", name, e)
			}
		}
		if unknown := strings.HasPrefix(name, "a key of"); unknown != (len(k.LeftOut()) == 1) {
			t.Errorf("%s: left out %q", name, k.LeftOut())
		}
	}
}

func TestWhatIsNoKeyring(t *testing.T) {
	g := gpgtest.New(t)
	a := g.Generate("a", "ed25519", "sign", "never")
	exported, armored := g.Export(a), g.Run(nil, "--armor", "--export", a)
	keybox, err := os.ReadFile(filepath.Join(g.Home, "pubring.kbx"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data []byte
		says string
	}{
		"nothing":                {nil, "no public key"},
		"text":                   {[]byte("hello"), "no public key"},
		"a secret key":           {g.Run(nil, "--export-secret-keys", a), "a secret key"},
		"an armored secret key":  {g.Run(nil, "--armor", "--export-secret-keys", a), "a secret key"},
		"a secret key at last":   {append(slices.Clone(exported), framed(tagSecretKey, nil)...), "a secret key"},
		"a secret subkey":        {append(slices.Clone(exported), framed(tagSecretSubkey, nil)...), "a secret key"},
		"a keybox":               {keybox, "keybox"},
		"a signature":            {g.Sign(a, content), "before any key"},
		"an armored signature":   {g.Sign(a, content, "--armor"), "expected PGP PUBLIC KEY BLOCK"},
		"cut":                    {exported[:len(exported)-1], "where"},
		"cut in its armor":       {armored[:len(armored)-40], "without an end"},
		"not base64":             {bytes.Replace(armored, []byte("\n\n"), []byte("\n\n****\n"), 1), "armor"},
		"a message within":       {append(slices.Clone(exported), framed(11, []byte("b"))...), "type 11"},
		"a key that is too long": {framed(tagPublicKey, append(primaryBody(t, exported), 0)), "more bytes"},
		"an empty key":           {framed(tagPublicKey, nil), "a key"},
		"too much":               {bytes.Repeat([]byte("\n"), maxKeyring+1), "more than"},
		"a block within a line":  {append([]byte("> "), armored...), "no public key"},
	} {
		if k, err := ReadKeyring(bytes.NewReader(c.data)); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v", name, k, err)
		}
	}
	gone := errors.New("gone")
	if _, err := ReadKeyring(iotest.ErrReader(gone)); !errors.Is(err, gone) {
		t.Errorf("unreadable: %v", err)
	}
}

func primaryBody(t testing.TB, exported []byte) []byte {
	t.Helper()
	p, _, err := nextPacket(exported)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(p.body)
}

// The packets of a key, as a list to change.
func packetsOf(t testing.TB, data []byte) (list []rawPacket) {
	t.Helper()
	for len(data) > 0 {
		p, rest, err := nextPacket(data)
		if err != nil {
			t.Fatal(err)
		}
		list, data = append(list, p), rest
	}
	return list
}

func join(list ...rawPacket) (data []byte) {
	for _, p := range list {
		data = append(data, framed(p.tag, p.body)...)
	}
	return data
}

// What a key says of itself cannot be changed by somebody who has not the key:
// it is then worth less, or as much as before.
func TestManipulatedKeys(t *testing.T) {
	g := gpgtest.New(t)
	const past = "--faked-system-time=20240101T000000!"
	a := g.Generate("a", "ed25519", "cert", "never", past)
	sub := g.AddSubkey(a, "ed25519", "sign", "never", past)
	b := g.Generate("b", "ed25519", "cert", "never", past)
	g.AddSubkey(b, "ed25519", "sign", "never", past)
	signature := g.Sign(sub, content)
	list, strange := packetsOf(t, g.Export(a)), packetsOf(t, g.Export(b))
	// primary, user id, certification, subkey, binding
	if len(list) != 5 {
		t.Fatalf("%d packets", len(list))
	}
	changed := func(i, bit int) rawPacket {
		return rawPacket{list[i].tag, flip(list[i].body, bit)}
	}
	revocation := func(kind byte, version byte) rawPacket {
		return rawPacket{tagSignature, append([]byte{version, kind, 22, 8}, make([]byte, 30)...)}
	}
	v3 := func(kind byte) rawPacket {
		return rawPacket{tagSignature, append([]byte{3, 5, kind}, make([]byte, 30)...)}
	}
	if e := verdict(keys(t, join(list...)), signature); e.Standing != core.Trusted {
		t.Fatalf("%+v", e)
	}
	for name, data := range map[string][]byte{
		"no certification":                  join(list[0], list[1], list[3], list[4]),
		"no user id":                        join(list[0], list[2], list[3], list[4]),
		"no binding":                        join(list[:4]...),
		"another's user id":                 join(list[0], strange[1], list[2], list[3], list[4]),
		"another's certification":           join(list[0], list[1], strange[2], list[3], list[4]),
		"another's binding":                 join(list[0], list[1], list[2], list[3], strange[4]),
		"the subkey under another":          join(strange[0], strange[1], strange[2], list[3], list[4]),
		"a certification forged":            join(list[0], list[1], changed(2, 8*len(list[2].body)-5), list[3], list[4]),
		"a binding forged":                  join(list[0], list[1], list[2], list[3], changed(4, 8*len(list[4].body)-5)),
		"a user id changed":                 join(list[0], changed(1, 0), list[2], list[3], list[4]),
		"revoked, unverifiably":             join(list[0], revocation(0x20, 4), list[1], list[2], list[3], list[4]),
		"revoked, version 3":                join(list[0], v3(0x20), list[1], list[2], list[3], list[4]),
		"user id revoked, version 3":        join(list[0], list[1], list[2], v3(0x30), list[3], list[4]),
		"subkey revoked, unverifiably":      join(list[0], list[1], list[2], list[3], list[4], revocation(0x28, 4)),
		"subkey revoked before its binding": join(list[0], list[1], list[2], list[3], v3(0x28), list[4]),
		"signatures after a picture":        join(list[0], list[1], rawPacket{tagUserAttr, nil}, list[2], list[3], list[4]),
	} {
		if e := verdict(keys(t, data), signature); e.Standing != core.Untrusted {
			t.Errorf("%s: %v, %s", name, e.Standing, e.Reason)
		}
	}
	for i, p := range list {
		for at := range p.body {
			packets := slices.Clone(list)
			packets[i] = changed(i, 8*at+at%8)
			k, err := ReadKeyring(bytes.NewReader(join(packets...)))
			if err != nil {
				continue
			}
			// What is not covered by a self-signature may change freely: who
			// made it, and the left 16 bits of its hash.
			if e := verdict(k, signature); e.Standing == core.Trusted && e.KeyID != a {
				t.Errorf("packet %d, byte %d: %+v", i, at, e)
			}
		}
	}
}

// An update of a key and its older copy are one key: what is revoked in one of
// them is revoked, and what was prolonged is prolonged.
func TestCopiesOfAKeyAreOneKey(t *testing.T) {
	g := gpgtest.New(t)
	const past = "--faked-system-time=20240101T000000!"
	a := g.Generate("a", "ed25519", "sign", "1m", past)
	primary := g.Generate("p", "ed25519", "cert", "never", past)
	sub := g.AddSubkey(primary, "ed25519", "sign", "1m", past)
	r := g.Generate("r", "ed25519", "sign", "never", past)
	before := g.Export()
	signatures := map[string][]byte{
		"a": g.Sign(a, content, past), "sub": g.Sign(sub, content, past), "r": g.Sign(r, content, past),
	}
	g.Run(nil, "--quick-set-expire", a, "0")
	g.Run(nil, "--quick-set-expire", primary, "0", sub)
	revocation, err := readRevocation(filepath.Join(g.Home, "openpgp-revocs.d", strings.ToUpper(r)+".rev"))
	if err != nil {
		t.Fatal(err)
	}
	g.Run(revocation, "--import")
	g.Run(nil, "--quick-add-uid", a, "a new name")
	after := g.Export()

	older, newer := keys(t, before), keys(t, after)
	for name, c := range map[string]struct {
		k    *Keyring
		want map[string]core.Standing
	}{
		"before":             {older, map[string]core.Standing{"a": core.Untrusted, "sub": core.Untrusted, "r": core.Trusted}},
		"after":              {newer, map[string]core.Standing{"a": core.Trusted, "sub": core.Trusted, "r": core.Untrusted}},
		"before, with after": {older.With(newer), map[string]core.Standing{"a": core.Trusted, "sub": core.Trusted, "r": core.Untrusted}},
		"after, with before": {newer.With(older), map[string]core.Standing{"a": core.Trusted, "sub": core.Trusted, "r": core.Untrusted}},
		"in one file":        {keys(t, append(slices.Clone(after), before...)), map[string]core.Standing{"a": core.Trusted, "sub": core.Trusted, "r": core.Untrusted}},
		"with none":          {(*Keyring)(nil).With(newer).With(nil), map[string]core.Standing{"a": core.Trusted, "sub": core.Trusted, "r": core.Untrusted}},
		"before, once more":  {older, map[string]core.Standing{"a": core.Untrusted, "sub": core.Untrusted, "r": core.Trusted}},
	} {
		for key, want := range c.want {
			if e := verdict(c.k, signatures[key]); e.Standing != want {
				t.Errorf("%s, %s: %v, %s", name, key, e.Standing, e.Reason)
			}
		}
	}
}

// Names are shown to people and may not do anything else.
func TestNamesArePrintable(t *testing.T) {
	g := gpgtest.New(t)
	a := g.Generate("Good \u202eeliF "+strings.Repeat("x", 300), "ed25519", "sign", "never")
	e := verdict(keys(t, g.Export(a)), g.Sign(a, content))
	if e.Standing != core.Trusted || strings.ContainsRune(e.Signer, '\u202e') || len(e.Signer) > 210 {
		t.Errorf("%+v", e)
	}
}

func FuzzReadKeyring(f *testing.F) {
	g := gpgtest.New(f)
	a := g.Generate("a", "ed25519", "cert", "never")
	sub := g.AddSubkey(a, "ed25519", "sign", "never")
	f.Add(g.Export(a))
	f.Add(g.Run(nil, "--armor", "--export", a))
	f.Add(framed(tagPublicKey, []byte{4, 0, 0, 0, 0, 1, 255, 255}))
	signature := g.Sign(sub, content)
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := ReadKeyring(bytes.NewReader(data))
		if err != nil {
			return
		}
		if e := verdict(k.With(k), signature); e.Standing == core.Trusted && e.KeyID != a {
			t.Errorf("%+v", e)
		}
	})
}

func FuzzVerify(f *testing.F) {
	g := gpgtest.New(f)
	a := g.Generate("a", "ed25519", "sign", "never")
	signature := g.Sign(a, content)
	f.Add(signature, content)
	f.Add(g.Sign(a, content, "--armor"), content)
	f.Add(framed(tagSignature, []byte{4, 0, 1, 8, 0, 6, 5, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 255}), content)
	k := keys(f, g.Export(a))
	f.Fuzz(func(t *testing.T, changed, file []byte) {
		e := k.Verify(context.Background(), bytes.NewReader(file), changed, time.Now())
		if e.Standing == core.Trusted && !bytes.Equal(file, content) {
			t.Errorf("trusted: %q, %x", file, changed)
		}
	})
}
