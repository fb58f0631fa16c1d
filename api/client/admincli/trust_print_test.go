package admincli

import (
	"strings"
	"testing"

	"kpm/core"
)

// A fat file is shown by its slices, what could be better is weak and not failed,
// and nothing is said twice.
func TestAFatFileIsShownBySlice(t *testing.T) {
	const why = "the time-stamper's certificate leads to no configured root"
	var b strings.Builder
	explain(&b, core.Evidence{Kind: core.KindMachO, Rank: core.RankSigned, Standing: core.Trusted, Reason: "it verifies", Signer: "Vendor", TeamID: "T1", Checks: []core.Check{
		{Name: "x86_64: identifier", Outcome: core.Passed, Detail: "tool-intel"},
		{Name: "x86_64: file digest", Outcome: core.Passed},
		{Name: "x86_64: time-stamp", Outcome: core.Failed, Detail: why},
		{Name: "x86_64: time-stamp: certificate chain", Outcome: core.Failed, Detail: why},
		{Name: "arm64: identifier", Outcome: core.Passed, Detail: "tool-arm"},
		{Name: "arm64: hardened runtime", Outcome: core.Weak, Detail: "off"},
	}})
	const want = `
  mach-o: TRUSTED
    it verifies
    worth       signed
    signer      Vendor
    team        team:T1
    slice       x86_64
      named     tool-intel
      check     file digest: passed
      check     time-stamp: failed (the time-stamper's certificate leads to no configured root)
      check     time-stamp: certificate chain: failed
    slice       arm64
      named     tool-arm
      check     hardened runtime: weak (off)
`
	if b.String() != want {
		t.Errorf("%s\nwant%s", b.String(), want)
	}
}

// What is alike in all slices is said once.
func TestWhatSlicesShareIsSaidOnce(t *testing.T) {
	stamp := core.Check{Name: "time-stamp", Outcome: core.Passed, Detail: "it leads to a root"}
	in := func(slice string, c core.Check) core.Check { c.Name = slice + ": " + c.Name; return c }
	var b strings.Builder
	explain(&b, core.Evidence{Kind: core.KindMachO, Rank: core.RankSigned, Standing: core.Trusted, Reason: "it verifies", Checks: []core.Check{
		{Name: "x86_64: identifier", Outcome: core.Passed, Detail: "tool-intel"},
		{Name: "x86_64: file digest", Outcome: core.Passed, Detail: "01"},
		in("x86_64", stamp),
		{Name: "arm64: identifier", Outcome: core.Passed, Detail: "tool-arm"},
		{Name: "arm64: file digest", Outcome: core.Passed, Detail: "02"},
		in("arm64", stamp),
	}})
	const want = `
  mach-o: TRUSTED
    it verifies
    worth       signed
    slice       x86_64, arm64
      check     time-stamp: passed (it leads to a root)
    slice       x86_64
      named     tool-intel
      check     file digest: passed (01)
    slice       arm64
      named     tool-arm
      check     file digest: passed (02)
`
	if b.String() != want {
		t.Errorf("%s\nwant%s", b.String(), want)
	}
}

// The reason of the one piece of evidence is that of the rank.
func TestAReasonIsSaidOnce(t *testing.T) {
	const reason = "the signer's certificate has expired, on 2017-01-28; its time-stamp of 2016-05-19 is not believed: it is of nobody"
	var b strings.Builder
	found := inspection{File: "f", Rank: core.RankNone, Reason: "authenticode: " + reason, Provenance: core.Provenance{Format: "pe", Evidence: []core.Evidence{{
		Kind: core.KindAuthenticode, Rank: core.RankSigned, Standing: core.Untrusted, Reason: reason, Place: "signature 2 of 2, nested",
		Checks: []core.Check{
			{Name: "time-stamp", Outcome: core.Failed, Detail: "it is of nobody"},
			{Name: "validity", Outcome: core.Failed, Detail: "the signer's certificate has expired, on 2017-01-28"},
			{Name: "validity", Outcome: core.Failed, Detail: reason},
		},
	}}}}
	if err := printInspection(&b, found, false); err != nil {
		t.Fatal(err)
	}
	if strings.Count(b.String(), reason) != 1 || strings.Count(b.String(), "expired") != 1 || strings.Count(b.String(), "of nobody") != 1 || !strings.Contains(b.String(), "which       signature 2 of 2, nested") || !strings.Contains(b.String(), "validity: failed\n") {
		t.Error(b.String())
	}
}
