//go:build linux

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"kpm/vmtests/agent"
)

const (
	imageBytes = 50 << 20 // of the signed program
	nobody     = 65534
	signedBy   = "Signed by the benchmark"
)

// verdicts measures what a verdict about a signed program costs within a whole
// request, beside sha256sum, which does less, and osslsigncode, which does the
// same. The program is for Windows, and the policy that denies it applies to its
// signer alone: the request ends with the verdict and its decision.
func (m *meter) verdicts(ctx context.Context, staged map[string]string, sides []string) (err error) {
	// Not below a sticky directory: what lies there is not Protected, is copied
	// and looked at anew each time.
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(cache, "bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	signed, certificate, err := signedImage(ctx, dir)
	if err != nil {
		return err
	}
	var vs versions
	for _, side := range sides {
		a, err := trusting(staged[side], filepath.Join(dir, side), certificate)
		if err != nil {
			return err
		}
		vs = append(vs, version{side, a})
	}
	return running(ctx, vs, func() error { return m.whileTrusting(ctx, vs, signed, certificate) })
}

func (m *meter) whileTrusting(ctx context.Context, vs versions, signed, certificate string) error {
	who := person{user: nobody, home: "/nonexistent"}
	for _, v := range vs {
		if out, _ := v.agent.Sudo(ctx, nobody, signed).CombinedOutput(); !strings.Contains(string(out), signedBy) {
			return fmt.Errorf("%s: the verdict is not what decides: %s", v.side, out)
		}
	}
	forget := func(run func() (float64, error)) func() (float64, error) {
		return func() (float64, error) {
			when := time.Now()
			if err := os.Chtimes(signed, when, when); err != nil { // a changed file is looked at anew
				return 0, err
			}
			return run()
		}
	}
	refusal := func(a *agent.Agent) func() (float64, error) {
		c := keepersudo(a, signed)
		c.status = 1
		return who.sampler(ctx, "", c).run
	}
	root := person{home: "/root"}
	cold := []sampler{
		root.sampler(ctx, "sha256sum", command{argv: []string{"/usr/bin/sha256sum", signed}}),
		root.sampler(ctx, "osslsigncode", command{argv: []string{"/usr/bin/osslsigncode", "verify", "-CAfile", certificate, signed}}),
	}
	cold = append(cold, vs.each(func(a *agent.Agent) func() (float64, error) { return forget(refusal(a)) })...)
	return errors.Join(
		m.measure(ctx, fmt.Sprintf("verdict cold, %d MiB, whole request", imageBytes>>20), "ms", m.plan.share(14), 1, cold),
		m.measure(ctx, "verdict remembered, whole request", "ms", m.plan.share(3), 3, vs.each(refusal)),
	)
}

// trusting is an agent that trusts one certificate and denies what it signed.
func trusting(staged, dir, certificate string) (*agent.Agent, error) {
	thumbprint, err := thumbprint(certificate)
	if err != nil {
		return nil, err
	}
	a, err := agent.New(staged, dir, map[string]string{"bench.json": fmt.Sprintf(`{
  "PolicyId": "signer", "PolicyName": %q, "PolicyType": "PrivilegeElevation", "Status": "enforce",
  "Actions": {"OnSuccess": {"Controls": ["DENY"]}},
  "UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["*"], "CertificationCheck": [%q]
}`, signedBy, thumbprint)})
	if err != nil {
		return nil, err
	}
	return a, a.Write("appsettings.json", fmt.Sprintf(`{"Settings": {"KestrelHttpPort": 0, "KestrelHttpsPort": 0,
 "AlternativeSignatures": [%q]}, "MqttBrokerSettings": {"Port": 0}}`, thumbprint))
}

// signedImage is a Windows program with much data behind it, signed by
// osslsigncode with a certificate of its own.
func signedImage(ctx context.Context, dir string) (signed, certificate string, err error) {
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(at("main.go"), []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		return "", "", err
	}
	build := exec.CommandContext(ctx, "go", "build", "-ldflags", "-s -w", "-o", at("image.exe"), at("main.go"))
	build.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	image, err := os.ReadFile(at("image.exe"))
	if err != nil {
		return "", "", err
	}
	if err := os.WriteFile(at("image.exe"), append(image, make([]byte, imageBytes-len(image))...), 0o755); err != nil {
		return "", "", err
	}
	for _, argv := range [][]string{
		{"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha256", "-days", "30", "-subj", "/CN=bench/O=bench",
			"-addext", "basicConstraints=critical,CA:FALSE", "-addext", "keyUsage=critical,digitalSignature",
			"-addext", "extendedKeyUsage=codeSigning", "-keyout", at("key.pem"), "-out", at("cert.pem")},
		{"osslsigncode", "sign", "-certs", at("cert.pem"), "-key", at("key.pem"), "-h", "sha256", "-in", at("image.exe"), "-out", at("signed.exe")},
	} {
		if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return "", "", fmt.Errorf("%s: %w\n%s", argv[0], err, out)
		}
	}
	return at("signed.exe"), at("cert.pem"), os.Chmod(at("signed.exe"), 0o755)
}

// thumbprint is the SHA-256 of the certificate in a PEM file.
func thumbprint(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return "", fmt.Errorf("%s is not PEM", path)
	}
	sum := sha256.Sum256(block.Bytes)
	return hex.EncodeToString(sum[:]), nil
}
