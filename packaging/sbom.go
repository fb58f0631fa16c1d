package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// bill lists what the executables are made of (CycloneDX 1.6).
func (r *release) bill(ctx context.Context) error {
	path := filepath.Join(r.work, "sbom.cdx.json")
	if err := r.command(ctx, []string{"GOFLAGS=-mod=readonly"}, filepath.Join(r.tools, "cyclonedx-gomod"), "mod",
		"-json", "-std", "-licenses", "-noserial", "-notimestamp", "-output", path, "."); err != nil {
		return err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var bill map[string]any
	if err := json.Unmarshal(data, &bill); err != nil {
		return err
	}
	metadata, _ := bill["metadata"].(map[string]any)
	product, _ := metadata["component"].(map[string]any)
	ref, _ := product["bom-ref"].(string)
	if ref == "" {
		return errors.New("cyclonedx-gomod names no main component")
	}
	// The tool takes the version from git, which a source archive does not have.
	name := "pkg:golang/kpm@" + r.version
	product["version"], product["purl"] = r.version, name
	text, err := json.MarshalIndent(bill, "", "  ")
	if err != nil {
		return err
	}
	quoted, err := json.Marshal(ref)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(strings.ReplaceAll(string(text), string(quoted), `"`+name+`"`)), 0o644)
}
