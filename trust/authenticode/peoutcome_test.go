package authenticode

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kpm/core"
	"kpm/trust/trusttest"
)

func TestWhatASignedProgramSaysAboutItself(t *testing.T) {
	pki := trusttest.New(t)
	good := pki.Get(trusttest.Good)
	for _, arch := range []string{"amd64", "386", "arm64"} {
		args := stamped(t, pki.Get(trusttest.Stamper), "-n", "Example Setup", "-i", "https://example.com/setup", "-ph")
		signed := sign(t, good, ".exe", goProgram(t, arch), args...)
		format, evidence := verify(t, pki.Anchors(), signed)
		if format != "pe" || len(evidence) != 1 {
			t.Fatalf("%s: %s %+v", arch, format, evidence)
		}
		e := evidence[0]
		if e.Kind != core.KindAuthenticode || e.Rank != core.RankSigned || e.Standing != core.Trusted || e.Reason == "" ||
			e.Signer != trusttest.Organization || e.Digest != "SHA-256" || e.TimeStamp != "rfc3161" {
			t.Errorf("%s: %+v", arch, e)
		}
		if age := time.Since(e.SignedAt); age < -time.Minute || age > time.Hour {
			t.Errorf("%s: signed at %v", arch, e.SignedAt)
		}
		if len(e.Chain) != 3 || e.Chain[0].Serial != good.Certificate.SerialNumber.Text(16) {
			t.Errorf("%s: chain %+v", arch, e.Chain)
		}
		for name, outcome := range map[string]string{
			"signature": core.Passed, "file digest": core.Passed, "page hashes": core.Passed, "PE checksum": core.Passed,
			"time-stamp": core.Passed, "program name": core.NotChecked, "program address": core.NotChecked, "statement type": core.NotChecked,
		} {
			if got := check(e, name); got.Outcome != outcome {
				t.Errorf("%s: check %q: %+v, want %s", arch, name, got, outcome)
			}
		}
		if got := check(e, "program name").Detail; !strings.Contains(got, `"Example Setup"`) {
			t.Errorf("program name: %s", got)
		}
		if got := check(e, "program address").Detail; !strings.Contains(got, `"https://example.com/setup"`) {
			t.Errorf("program address: %s", got)
		}
	}
}

func TestFilesWithoutSignature(t *testing.T) {
	pki := trusttest.New(t)
	for name, x := range map[string]struct {
		data   []byte
		format string
	}{
		"Go program":       {goProgram(t, "amd64"), "pe"},
		"handmade":         {victim.bytes(), "pe"},
		"few directories":  {handmade{sections: 1, directory: 4}.bytes(), "pe"},
		"signature gone":   {rewrite(t, ".exe", sign(t, pki.Get(trusttest.Good), ".exe", victim.bytes()), "remove-signature"), "pe"},
		"DOS program":      {append([]byte("MZ"), make([]byte, 200)...), ""},
		"DOS program, far": {append(append([]byte("MZ"), make([]byte, 58)...), bytes.Repeat([]byte{0xee}, 200)...), ""},
		"text":             {[]byte("MZ is a text"), ""},
		"nothing":          {nil, ""},
	} {
		format, evidence := verify(t, pki.Anchors(), x.data)
		if format != x.format || evidence != nil {
			t.Errorf("%s: %q %+v", name, format, evidence)
		}
	}
}

// dual is a file signed as for Windows XP and for today: SHA-1 first, SHA-256
// nested in it.
func dual(t testing.TB, pki *trusttest.PKI, image []byte) []byte {
	t.Helper()
	first := sign(t, pki.Get(trusttest.Good), ".exe", image, "-h", "sha1")
	return sign(t, pki.Get(trusttest.Good), ".exe", first, stamped(t, pki.Get(trusttest.Stamper), "-h", "sha256", "-nest")...)
}

func TestEachOfSeveralSignaturesStandsForItself(t *testing.T) {
	pki := trusttest.New(t)
	good, image := pki.Get(trusttest.Good), victim.bytes()
	type want struct {
		digest   string
		standing core.Standing
	}
	for name, x := range map[string]struct {
		file []byte
		want []want
		rank core.Rank
	}{
		"SHA-1": {sign(t, good, ".exe", image, "-h", "sha1"),
			[]want{{"SHA-1", core.Untrusted}}, core.RankNone},
		"SHA-256": {sign(t, good, ".exe", image, "-h", "sha256"),
			[]want{{"SHA-256", core.Trusted}}, core.RankSigned},
		"SHA-384": {sign(t, good, ".exe", image, "-h", "sha384"),
			[]want{{"SHA-384", core.Trusted}}, core.RankSigned},
		"SHA-512": {sign(t, good, ".exe", image, "-h", "sha512"),
			[]want{{"SHA-512", core.Trusted}}, core.RankSigned},
		"ECDSA": {sign(t, pki.Get(trusttest.GoodEC), ".exe", image),
			[]want{{"SHA-256", core.Trusted}}, core.RankSigned},
		"SHA-1 and SHA-256": {dual(t, pki, image),
			[]want{{"SHA-1", core.Untrusted}, {"SHA-256", core.Trusted}}, core.RankSigned},
		"stranger and good": {sign(t, good, ".exe", sign(t, pki.Get(trusttest.Stranger), ".exe", image), "-nest"),
			[]want{{"SHA-256", core.Untrusted}, {"SHA-256", core.Trusted}}, core.RankSigned},
		"three": {sign(t, good, ".exe", dual(t, pki, image), "-h", "sha512", "-nest"),
			[]want{{"SHA-1", core.Untrusted}, {"SHA-256", core.Trusted}, {"SHA-512", core.Trusted}}, core.RankSigned},
	} {
		format, evidence := verify(t, pki.Anchors(), x.file)
		var got []want
		for _, e := range evidence {
			got = append(got, want{e.Digest, e.Standing})
		}
		slices.SortFunc(got, func(a, b want) int { return cmp.Compare(a.digest, b.digest) }) // nested ones are a SET
		if !slices.Equal(got, x.want) {
			t.Errorf("%s: %v, want %v: %+v", name, got, x.want, evidence)
		}
		if rank := (core.Provenance{Format: format, Evidence: evidence}).Rank(); rank != x.rank {
			t.Errorf("%s: rank %v, want %v", name, rank, x.rank)
		}
	}
}

// A SHA-1 digest that the file no longer has is not a weak signature but a
// broken one.
func TestAWeakSignatureOverOtherBytesIsBroken(t *testing.T) {
	pki := trusttest.New(t)
	for _, file := range [][]byte{
		sign(t, pki.Get(trusttest.Good), ".exe", victim.bytes(), "-h", "sha1"), dual(t, pki, victim.bytes()),
	} {
		file[textAt] ^= 1
		_, evidence := verify(t, pki.Anchors(), file)
		for _, e := range evidence {
			if e.Standing != core.Broken || check(e, "file digest").Outcome != core.Failed {
				t.Errorf("%+v", e)
			}
		}
	}
}

// The thumbprint of the good signer alone is trusted, without any root.
func TestASignerTrustedByThumbprint(t *testing.T) {
	pki := trusttest.New(t)
	file := sign(t, pki.Get(trusttest.Stranger), ".exe", victim.bytes())
	a := pki.Anchors()
	if _, evidence := verify(t, a, file); standing(evidence) != core.Untrusted {
		t.Fatalf("before: %+v", evidence)
	}
	thumbprint := certificateSHA256(pki.Get(trusttest.Stranger))
	a.Thumbprints = map[string]bool{hex.EncodeToString(thumbprint): true}
	if _, evidence := verify(t, a, file); standing(evidence) != core.Trusted {
		t.Errorf("%+v", evidence)
	}
}

// Signers of all kinds, as osslsigncode sees them: without time-stamp, with one
// of today, and with one of 18 months ago, when those that have expired had not
// and nobody was revoked.
func TestSignersAreJudgedAsTheForeignVerifierJudgesThem(t *testing.T) {
	pki := trusttest.New(t)
	foreign := newPeer(t, pki)
	stamps := [][]string{nil, stamped(t, pki.Get(trusttest.Stamper)),
		stamped(t, pki.Get(trusttest.Stamper), "-TSA-time", strconv.FormatInt(pki.Now.AddDate(0, -18, 0).Unix(), 10))}
	const yes, no = true, false
	for name, want := range map[string][3]bool{
		trusttest.Good:          {yes, yes, yes},
		trusttest.GoodEC:        {yes, yes, yes},
		trusttest.Stranger:      {no, no, no},
		trusttest.SelfSigned:    {no, no, no},
		trusttest.Expired:       {no, no, yes},
		trusttest.NotYet:        {no, no, no},
		trusttest.ServerAuth:    {no, no, no},
		trusttest.NoEKU:         {no, no, no},
		trusttest.AnyEKU:        {no, no, no},
		trusttest.NoSigning:     {no, no, no},
		trusttest.Lifetime:      {no, no, no},
		trusttest.Revoked:       {no, no, no}, // the list does not say why
		trusttest.Superseded:    {no, no, yes},
		trusttest.Compromised:   {no, no, no},
		trusttest.CASigner:      {no, no, no},
		trusttest.BelowRevoked:  {no, no, no},
		trusttest.BelowServerCA: {no, no, no},
		trusttest.TooLong:       {no, no, no},
		trusttest.BelowLeaf:     {no, no, no},
		trusttest.Constrained:   {no, no, no},
		trusttest.SHA1Chain:     {no, no, no},
		trusttest.RSA1024:       {no, no, no},
		trusttest.StamperIsCode: {no, no, no},
	} {
		for i, args := range stamps {
			file := sign(t, pki.Get(name), ".exe", victim.bytes(), args...)
			_, evidence := verify(t, pki.Anchors(), file)
			if got := standing(evidence); got == core.Broken || (got == core.Trusted) != want[i] {
				t.Errorf("%s, time-stamp %d: %v: %+v", name, i, got, evidence)
			}
			accepted, printed := foreign.accepts(t, ".exe", file)
			if why := opinions[name][i]; (accepted == want[i]) == (why != "") {
				t.Errorf("%s, time-stamp %d: osslsigncode accepts: %v (%q)\n%s", name, i, accepted, why, printed)
			}
		}
	}
}

// Time-stampers by which a signer that has expired since can, or cannot, prove
// that it had not. osslsigncode makes no time-stamp with a certificate that
// must not.
func TestTimeStampersAreJudgedAsTheForeignVerifierJudgesThem(t *testing.T) {
	pki := trusttest.New(t)
	foreign := newPeer(t, pki)
	then := strconv.FormatInt(pki.Now.AddDate(0, -18, 0).Unix(), 10)
	for name, x := range map[string]struct {
		want    bool
		opinion string
	}{
		trusttest.Stamper:      {true, ""},
		trusttest.StamperEC:    {true, ""},
		trusttest.StamperOld:   {true, ""},
		trusttest.StamperStray: {false, ""},
	} {
		file := sign(t, pki.Get(trusttest.Expired), ".exe", victim.bytes(), stamped(t, pki.Get(name), "-TSA-time", then)...)
		_, evidence := verify(t, pki.Anchors(), file)
		if got := standing(evidence); got == core.Broken || (got == core.Trusted) != x.want {
			t.Errorf("%s: %v: %+v", name, got, evidence)
		}
		if accepted, printed := foreign.accepts(t, ".exe", file); (accepted == x.want) == (x.opinion != "") {
			t.Errorf("%s: osslsigncode accepts: %v (%q)\n%s", name, accepted, x.opinion, printed)
		}
	}
}

// all says the same of signatures with any time-stamp and without.
func all(opinion string) [3]string { return [3]string{opinion, opinion, opinion} }

// opinions says where osslsigncode thinks otherwise of a signer, and why.
var opinions = map[string][3]string{
	trusttest.SHA1Chain: all("it takes certificates that are signed with SHA-1"),
	trusttest.RSA1024:   all("it takes RSA keys of 1024 bits"),
	trusttest.NoEKU:     all("it takes certificates that do not say what they are for"),
	trusttest.NoSigning: all("it does not look at key usage"),
	trusttest.CASigner:  all("it takes a CA for a signer of code"),

	trusttest.Lifetime:   {2: "it does not know lifetime signing"},
	trusttest.Superseded: {2: "it takes whoever is revoked for never trusted, whenever and why ever that was"},
}
