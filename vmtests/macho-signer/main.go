// Macho-signer signs, verifies and describes Mach-O files with other people's
// code (github.com/sassoftware/relic, github.com/blacktop/go-macho), so that
// trust/macho is tested against more than itself. It is a module of its own:
// nothing of it is part of the product or of its dependencies.
//
//	macho-signer sign -in FILE -out FILE -cert PEM -key PEM [flags]
//	macho-signer verify [-roots PEM] FILE...  one JSON object for each file, on a line
//	macho-signer requirement FILE...          the text of each requirement blob, or an error
package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/blacktop/go-macho"
	"github.com/sassoftware/relic/v7/lib/certloader"
	"github.com/sassoftware/relic/v7/lib/fruit/csblob"
	"github.com/sassoftware/relic/v7/lib/fruit/machos"
	"github.com/sassoftware/relic/v7/lib/pkcs9"
	"github.com/sassoftware/relic/v7/signers/sigerrors"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "macho-signer:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("usage: sign | verify | requirement")
	}
	switch args[0] {
	case "sign":
		return sign(args[1:])
	case "verify":
		return verifyAll(args[1:])
	case "requirement":
		return each(args[1:], requirement)
	}
	return fmt.Errorf("unknown command %q", args[0])
}

func sign(args []string) error {
	flags := flag.NewFlagSet("sign", flag.ContinueOnError)
	in, out := flags.String("in", "", "file to sign"), flags.String("out", "", "file to write")
	cert, key := flags.String("cert", "", "certificate chain, PEM"), flags.String("key", "", "private key, PEM")
	identifier, team := flags.String("identifier", "", ""), flags.String("team", "", "")
	bits := flags.Uint("flags", 0, "flags of the code directory")
	hash := flags.String("hash", "sha256", "sha1, sha256 or sha384")
	entitlements, der := flags.String("entitlements", "", "property list"), flags.String("entitlements-der", "", "")
	requirements, info := flags.String("requirements", "", "requirement blob"), flags.String("info", "", "Info.plist")
	if err := flags.Parse(args); err != nil {
		return err
	}
	pair, err := certloader.LoadX509KeyPair(*cert, *key)
	if err != nil {
		return err
	}
	params := &csblob.SignatureParams{
		HashFunc:        map[string]crypto.Hash{"sha1": crypto.SHA1, "sha256": crypto.SHA256, "sha384": crypto.SHA384}[*hash],
		SigningIdentity: *identifier, TeamIdentifier: *team, Flags: csblob.SignatureFlags(*bits),
	}
	for path, into := range map[string]*[]byte{*entitlements: &params.Entitlement, *der: &params.EntitlementDER, *requirements: &params.Requirements, *info: &params.InfoPlist} {
		if path == "" {
			continue
		}
		if *into, err = os.ReadFile(path); err != nil {
			return err
		}
	}
	source, err := os.Open(*in)
	if err != nil {
		return err
	}
	defer source.Close()
	patch, _, err := machos.Sign(context.Background(), source, pair, params)
	if err != nil {
		return err
	}
	return patch.Apply(source, *out)
}

// each runs one command over many files, because starting a process for each
// is what costs.
func each(paths []string, one func(path string) any) error {
	out := json.NewEncoder(os.Stdout)
	for _, path := range paths {
		if err := out.Encode(safely(path, one)); err != nil {
			return err
		}
	}
	return nil
}

// failure is the answer about a file that the libraries refuse.
type failure struct {
	Error string `json:"error"`
}

func safely(path string, one func(path string) any) (answer any) {
	defer func() {
		if r := recover(); r != nil {
			answer = failure{fmt.Sprintf("panic: %v", r)}
		}
	}()
	return one(path)
}

// verdict is what the libraries say of a thin file.
type verdict struct {
	Error    string `json:"error,omitempty"` // of relic's verification
	Unsigned bool   `json:"unsigned,omitempty"`
	Subject  string `json:"subject,omitempty"` // of the signer's certificate
	// With roots: why relic does not trust the signer, and when it believes that
	// the file was signed.
	Untrusted string    `json:"untrusted,omitempty"`
	SignedAt  time.Time `json:"signedAt,omitzero"`
	// As go-macho parses it.
	Identifier   string   `json:"identifier,omitempty"`
	TeamID       string   `json:"teamId,omitempty"`
	CDHash       string   `json:"cdHash,omitempty"`
	Flags        uint32   `json:"flags,omitempty"`
	Requirements []string `json:"requirements,omitempty"` // as relic prints the designated one
}

func verifyAll(args []string) error {
	flags := flag.NewFlagSet("verify", flag.ContinueOnError)
	roots := flags.String("roots", "", "whom to trust, PEM")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *roots == "" {
		return each(flags.Args(), func(path string) any { return verify(path, nil) })
	}
	certificates, err := os.ReadFile(*roots)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(certificates) {
		return fmt.Errorf("%s: no certificates", *roots)
	}
	return each(flags.Args(), func(path string) any { return verify(path, pool) })
}

// verify judges the chain as well if there are roots.
func verify(path string, roots *x509.CertPool) any {
	data, err := os.ReadFile(path)
	if err != nil {
		return failure{err.Error()}
	}
	var v verdict
	v.describe(data)
	found, err := machos.Verify(bytes.NewReader(data), nil, nil, false)
	switch {
	case errors.As(err, &sigerrors.NotSignedError{}):
		v.Unsigned = true
	case err != nil:
		v.Error = err.Error()
	default:
		v.Subject = found.Signature.Certificate.Subject.String()
		if roots != nil {
			v.judge(found.Signature, roots)
		}
		if set, err := found.Blob.Requirements(); err == nil && set[csblob.DesignatedRequirement] != nil {
			if text, err := set[csblob.DesignatedRequirement].Format(); err == nil {
				v.Requirements = append(v.Requirements, text)
			}
		}
	}
	return v
}

// judge is relic's verdict about the signer and the time-stamp.
func (v *verdict) judge(signature *pkcs9.TimestampedSignature, roots *x509.CertPool) {
	csblob.MarkHandledExtensions(signature.Certificate)
	if err := signature.VerifyChain(roots, nil, x509.ExtKeyUsageCodeSigning); err != nil {
		v.Untrusted = err.Error()
	}
	if signature.CounterSignature != nil {
		v.SignedAt = signature.CounterSignature.SigningTime
	}
}

// describe is go-macho's reading; what it cannot read it leaves out.
func (v *verdict) describe(data []byte) {
	defer func() { _ = recover() }()
	image, err := macho.NewFile(bytes.NewReader(data))
	if err != nil {
		return
	}
	signature := image.CodeSignature()
	if signature == nil || len(signature.CodeDirectories) == 0 {
		return
	}
	d := signature.CodeDirectories[0]
	v.Identifier, v.TeamID, v.CDHash, v.Flags = d.ID, d.TeamID, d.CDHash, uint32(d.Header.Flags)
}

func requirement(path string) any {
	data, err := os.ReadFile(path)
	if err != nil {
		return failure{err.Error()}
	}
	if len(data) < 12 || binary.BigEndian.Uint32(data) != 0xfade0c00 {
		return failure{"not a requirement"}
	}
	text, err := (&csblob.Requirement{Raw: data[8:]}).Format()
	if err != nil {
		return failure{err.Error()}
	}
	return struct {
		Text string `json:"text"`
	}{text}
}
