package provenance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/trust/openpgp"
	"kpm/trust/openpgp/gpgtest"
	"kpm/trust/reader/judge"
	"kpm/trust/trusttest"
)

func kinds(p core.Provenance) []string {
	var list []string
	for _, e := range p.Evidence {
		list = append(list, e.Kind+" "+e.Standing.String())
	}
	return list
}

func TestAllEvidenceAboutAFileIsFound(t *testing.T) {
	w := newWorld(t)
	elf := w.write("tool", append([]byte("\x7fELF"), make([]byte, 100_000)...))
	data, err := os.ReadFile(elf)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	gpg := gpgtest.New(t)
	key := gpg.Generate("Releases <r@example.org>", "ed25519", "sign", "1y")
	keys, err := openpgp.ReadKeyring(bytes.NewReader(gpg.Export(key)))
	if err != nil {
		t.Fatal(err)
	}
	signed := w.write("released", data)
	w.write("released.sig", gpg.Sign(key, data))
	w.write("stale", append([]byte("more"), data...))
	w.write("stale.sig", gpg.Sign(key, data))
	beside := w.write("beside", data)
	if err := os.Mkdir(filepath.Join(w.dir, "beside.asc"), 0o700); err != nil {
		t.Fatal(err)
	}
	v := w.verifier(func(_ *Config, tr *judge.Trusted) { tr.OpenPGP = keys })
	v.packages = &database{path: elf, digest: sum[:]}
	for _, c := range []struct {
		path, format string
		kinds        []string
		rank         core.Rank
	}{
		{elf, "elf", []string{"dpkg trusted"}, core.RankRecorded},
		{signed, "elf", []string{"openpgp trusted"}, core.RankSigned},
		{filepath.Join(w.dir, "stale"), "other", []string{"openpgp broken"}, core.RankNone},
		{beside, "elf", []string{"openpgp untrusted"}, core.RankNone},
		{w.signedImage(trusttest.Good), "pe", []string{"authenticode trusted"}, core.RankSigned},
		{w.signedImage(trusttest.Stranger), "pe", []string{"authenticode untrusted"}, core.RankNone},
		{w.write("unsigned.exe", must(image())), "pe", nil, core.RankNone},
		{w.write("script", []byte("#!/bin/sh\n")), "script", nil, core.RankNone},
		{w.write("empty", nil), "other", nil, core.RankNone},
	} {
		p := w.provenance(v, c.path)
		if diff := cmp.Diff(c.kinds, kinds(p)); diff != "" || p.Format != c.format || p.Rank() != c.rank {
			t.Errorf("%s: format %s, rank %s, %s", filepath.Base(c.path), p.Format, p.Rank(), diff)
		}
	}
}

func must(data []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return data
}

// What Debian installed Debian's records know; what users could have written
// into them they do not.
func TestPackagesOfThisMachine(t *testing.T) {
	w := newWorld(t)
	v := w.verifier(func(c *Config, _ *judge.Trusted) { c.PackageRoot = "/" })
	if p := w.provenance(v, "/usr/bin/id"); p.Rank() != core.RankRecorded || p.Evidence[0].Kind != core.KindDPKG {
		t.Errorf("rank %s, %v", p.Rank(), kinds(p))
	}
	w.files.writable["/var/lib/dpkg/status"] = true
	v = w.verifier(func(c *Config, _ *judge.Trusted) { c.PackageRoot = "/" })
	if p := w.provenance(v, "/usr/bin/id"); p.Rank() != core.RankNone {
		t.Errorf("rank %s by records that users can write to", p.Rank())
	}
}

// Attack (CVE-2025-46717): the service looks where the caller may not, and the
// verdict on the caller's own signed program tells what it saw there.
func TestLinksBesideAFileTellNothing(t *testing.T) {
	w := newWorld(t)
	keys, err := openpgp.ReadKeyring(bytes.NewReader(func() []byte {
		gpg := gpgtest.New(t)
		return gpg.Export(gpg.Generate("Releases <r@example.org>", "ed25519", "sign", "1y"))
	}()))
	if err != nil {
		t.Fatal(err)
	}
	v := w.verifier(func(_ *Config, tr *judge.Trusted) { tr.OpenPGP = keys })
	program := w.signedImage(trusttest.Good)
	secret := w.write("secret", []byte("no signature"))
	w.files.writable[program] = true // so that nothing is remembered
	for _, there := range []bool{true, false} {
		if !there {
			secret += " that is not there"
		}
		if err := os.Symlink(secret, program+".sig"); err != nil {
			t.Fatal(err)
		}
		p := w.provenance(v, program)
		if diff := cmp.Diff([]string{"authenticode trusted"}, kinds(p)); diff != "" {
			t.Errorf("there %v: %s", there, diff)
		}
		if err := os.Remove(program + ".sig"); err != nil {
			t.Fatal(err)
		}
	}
}

// The private copy of a program has the program's bytes and nothing of what
// lies beside it.
func TestACopyHasTheAttributesOfItsOrigin(t *testing.T) {
	w := newWorld(t)
	origin, copied := w.write("origin", []byte("\x7fELF tool")), w.write("copy", []byte("\x7fELF tool"))
	sum := sha256.Sum256([]byte("\x7fELF tool"))
	v := w.verifier()
	v.packages = &database{path: origin, digest: sum[:]}
	p, err := v.Provenance(t.Context(), w.open(copied), w.open(origin))
	if err != nil || p.Rank() != core.RankRecorded {
		t.Errorf("rank %s, %v", p.Rank(), err)
	}
	// The bytes are the copy's own: a package that lists the origin says
	// nothing good of others.
	p, err = v.Provenance(t.Context(), w.open(w.write("other", []byte("\x7fELF evil"))), w.open(origin))
	if err != nil || p.Rank() != core.RankNone || len(p.Evidence) != 1 {
		t.Errorf("rank %s, %v, %v", p.Rank(), kinds(p), err)
	}
}

func TestVerdictsAreRememberedAsLongAsTheFileIsTheSame(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world, v *Verifier, path string)
		again  int
	}{
		"nothing": {func(*world, *Verifier, string) {}, 1},
		"content": {func(w *world, _ *Verifier, path string) { w.write("tool", []byte("\x7fELF evil")) }, 2},
		"mode":    {func(_ *world, _ *Verifier, path string) { check(os.Chmod(path, 0o777)) }, 2},
		"attribute": {func(_ *world, _ *Verifier, path string) {
			check(unix.Setxattr(path, "trusted.kpm", []byte("x"), 0))
		}, 2},
		"packages":   {func(_ *world, v *Verifier, _ string) { v.packages.(*database).stamp = "upgraded" }, 2},
		"generation": {func(w *world, _ *Verifier, _ string) { w.system.generation = 7 }, 2},
		"whom to trust": {func(w *world, v *Verifier, _ string) {
			v.Trust(reading(&judge.Trusted{Anchors: w.pki.Anchors()}))
		}, 2},
		"replaced": {func(w *world, _ *Verifier, path string) {
			other := w.write("other", []byte("\x7fELF tool"))
			check(os.Rename(other, path))
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			v := w.verifier()
			v.packages = &database{}
			path := w.write("tool", []byte("\x7fELF tool"))
			w.provenance(v, path)
			time.Sleep(20 * time.Millisecond) // the kernel's clock for change times ticks every 4 to 10 ms
			c.change(w, v, path)
			w.provenance(v, path)
			if w.system.judgements() != c.again {
				t.Errorf("judged %d times, expected %d", w.system.judgements(), c.again)
			}
		})
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func TestOnlyProtectedFilesAreRemembered(t *testing.T) {
	w := newWorld(t)
	v := w.verifier()
	path := w.write("tool", []byte("\x7fELF tool"))
	w.files.writable[path] = true
	w.provenance(v, path)
	w.provenance(v, path)
	if w.system.judgements() != 2 {
		t.Errorf("judged %d times: a file that users can change was remembered", w.system.judgements())
	}
}

func TestVerdictsAreForgottenWhenTimeCouldChangeThem(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	soon, late := now.Add(10*time.Minute), now.Add(1000*time.Hour)
	with := func(standing core.Standing, signed time.Time, ends ...time.Time) core.Provenance {
		e := core.Evidence{Standing: standing, SignedAt: signed}
		for _, end := range ends {
			e.Chain = append(e.Chain, core.Certificate{NotAfter: end})
		}
		return core.Provenance{Evidence: []core.Evidence{e}}
	}
	for _, c := range []struct {
		name  string
		p     core.Provenance
		until time.Time
	}{
		{"no evidence", core.Provenance{}, now.Add(maxAge)},
		{"certificates that last", with(core.Trusted, time.Time{}, late, late), now.Add(maxAge)},
		{"one that ends soon", with(core.Trusted, time.Time{}, late, soon), soon},
		{"one that ends soon, signed before", with(core.Trusted, now, late, soon), now.Add(maxAge)},
		{"untrusted anyway", with(core.Untrusted, time.Time{}, soon), now.Add(maxAge)},
	} {
		if got := validUntil(c.p, now); !got.Equal(c.until) {
			t.Errorf("%s: until %s, expected %s", c.name, got, c.until)
		}
	}
	kept := verdict{stamp: "a", until: now.Add(maxAge)}
	if kept.holds("a", now.Add(maxAge)) || !kept.holds("a", now.Add(maxAge-1)) {
		t.Error("remembered for too long, or not long enough")
	}
	if kept.holds("b", now) {
		t.Error("believed although other packages are installed")
	}
}

// Attack: write to the file between one digest of it and the next.
func TestAFileThatChangesMeanwhileHasNoProvenance(t *testing.T) {
	w := newWorld(t)
	v := w.verifier()
	path := w.write("tool", []byte("\x7fELF tool"))
	time.Sleep(20 * time.Millisecond)
	w.system.onVerdict = func() { check(os.WriteFile(path, []byte("\x7fELF evil"), 0)) }
	if _, err := v.Provenance(t.Context(), w.open(path), nil); !errors.Is(err, ErrChanged) {
		t.Errorf("got %v", err)
	}
}

func TestWhatCannotBeRead(t *testing.T) {
	w := newWorld(t)
	v := w.verifier()
	if _, err := v.Provenance(t.Context(), w.open(w.dir), nil); !errors.Is(err, core.ErrNotRegular) {
		t.Errorf("a directory: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Provenance(ctx, w.open(w.signedImage(trusttest.Good)), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// BenchmarkWarm is what an elevation pays for a program that was seen before.
func BenchmarkWarm(b *testing.B) {
	path := filepath.Join(b.TempDir(), "tool")
	check(os.WriteFile(path, []byte("\x7fELF tool"), 0o755))
	v := NewVerifier(Config{Files: &files{}, System: &system{}}, reading(&judge.Trusted{Anchors: trusttest.New(b).Anchors()}))
	f, err := os.Open(path)
	check(err)
	defer f.Close()
	for b.Loop() {
		if _, err := v.Provenance(b.Context(), f, nil); err != nil {
			b.Fatal(err)
		}
	}
}
