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
	"strconv"
	"strings"
	"time"

	"kpm/vmtests/agent"
)

const (
	nobody   = 65534
	signedBy = "Signed by the benchmark"
)

// imageSizes are the signed programs, in MiB: a tool, an agent, an IDE.
var imageSizes = []int{50, 150, 400}

// verdicts measures what a verdict about a signed program costs within a whole
// request, beside openssl dgst and sha256sum, which do less, and osslsigncode, which
// does the same. The program is for Windows, and the policy that denies it applies to its
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
	for _, size := range imageSizes {
		of := filepath.Join(dir, strconv.Itoa(size))
		if err := os.Mkdir(of, 0o755); err != nil {
			return err
		}
		signed, certificate, err := signedImage(ctx, of, size<<20)
		if err != nil {
			return err
		}
		var vs versions
		for _, side := range sides {
			a, err := trusting(staged[side], filepath.Join(of, side), certificate)
			if err != nil {
				return err
			}
			vs = append(vs, version{side, a})
		}
		if err := running(ctx, vs, func() error { return m.whileTrusting(ctx, vs, signed, certificate, size) }); err != nil {
			return err
		}
		if err := os.RemoveAll(of); err != nil {
			return err
		}
	}
	return nil
}

func (m *meter) whileTrusting(ctx context.Context, vs versions, signed, certificate string, size int) error {
	who := person{user: nobody, home: "/nonexistent"}
	others, err := accounts()
	if err != nil {
		return err
	}
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
	refused := func(a *agent.Agent) command {
		c := keepersudo(a, signed)
		c.status = 1
		return c
	}
	refusal := func(a *agent.Agent) func() (float64, error) { return who.sampler(ctx, "", refused(a)).run }
	// Nobody may have that much read for them again and again: each time it is
	// somebody else who asks.
	next := 0
	stranger := func() person {
		next++
		return person{user: others[next%len(others)], home: "/nonexistent"}
	}
	firstRefusal := func(a *agent.Agent) func() (float64, error) {
		return func() (float64, error) { return stranger().time(ctx, refused(a)) }
	}
	work := func(a *agent.Agent) func() (float64, error) {
		return func() (float64, error) { return stranger().processor(ctx, refused(a), a) }
	}
	root := person{home: "/root"}
	openssl := command{argv: []string{"/usr/bin/openssl", "dgst", "-sha256", signed}}
	cold := []sampler{
		root.sampler(ctx, "openssl dgst", openssl),
		root.sampler(ctx, "sha256sum", command{argv: []string{"/usr/bin/sha256sum", signed}}),
		root.sampler(ctx, "osslsigncode", command{argv: []string{"/usr/bin/osslsigncode", "verify", "-CAfile", certificate, signed}}),
	}
	cold = append(cold, vs.each(func(a *agent.Agent) func() (float64, error) { return forget(firstRefusal(a)) })...)
	worked := []sampler{{"openssl dgst", func() (float64, error) { return root.processor(ctx, openssl, nil) }}}
	worked = append(worked, vs.each(func(a *agent.Agent) func() (float64, error) { return forget(work(a)) })...)
	rounds := m.plan.share(14 * size / imageSizes[0]) // as many bytes of each size
	err = errors.Join(
		m.measure(ctx, fmt.Sprintf("verdict cold, %d MiB, processor time", size), "ms", rounds, 1, worked),
		m.measure(ctx, fmt.Sprintf("verdict cold, %d MiB, whole request", size), "ms", rounds, 1, cold),
		m.measure(ctx, fmt.Sprintf("verdict's memory, %d MiB, largest reader", size), "MB", 1, 0, vs.each(readersMemory)),
	)
	if size > imageSizes[0] {
		return err
	}
	return errors.Join(err, m.measure(ctx, "verdict remembered, whole request", "ms", m.plan.share(3), 3, vs.each(refusal)))
}

// accounts are the users of this machine but root.
func accounts() ([]uint32, error) {
	data, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return nil, err
	}
	var users []uint32
	for line := range strings.Lines(string(data)) {
		if fields := strings.Split(line, ":"); len(fields) > 2 {
			user, err := strconv.ParseUint(fields[2], 10, 32)
			if err != nil {
				return nil, fmt.Errorf("/etc/passwd: %w", err)
			}
			if user != 0 {
				users = append(users, uint32(user))
			}
		}
	}
	return users, nil
}

// readersMemory is the most that a keeperreader of the agent's has had so far, in
// MB of its resident set.
func readersMemory(a *agent.Agent) func() (float64, error) {
	return func() (float64, error) {
		all, err := filepath.Glob("/proc/[0-9]*/status")
		if err != nil {
			return 0, err
		}
		most := 0.0
		for _, path := range all {
			data, err := os.ReadFile(path)
			if err != nil { // it has ended
				continue
			}
			status := map[string]string{}
			for line := range strings.Lines(string(data)) {
				name, value, _ := strings.Cut(line, ":")
				status[name] = strings.TrimSpace(value)
			}
			if status["Name"] != "keeperreader" || status["PPid"] != strconv.Itoa(a.PID()) {
				continue
			}
			kilobytes, err := strconv.ParseFloat(strings.TrimSuffix(status["VmHWM"], " kB"), 64)
			if err != nil {
				return 0, fmt.Errorf("%s: VmHWM: %w", path, err)
			}
			most = max(most, kilobytes/1000)
		}
		if most == 0 {
			return 0, errors.New("no keeperreader runs")
		}
		return most, nil
	}
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
func signedImage(ctx context.Context, dir string, size int) (signed, certificate string, err error) {
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
	if err := os.WriteFile(at("image.exe"), append(image, make([]byte, size-len(image))...), 0o755); err != nil {
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
