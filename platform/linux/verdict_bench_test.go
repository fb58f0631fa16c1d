//go:build linux

package linux

import (
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kpm/platform/linux/file"
	"kpm/trust/provenance"
	"kpm/trust/reader"
	"kpm/trust/reader/judge"
	"kpm/trust/trusttest"
)

func benchFiles(b *testing.B) (map[string]string, string) {
	dir, err := os.MkdirTemp("/var/tmp", "kpm-bench-")
	must(b, err)
	b.Cleanup(func() { os.RemoveAll(dir) })
	pki := trusttest.New(b)
	signer := pki.Get(trusttest.Good).Files(b)
	at := func(name string) string { return filepath.Join(dir, name) }
	must(b, os.WriteFile(at("main.go"), []byte("package main\n\nfunc main() {}\n"), 0o600))
	cmd := exec.Command("go", "build", "-ldflags", "-s -w", "-o", at("image.exe"), at("main.go"))
	cmd.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("%s", out)
	}
	image, err := os.ReadFile(at("image.exe"))
	must(b, err)
	must(b, os.WriteFile(at("big.exe"), append(image, make([]byte, 50<<20-len(image))...), 0o600))
	for _, name := range []string{"image", "big"} {
		out, err := exec.Command("osslsigncode", "sign", "-certs", signer.Chain, "-key", signer.Key, "-h", "sha256", "-in", at(name+".exe"), "-out", at(name+"-signed.exe")).CombinedOutput()
		if err != nil {
			b.Fatalf("%s", out)
		}
	}
	must(b, os.WriteFile(at("script"), []byte("#!/bin/sh\nexec true\n"), 0o755))
	must(b, os.WriteFile(at("root.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pki.Get(trusttest.Root).Certificate.Raw}), 0o644))
	return map[string]string{"signed50MiB": at("big-signed.exe"), "signed1MiB": at("image-signed.exe"), "script": at("script"), "elf": "/usr/bin/id"}, at("root.pem")
}

// cpuTime is what a process has used of the processors.
func cpuTime(b *testing.B, pid int) time.Duration {
	var at unix.Timespec
	must(b, unix.ClockGettime(int32(^pid<<3|2), &at)) // clock_getcpuclockid(3)
	return time.Duration(at.Nano())
}

// BenchmarkVerdict is what a verdict costs with a reader between, beside the same
// code in this process: medians, taken in turns, of time and of processor time of
// both processes, which other work on the machine does not add to. Run it with
// -cpu 1, as the service runs.
func BenchmarkVerdict(b *testing.B) {
	files, root := benchFiles(b)
	bundle, err := provenance.Sources{Roots: []string{root}}.Read(os.ReadFile)
	must(b, err)
	within, err := judge.New(bundle, time.Now)
	must(b, err)
	confiner := &remembering{Confiner: newConfiner(b, readerPath())}
	pool, err := reader.NewPool(confiner, bundle, reader.Limits{Most: 1})
	must(b, err)
	b.Cleanup(pool.Close)
	must(b, pool.Start(b.Context()))
	cfg := provenance.Config{Files: Files{file.Files{AgentRoot: filepath.Dir(root)}}, System: Signatures{}, PackageRoot: "/"}
	ways := map[string]*provenance.Trusted{"within": {Reader: within}, "reader": {Reader: pool}}
	for _, name := range []string{"signed50MiB", "signed1MiB", "script", "elf"} {
		f, err := os.Open(files[name])
		must(b, err)
		defer f.Close()
		for _, cold := range []bool{true, false} {
			b.Run(map[bool]string{true: "cold/", false: "warm/"}[cold]+name, func(b *testing.B) {
				wall, cpu := map[string][]time.Duration{}, map[string][]time.Duration{}
				verifiers := map[string]*provenance.Verifier{}
				for way, trusted := range ways {
					verifiers[way] = provenance.NewVerifier(cfg, trusted)
				}
				for b.Loop() {
					for way, v := range verifiers {
						if cold {
							v.Trust(ways[way])
						}
						pid := confiner.last.ID().PID
						began, used := time.Now(), cpuTime(b, os.Getpid())+cpuTime(b, pid)
						_, err := v.Provenance(b.Context(), f, nil)
						must(b, err)
						wall[way] = append(wall[way], time.Since(began))
						if confiner.last.ID().PID == pid {
							cpu[way] = append(cpu[way], cpuTime(b, os.Getpid())+cpuTime(b, pid)-used)
						}
					}
				}
				median := func(took []time.Duration) float64 {
					slices.Sort(took)
					return float64(took[len(took)/2].Nanoseconds()) / 1000
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(median(wall["within"]), "within-us")
				b.ReportMetric(median(wall["reader"]), "reader-us")
				b.ReportMetric(median(wall["reader"])/median(wall["within"]), "ratio")
				b.ReportMetric(median(cpu["reader"])/median(cpu["within"]), "cpu-ratio")
			})
		}
	}
}
