package timestamp_test

import (
	"errors"
	"testing"
	"time"

	"kpm/core"
	"kpm/trust/chain"
	"kpm/trust/timestamp"
)

// Whoever reads that a certificate has expired asks what became of the stamp.
func TestWhyAnExpiredSignerIsNotTrusted(t *testing.T) {
	expired := chain.Verdict{Standing: core.Untrusted, Reason: "the signer's certificate has expired, on 2017-01-28", Expired: true}
	unknown := chain.Verdict{Standing: core.Untrusted, Reason: "the signer's certificate leads to no configured root"}
	stamp := timestamp.Stamp{At: time.Date(2016, 5, 19, 1, 2, 3, 0, time.UTC), Verdict: chain.Verdict{Reason: "the time-stamper's certificate leads to no configured root"}}
	for _, c := range []struct {
		signer      chain.Verdict
		stamp       timestamp.Stamp
		present     bool
		unsupported error
		want        string
	}{
		{expired, stamp, true, nil, "the signer's certificate has expired, on 2017-01-28; its time-stamp of 2016-05-19 is not believed: the time-stamper's certificate leads to no configured root"},
		{expired, timestamp.Stamp{}, false, nil, "the signer's certificate has expired, on 2017-01-28, and no time-stamp says that it signed before"},
		{expired, timestamp.Stamp{}, true, errors.New("bare"), "the signer's certificate has expired, on 2017-01-28; its time-stamp is not believed: its algorithm is not supported"},
		{unknown, stamp, true, nil, unknown.Reason},
	} {
		if got := timestamp.Why(c.signer, c.stamp, c.present, c.unsupported); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
