package chain

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"kpm/core"
)

// revocation looks up every certificate of the path below the anchor.
func (a *Anchors) revocation(j *judgement, path []*x509.Certificate) {
	if len(path) == 1 {
		j.leave("revocation", "the certificate is configured itself")
		return
	}
	var open, done []string
	for i, c := range path[:len(path)-1] {
		bad, detail, checked := a.revoked(j, c, path[i+1], a.remembered)
		if bad != "" {
			if i > 0 {
				bad = "was issued by one that " + bad
			}
			j.check("revocation", bad, "")
			return
		}
		if checked {
			done = append(done, detail)
		} else {
			open = append(open, detail)
		}
	}
	if len(open) > 0 {
		j.leave("revocation", strings.Join(open, "; "))
		return
	}
	j.check("revocation", "", strings.Join(done, "; "))
}

// revoked asks issuer's lists about c. One list that names c is enough, however
// old: what is out of date is only its silence. bad completes a sentence; checked
// says that a list that covers c and is in force does not name it.
func (a *Anchors) revoked(j *judgement, c, issuer *x509.Certificate,
	unsigned func(*x509.RevocationList, *x509.Certificate) string) (bad, detail string, checked bool) {
	name := printable(issuer.Subject.CommonName)
	detail = "no list of " + name
	var newest *big.Int
	for _, raw := range a.RevocationLists {
		if !bytes.Equal(raw.RawIssuer, issuer.RawSubject) {
			continue
		}
		l := a.read(raw)
		refused := l.refused
		if refused == "" {
			refused = unsigned(raw, issuer)
		}
		if refused != "" {
			if !checked {
				detail = fmt.Sprintf("the list of %s %s", name, refused)
			}
			continue
		}
		if bad := l.lookup(c, j); bad != "" {
			return bad, "", true
		}
		fault := l.silence(c, j.now)
		number := l.Number
		if number == nil {
			number = new(big.Int)
		}
		switch {
		case fault == "" && (!checked || number.Cmp(newest) > 0):
			checked, newest = true, number
			detail = fmt.Sprintf("list %v of %s, until %s", number, name, l.NextUpdate.UTC().Format(time.DateOnly))
		case fault != "" && !checked:
			detail = fmt.Sprintf("the list of %s %s", name, fault)
		}
	}
	return "", detail, checked
}

// pinnedRevocation looks up a signer that is trusted without a chain. Its issuer
// may be at hand; if not, a list in its name counts where it names the signer:
// whoever presents the signature must not be able to make a revocation go away
// by leaving the issuer's certificate out.
func (a *Anchors) pinnedRevocation(j *judgement, leaf *x509.Certificate, others []*x509.Certificate) {
	for _, issuer := range slices.Concat(j.roots, others) {
		if !bytes.Equal(issuer.RawSubject, leaf.RawIssuer) || leaf.CheckSignatureFrom(issuer) != nil {
			continue
		}
		if bad, detail, checked := a.revoked(j, leaf, issuer, signedBy); bad != "" || checked {
			j.check("revocation", bad, detail)
			return
		}
		break // the others have the same key
	}
	for _, raw := range a.RevocationLists {
		if !bytes.Equal(raw.RawIssuer, leaf.RawIssuer) {
			continue
		}
		if l := a.read(raw); l.refused == "" {
			if bad := l.lookup(leaf, j); bad != "" {
				j.check("revocation", bad, "")
				return
			}
		}
	}
	j.leave("revocation", "no list of its issuer that can be verified and is in force")
}

// leave records what was not checked.
func (j *judgement) leave(name, detail string) {
	j.verdict.Checks = append(j.verdict.Checks, core.Check{Name: name, Outcome: core.NotChecked, Detail: detail})
}

// listKey is a list and the certificate of who may have signed it.
type listKey struct {
	list   *x509.RevocationList
	issuer [sha256.Size]byte
}

// signedBy says why a list does not count as issuer's; empty if it does. It has
// to be a CA that may sign lists.
func signedBy(raw *x509.RevocationList, issuer *x509.Certificate) string {
	if raw.CheckSignatureFrom(issuer) != nil {
		return "is not signed by it"
	}
	return ""
}

// remembered is signedBy for issuers that stand on a path to an anchor: large
// lists take longer to verify than most programs. Of others the answers are not
// kept, because anyone can make more of them.
func (a *Anchors) remembered(raw *x509.RevocationList, issuer *x509.Certificate) string {
	key := listKey{raw, sha256.Sum256(issuer.Raw)}
	if bad, ok := a.lists.Load(key); ok {
		return bad.(string)
	}
	bad := signedBy(raw, issuer)
	a.lists.Store(key, bad)
	return bad
}

// read prepares a list once.
func (a *Anchors) read(raw *x509.RevocationList) *list {
	if l, ok := a.lists.Load(raw); ok {
		return l.(*list)
	}
	l := newList(raw)
	a.lists.Store(raw, l)
	return l
}
