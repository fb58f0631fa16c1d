package core

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func evidence(rank Rank, standing Standing) Evidence {
	return Evidence{Rank: rank, Standing: standing, Signer: "Contoso", Chain: []Certificate{
		{SHA1: "a1", SHA256: "a2", SPKI: "a3"}, {SPKI: "b3"}, {SPKI: "c3"},
	}}
}

func TestRankOfProvenance(t *testing.T) {
	for _, c := range []struct {
		name     string
		evidence []Evidence
		rank     Rank
		signers  int
	}{
		{"nothing", nil, RankNone, 0},
		{"nobody has judged it", []Evidence{{Rank: RankSigned}}, RankNone, 0},
		{"an unknown signer", []Evidence{evidence(RankSigned, Untrusted)}, RankNone, 0},
		{"a record", []Evidence{evidence(RankRecorded, Trusted)}, RankRecorded, 0},
		{"a signature and a record", []Evidence{evidence(RankRecorded, Trusted), evidence(RankSigned, Trusted)}, RankSigned, 1},
		{"one of two signers is unknown", []Evidence{evidence(RankSigned, Untrusted), evidence(RankSigned, Trusted)}, RankSigned, 1},
		{"two records are no package", []Evidence{evidence(RankRecorded, Trusted), evidence(RankRecorded, Trusted)}, RankRecorded, 0},
		{"a good signature beside a broken one", []Evidence{evidence(RankSigned, Trusted), evidence(RankSigned, Broken)}, RankNone, 0},
		{"a good signature on a file that is not what the package installed", []Evidence{evidence(RankSigned, Trusted), evidence(RankRecorded, Broken)}, RankNone, 0},
	} {
		p := Provenance{Evidence: c.evidence}
		if p.Rank() != c.rank || len(p.Signers()) != c.signers {
			t.Errorf("%s: rank %s with %d signers, expected %s with %d", c.name, p.Rank(), len(p.Signers()), c.rank, c.signers)
		}
	}
}

func TestSigners(t *testing.T) {
	want := []Signer{{Subject: "Contoso", SHA1: "a1", SHA256: "a2", SPKI: "a3", Authorities: []string{"b3", "c3"}}}
	got := Provenance{Evidence: []Evidence{evidence(RankSigned, Trusted)}}.Signers()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
