package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// unit is the service for systemd; "KeeperAdminCLI service install" reads it in the
// agent root.
const unit = "keeper-privilege-manager.service"

// stage builds the executables into an agent root, with the files that belong to
// one whatever installs it.
func (r *release) stage(ctx context.Context, t target, root string) error {
	for _, p := range of(t.os) {
		flags := p.linker(t.os) + " -buildid= -X main.version=" + r.version
		env := []string{"CGO_ENABLED=0", "GOFLAGS=", "GOOS=" + t.os, "GOARCH=" + t.arch}
		into := filepath.Join(root, p.file(t.os))
		if err := r.command(ctx, env, "go", "build", p.mode(), "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", into, "./cmd/"+p.name); err != nil {
			return err
		}
	}
	for from, to := range map[string]string{"LICENSE": "LICENSE", filepath.Join(r.work, "sbom.cdx.json"): "sbom.cdx.json"} {
		if err := copyFile(from, filepath.Join(root, to), 0o644); err != nil {
			return err
		}
	}
	if err := besidePrograms(t.os, root); err != nil {
		return err
	}
	if t.os == "linux" { // elsewhere the service writes its defaults when it starts
		// For this system, whatever t is, and compiled as above.
		if err := r.command(ctx, []string{"CGO_ENABLED=0", "GOFLAGS="}, "go", "run", "-trimpath", "-buildvcs=false", "./cmd/KeeperPrivilegeManager", "defaults", "--root", root); err != nil {
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

// schemaFolder is where the agent root has the JSON Schemas of what people write, for
// their editors (docs/plugins-and-jobs.md, "Editors").
const schemaFolder = "share/schemas"

// besidePrograms writes what belongs to the programs wherever they lie.
func besidePrograms(system, root string) error {
	schemas, err := filepath.Glob("docs/schemas/*.schema.json")
	if err != nil {
		return err
	}
	for _, from := range append(schemas, "docs/policies/cases.schema.json") {
		if err := copyFile(from, filepath.Join(root, schemaFolder, filepath.Base(from)), 0o644); err != nil {
			return err
		}
	}
	if system != "linux" {
		return nil
	}
	return copyFile("packaging/linux/"+unit, filepath.Join(root, unit), 0o644)
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
