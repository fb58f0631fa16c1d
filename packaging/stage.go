package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// programs are the executables and the folder of the agent root that each lies in.
var programs = map[string]string{
	"KeeperPrivilegeManager": "", "KeeperAdminCLI": "", "keeperAgent": "", "keepersudo": "", "keeperlaunch": "", "keeperreader": "", "keeperpam": "",
	"KeeperPolicy": "Plugins/bin/KeeperPolicy", "KeeperLogger": "Plugins/bin/KeeperLogger",
	"RedirectEvaluator": "Jobs/bin/RedirectEvaluator", "KeeperInventory": "Jobs/bin/KeeperInventory",
	"KeeperMFA": "Jobs/bin/KeeperMFA", "KeeperJustification": "Jobs/bin/KeeperJustification", "KeeperApproval": "Jobs/bin/KeeperApproval", "KeeperRunAs": "", "keeperedit": "",
}

// unit is the service for systemd; "KeeperAdminCLI service install" reads it in the
// agent root.
const unit = "keeper-privilege-manager.service"

// lacking are the programs that a system does without: signatures in files are
// read, and PAM is asked, on Linux alone, and Explorer is Windows'.
var lacking = map[string][]string{
	"linux": {"KeeperRunAs"}, "windows": {"keeperreader", "keeperpam", "keeperedit"}, "darwin": {"keeperreader", "keeperpam", "KeeperRunAs"},
}

// windowed are the programs that have windows and no console on Windows, where one would
// flash up.
var windowed = []string{"KeeperRunAs", "KeeperMFA", "KeeperJustification", "KeeperApproval"}

// stage builds the executables into an agent root, with the files that belong to
// one whatever installs it.
func (r *release) stage(ctx context.Context, t target, root string) error {
	suffix := ""
	if t.os == "windows" {
		suffix = ".exe"
	}
	for name, folder := range programs {
		if slices.Contains(lacking[t.os], name) {
			continue
		}
		flags := "-s -w -buildid= -X main.version=" + r.version
		if t.os == "linux" && name == "keepersudo" {
			flags += " -E keepersudo_entry" // platform/unix/caller/entry_linux.go
		}
		if slices.Contains(windowed, name) {
			flags += " -H windowsgui" // no console window flashes up
		}
		env := []string{"CGO_ENABLED=0", "GOFLAGS=", "GOOS=" + t.os, "GOARCH=" + t.arch}
		into := filepath.Join(root, folder, name+suffix)
		mode := "-buildmode=default"
		if name == "keeperpam" { // it has foreign libraries in it, and lies nowhere in particular
			mode = "-buildmode=pie"
		}
		if err := r.command(ctx, env, "go", "build", mode, "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", into, "./cmd/"+name); err != nil {
			return err
		}
	}
	for from, to := range map[string]string{"LICENSE": "LICENSE", filepath.Join(r.work, "sbom.cdx.json"): "sbom.cdx.json"} {
		if err := copyFile(from, filepath.Join(root, to), 0o644); err != nil {
			return err
		}
	}
	if t.os == "linux" { // elsewhere the service writes its defaults when it starts
		if err := copyFile("packaging/linux/"+unit, filepath.Join(root, unit), 0o644); err != nil {
			return err
		}
		if err := r.command(ctx, []string{"GOFLAGS="}, "go", "run", "./cmd/KeeperPrivilegeManager", "defaults", "--root", root); err != nil {
			return err
		}
		if err := logTo(filepath.Join(root, "Plugins/KeeperLogger.json"), logFolder+"/KeeperLogger.log"); err != nil {
			return err
		}
		if err := copyFile("packaging/linux/first-steps.json", filepath.Join(root, "Policies/first-steps.json"), 0o644); err != nil {
			return err
		}
	}
	return filepath.WalkDir(root, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(name, r.date, r.date) // cabinets have it
	})
}

// logFolder is where a package for Linux has the agent's log (FHS 3.0, "/var/log").
const logFolder = "/var/log/keeper-privilege-manager"

// logTo changes where a plugin's file has KeeperLogger write.
func logTo(file, path string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	const otherwise = "{pluginroot}/bin/KeeperLogger/Log/KeeperLogger.log"
	changed := bytes.Replace(text, []byte(otherwise), []byte(path), 1)
	if bytes.Equal(text, changed) {
		return fmt.Errorf("%s does not have %s", file, otherwise)
	}
	return os.WriteFile(file, changed, 0o644)
}

// copyFile copies a file and makes the folders that it lies in.
func copyFile(from, to string, mode os.FileMode) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, data, mode)
}
