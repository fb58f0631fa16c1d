// Command packaging builds what an administrator installs: deb and rpm packages,
// archives with an install script, and an MSI, each the same bit by bit whenever
// and wherever it is built from the same files with the same toolchain.
//
// It packs what `make stage` builds and decides nothing about how the service
// runs: units and scripts lie beside it, one folder for each system.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// release is what is built, and from what.
type release struct {
	version string
	date    time.Time // of everything in it
	tools   string    // where nfpm and cyclonedx-gomod lie
	work    string    // removed when all is built
	out     string
}

// target is one system and processor, as Go calls them.
type target struct{ os, arch string }

func (t target) String() string { return t.os + "-" + t.arch }

var targets = []target{
	{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}, {"windows", "amd64"}, {"windows", "arm64"},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "packaging:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	version := flag.String("version", "0.1.0", "version of the packages, such as 1.2.3")
	out := flag.String("out", "build/packages", "folder to write them to")
	tools := flag.String("tools", "build/tools", "folder of nfpm and cyclonedx-gomod")
	only := flag.String("only", "", "build for these only, such as linux-amd64,windows-amd64")
	key := flag.String("sign", "", "sign the checksums with this Ed25519 key (PEM, PKCS #8)")
	stage := flag.String("stage", "", "build the programs of this system into this agent root, and no packages")
	flag.Parse()
	if *stage != "" {
		return (&release{}).stageHere(ctx, runtime.GOOS, *stage)
	}
	date, err := date(ctx)
	if err != nil {
		return err
	}
	r := &release{version: *version, date: date}
	for into, path := range map[*string]string{&r.tools: *tools, &r.out: *out} {
		if *into, err = filepath.Abs(path); err != nil {
			return err
		}
	}
	if r.work, err = os.MkdirTemp("", "kpm-packages-"); err != nil {
		return err
	}
	defer os.RemoveAll(r.work)
	if err := os.RemoveAll(r.out); err != nil {
		return err
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	if err := r.pages(ctx, filepath.Join(r.work, "pages")); err != nil {
		return err
	}
	if err := r.bill(ctx); err != nil {
		return err
	}
	for _, t := range targets {
		if *only != "" && !strings.Contains(","+*only+",", ","+t.String()+",") {
			continue
		}
		fmt.Println("packaging", t)
		if err := r.pack(ctx, t); err != nil {
			return fmt.Errorf("%s: %w", t, err)
		}
	}
	return r.sums(*key)
}

// date is SOURCE_DATE_EPOCH if it is set (reproducible-builds.org), else when the
// last commit was made.
func date(ctx context.Context) (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		out, err := exec.CommandContext(ctx, "git", "log", "-1", "--format=%ct").Output()
		if err != nil {
			return time.Time{}, fmt.Errorf("when was the last commit? git: %w; set SOURCE_DATE_EPOCH to build without git", err)
		}
		text = strings.TrimSpace(string(out))
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q, expected seconds since 1970", text)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// pack builds every package for one target.
func (r *release) pack(ctx context.Context, t target) error {
	root := filepath.Join(r.work, t.String(), "root")
	if err := r.stage(ctx, t, root); err != nil {
		return err
	}
	if err := r.archive(t, root); err != nil {
		return err
	}
	switch {
	case t.os == "linux":
		return r.nfpm(ctx, t, root)
	case t.os == "windows" && t.arch == "amd64": // wixl knows no arm64
		return r.msi(ctx, root)
	}
	return nil
}

// command runs a tool, and its output is in the error.
func (r *release) command(ctx context.Context, env []string, argv ...string) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Env = append(cmd.Env, "SOURCE_DATE_EPOCH="+strconv.FormatInt(r.date.Unix(), 10), "TZ=UTC", "LC_ALL=C.UTF-8")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", argv[0], err, out)
	}
	return nil
}
