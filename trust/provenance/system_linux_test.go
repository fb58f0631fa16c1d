package provenance

import (
	"testing"

	"kpm/core"
	"kpm/trust/reader/judge"
	"kpm/trust/trusttest"
)

// Both have to trust; where they differ about what the bytes are, neither is
// believed.
func TestTheSystemAndOurOwnCheck(t *testing.T) {
	const none = core.Standing(255)
	const within, listed = core.KindSystem, core.KindSystemCatalog
	for _, c := range []struct {
		name         string
		kind         string
		ours, theirs core.Standing
		rank         core.Rank
		disputed     bool
	}{
		{"both trust it", within, core.Trusted, core.Trusted, core.RankSigned, false},
		{"only we do", within, core.Trusted, core.Untrusted, core.RankNone, false},
		{"only the system does", within, core.Untrusted, core.Trusted, core.RankNone, false},
		{"neither does", within, core.Untrusted, core.Untrusted, core.RankNone, false},
		{"both call it broken", within, core.Broken, core.Broken, core.RankNone, false},
		{"the system calls broken what we trust", within, core.Trusted, core.Broken, core.RankNone, true},
		{"the system calls broken what we do not know", within, core.Untrusted, core.Broken, core.RankNone, true},
		{"we call broken what the system trusts", within, core.Broken, core.Trusted, core.RankNone, true},
		{"we call broken what the system does not know", within, core.Broken, core.Untrusted, core.RankNone, true},
		{"a catalog of the system's", listed, none, core.Trusted, core.RankSigned, false},
		{"a catalog that it does not trust", listed, none, core.Untrusted, core.RankNone, false},
		{"a catalog does not make up for a stranger's signature", listed, core.Untrusted, core.Trusted, core.RankNone, false},
		// Attack: anyone's certificate, and a format that only the system reads.
		{"a signature that we cannot read", within, none, core.Trusted, core.RankNone, false},
	} {
		var p core.Provenance
		if c.ours != none {
			p.Evidence = []core.Evidence{{Kind: core.KindAuthenticode, Rank: core.RankSigned, Standing: c.ours}}
		}
		disputed := reconcile(&p, core.Evidence{Kind: c.kind, Rank: core.RankSigned, Standing: c.theirs})
		if p.Rank() != c.rank || (disputed != nil) != c.disputed {
			t.Errorf("%s: rank %s, disputed %v", c.name, p.Rank(), disputed != nil)
		}
		if disputed != nil && disputed.Standing != c.ours {
			t.Errorf("%s: ours was %s", c.name, disputed.Standing)
		}
	}
}

func TestADisputeIsReported(t *testing.T) {
	w := newWorld(t)
	path := w.signedImage(trusttest.Good)
	w.system.verdict = &core.Evidence{Kind: core.KindSystem, Rank: core.RankSigned, Standing: core.Broken, Reason: "bad digest"}
	var reported string
	v := w.verifier(func(c *Config, _ *judge.Trusted) {
		c.Disputed = func(path string, ours, theirs core.Evidence) {
			reported = path + " " + ours.Standing.String() + " " + theirs.Standing.String()
		}
	})
	if p := w.provenance(v, path); p.Rank() != core.RankNone || reported != path+" trusted broken" {
		t.Errorf("rank %s, reported %q", p.Rank(), reported)
	}
}

func TestRequirement(t *testing.T) {
	trusted := func(rank core.Rank) core.Provenance {
		return core.Provenance{Evidence: []core.Evidence{{Kind: core.KindDPKG, Rank: rank, Standing: core.Trusted, Reason: "package coreutils installed it"}}}
	}
	for _, c := range []struct {
		name  string
		needs core.Rank
		has   core.Provenance
		fault string
	}{
		{"enough", core.RankRecorded, trusted(core.RankRecorded), ""},
		{"more than enough", core.RankRecorded, trusted(core.RankSigned), ""},
		{"too little", core.RankSigned, trusted(core.RankRecorded),
			`not signed as required: it needs rank "signed" (appsettings.json, "Trust") and has "recorded": dpkg: package coreutils installed it`},
		{"nothing", core.RankRecorded, core.Provenance{},
			`not signed as required: it needs rank "recorded" (appsettings.json, "Trust") and has "none": it is not signed, and no package lists it`},
		{"broken beside good", core.RankRecorded, core.Provenance{Evidence: []core.Evidence{trusted(core.RankSigned).Evidence[0],
			{Kind: core.KindIMA, Reason: "the file was changed"}}},
			`not signed as required: it needs rank "recorded" (appsettings.json, "Trust") and has "none": ima: the file was changed`},
	} {
		err := Requirement{c.needs}.Check(c.has)
		if (err == nil) != (c.fault == "") || err != nil && err.Error() != c.fault {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
