//go:build linux

package corpus

import (
	"bytes"
	"os"
	"testing"
	"time"

	"kpm/core"
	"kpm/trust/reader"
	"kpm/trust/reader/judge"
)

// What a time-stamp proves outlives the certificates that signed it: the files of
// the corpus that have one are judged as they are now when all of these have
// expired, and the others are not trusted any more.
func TestTimeStampsOutliveCertificates(t *testing.T) {
	later := time.Date(2034, 1, 1, 0, 0, 0, 0, time.UTC)
	anchors := []byte(anchorsPEM(t, ""))
	j, err := judge.New(&reader.Bundle{Sources: []reader.Source{
		{Setting: reader.Roots, Data: anchors}, {Setting: reader.TimeStampRoots, Data: anchors}, {Setting: reader.AppleRoots, Data: anchors},
	}}, func() time.Time { return later })
	if err != nil {
		t.Fatal(err)
	}
	all := paths(t)
	outlived := 0
	for i, f := range files() {
		content, err := os.ReadFile(all[i])
		if err != nil {
			t.Fatal(err)
		}
		rank := small{content: content}.judged(t, j, bytes.NewReader(content), later).Rank()
		if trusts := f.signer != ""; (rank == core.RankSigned) != (trusts && f.stamped != "") {
			t.Errorf("%s: rank %v", f.path, rank)
		}
		if rank == core.RankSigned {
			outlived++
		}
	}
	if outlived < 10 {
		t.Errorf("%d files", outlived)
	}
}
