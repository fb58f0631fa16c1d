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

	"kpm/core"
	"kpm/platform/linux"
	"kpm/trust/provenance"
	"kpm/trust/reader"
)

const (
	imageBytes  = 50 << 20 // of the signed program
	trustRounds = 21
	warmRounds  = 10000
)

// trustBenchmarks are Go benchmarks that run on this machine, against swtpm.
var trustBenchmarks = map[string]string{
	"./trust/tpm":      "DeviceSign|DeviceSeal|DeviceUnseal|DeviceQuote",
	"./trust/identity": "Handshake|Sign",
}

// judge measures verdicts about signatures against sha256sum, which does less,
// and osslsigncode, which does the same.
func judge(ctx context.Context, staged string) (err error) {
	dir, err := os.MkdirTemp("/var/tmp", "kpm-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	signed, certificate, err := signedImage(ctx, dir)
	if err != nil {
		return err
	}
	bundle, err := provenance.Sources{Thumbprints: []string{thumbprint(certificate)}}.Read(os.ReadFile)
	if err != nil {
		return err
	}
	confiner := linux.NewConfiner(filepath.Join(staged, "keeperreader"))
	defer func() { err = errors.Join(err, confiner.Close()) }()
	pool, err := reader.NewPool(confiner, bundle, reader.Limits{Ready: 1, Most: 1})
	if err != nil {
		return err
	}
	defer pool.Close()
	trusted := &provenance.Trusted{Reader: pool}
	f, err := os.Open(signed)
	if err != nil {
		return err
	}
	defer f.Close()
	verifier := provenance.NewVerifier(provenance.Config{Files: linux.Files{AgentRoot: dir}, System: linux.System{}, PackageRoot: "/"}, trusted)
	ours := func() error {
		verifier.Trust(trusted) // forget
		p, err := verifier.Provenance(ctx, f, nil)
		if err == nil && p.Rank() != core.RankSigned {
			err = fmt.Errorf("not trusted: %s", provenance.Why(p))
		}
		return err
	}
	whole := func(argv ...string) func() error {
		return func() error { return exec.CommandContext(ctx, argv[0], argv[1:]...).Run() }
	}
	fmt.Printf("\nVerdict about a signed program of %d MiB, alternating, medians\n", imageBytes>>20)
	times := map[string][]time.Duration{}
	for range trustRounds {
		for name, run := range map[string]func() error{
			"ours": ours, "sha256sum": whole("sha256sum", signed),
			"osslsigncode verify": whole("osslsigncode", "verify", "-CAfile", certificate, signed),
		} {
			began := time.Now()
			if err := run(); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			times[name] = append(times[name], time.Since(began))
		}
	}
	cold := percentile(times["ours"], 50)
	for _, peer := range []string{"sha256sum", "osslsigncode verify"} {
		took := percentile(times[peer], 50)
		fmt.Printf("  ours, cold    %7.2f ms   %-20s %7.2f ms   ratio %.2f\n", ms(cold), peer, ms(took), float64(cold)/float64(took))
	}
	if err := errors.Join(ours(), linux.Files{AgentRoot: dir}.Protected(f)); err != nil {
		return err // of a file that users can change nothing is remembered
	}
	began := time.Now()
	for range warmRounds {
		if _, err := verifier.Provenance(ctx, f, nil); err != nil {
			return err
		}
	}
	fmt.Printf("  ours, warm    %7.2f us\n", float64(time.Since(began).Nanoseconds())/warmRounds/1000)
	return machineKey(ctx)
}

// machineKey measures the key in a TPM, which here is swtpm: a real one takes
// ten to two hundred milliseconds for a signature.
func machineKey(ctx context.Context) error {
	fmt.Println("\nMachine key in swtpm")
	for pkg, names := range trustBenchmarks {
		out, err := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", names, pkg).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", pkg, err, out)
		}
		for _, line := range strings.Split(string(out), "\n") {
			if strings.HasPrefix(line, "Benchmark") {
				fmt.Println(" ", line)
			}
		}
	}
	return nil
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
	if err := os.WriteFile(at("image.exe"), append(image, make([]byte, imageBytes-len(image))...), 0o600); err != nil {
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
	return at("signed.exe"), at("cert.pem"), nil
}

// thumbprint is the SHA-256 of the certificate in a PEM file.
func thumbprint(path string) string {
	data, _ := os.ReadFile(path) // Load finds the signer untrusted if it is not there
	block, _ := pem.Decode(data)
	if block == nil {
		return ""
	}
	sum := sha256.Sum256(block.Bytes)
	return hex.EncodeToString(sum[:])
}
