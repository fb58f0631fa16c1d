package timestamp

import (
	"time"

	"kpm/trust/chain"
)

// Why completes the reason of a signer's verdict: whoever reads that a
// certificate has expired asks what became of the time-stamp. stamp is what Of
// found, present whether it found one.
func Why(signer chain.Verdict, stamp Stamp, present bool, unsupported error) string {
	switch {
	case !signer.Expired:
		return signer.Reason
	case unsupported != nil:
		return signer.Reason + "; its time-stamp is not believed: its algorithm is not supported"
	case !present:
		return signer.Reason + ", and no time-stamp says that it signed before"
	case stamp.At.IsZero():
		return signer.Reason
	}
	return signer.Reason + "; its time-stamp of " + stamp.At.Format(time.DateOnly) + " is not believed: " + stamp.Verdict.Reason
}
