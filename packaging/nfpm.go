package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"time"
)

// agentRoot is where packages for Linux put everything.
const agentRoot = "/opt/KeeperPrivilegeManager"

// entry is a file of a package, as nfpm's configuration has it.
type entry struct {
	Src      string   `json:"src,omitempty"`
	Dst      string   `json:"dst"`
	Type     string   `json:"type,omitempty"`
	FileInfo fileInfo `json:"file_info"`
	Packager string   `json:"packager,omitempty"` // empty for both
}

type fileInfo struct {
	Mode  int       `json:"mode,omitempty"`
	MTime time.Time `json:"mtime"`
	Owner string    `json:"owner,omitempty"`
	Group string    `json:"group,omitempty"`
}

// nfpm builds the deb and the rpm (https://nfpm.goreleaser.com/docs/configuration/).
// Its configuration is YAML, of which JSON is a part.
func (r *release) nfpm(ctx context.Context, t target, root string) error {
	scripts, err := r.scripts()
	if err != nil {
		return err
	}
	contents, err := r.contents(root)
	if err != nil {
		return err
	}
	config := map[string]any{
		"name": "keeper-privilege-manager", "arch": t.arch, "platform": "linux", "version": r.version,
		"section": "admin", "priority": "optional", "license": "Apache-2.0", "mtime": r.date,
		"maintainer":  "The kpm authors <kpm@localhost>",
		"description": "least privilege for people, without taking their work away\nPeople who are not administrators do the few privileged things that their work\nneeds, when policy says so, and with a record of it. An independent, open\nimplementation of the published architecture.",
		"contents":    contents, "scripts": scripts,
		// keeperpam alone is linked with anything.
		"overrides": map[string]any{"deb": map[string]any{"depends": []string{"libc6", "libpam0g"}}, "rpm": map[string]any{"depends": []string{"glibc", "pam"}}},
		"deb":       map[string]any{"compression": "xz"},
		"rpm":       map[string]any{"buildhost": "localhost", "compression": "xz"},
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(r.work, t.String(), "nfpm.yaml")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return err
	}
	for _, kind := range []string{"deb", "rpm"} {
		if err := r.command(ctx, nil, filepath.Join(r.tools, "nfpm"), "package", "--config", path, "--packager", kind,
			"--target", filepath.Join(r.out, r.name(t)+"."+kind)); err != nil {
			return err
		}
	}
	return nil
}

// scriptNames are what a package runs before and after it changes files.
var scriptNames = []string{"preinstall", "postinstall", "preremove", "postremove"}

// scripts are those of packaging/linux, filled in.
func (r *release) scripts() (map[string]string, error) {
	found := map[string]string{}
	for _, name := range scriptNames {
		found[name] = filepath.Join(r.work, name+".sh")
		if err := r.filled(filepath.Join("packaging/linux", name+".sh"), found[name], "linux"); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// filled copies a script and fills it in.
func (r *release) filled(from, to, system string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, r.fill(text, system), 0o755)
}

// contents are the files of the package and where each lies.
func (r *release) contents(root string) ([]entry, error) {
	var list []entry
	add := func(src, dst, kind string, mode int) {
		list = append(list, entry{Src: src, Dst: dst, Type: kind, FileInfo: fileInfo{Mode: mode, MTime: r.date, Owner: "root", Group: "root"}})
	}
	add("", agentRoot, "dir", 0o755)
	add("", logFolder, "dir", 0o750)
	for _, p := range of("linux") {
		add(filepath.Join(root, p.file("linux")), filepath.Join(agentRoot, p.file("linux")), "", 0o755)
		if p.onPath {
			add(filepath.Join(agentRoot, p.file("linux")), "/usr/bin/"+p.name, "symlink", 0)
		}
	}
	// What administrators change is theirs: no upgrade writes over it.
	for _, folder := range []string{"Plugins", "Jobs", "Policies"} {
		files, err := filepath.Glob(filepath.Join(root, folder, "*.json"))
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			add(f, filepath.Join(agentRoot, folder, filepath.Base(f)), "config|noreplace", 0o644)
		}
	}
	schemas, err := filepath.Glob(filepath.Join(root, schemaFolder, "*"))
	if err != nil {
		return nil, err
	}
	for _, f := range schemas {
		add(f, filepath.Join(agentRoot, schemaFolder, filepath.Base(f)), "", 0o644)
	}
	add(filepath.Join(root, unit), agentRoot+"/"+unit, "", 0o644)
	add(filepath.Join(root, "sbom.cdx.json"), agentRoot+"/sbom.cdx.json", "", 0o644)
	add("packaging/linux/copyright", "/usr/share/doc/keeper-privilege-manager/copyright", "", 0o644)
	add("packaging/linux/lintian-overrides", "/usr/share/lintian/overrides/keeper-privilege-manager", "", 0o644)
	add("packaging/linux/keeper-privilege-manager.service", "/usr/lib/systemd/system/keeper-privilege-manager.service", "", 0o644)
	add("packaging/linux/KeeperClient.desktop", "/etc/xdg/autostart/KeeperClient.desktop", "config", 0o644)
	// Distributions name their common files differently.
	for _, packager := range []string{"deb", "rpm"} {
		add("packaging/linux/pam."+packager, "/usr/lib/pam.d/kpm", "", 0o644)
		list[len(list)-1].Packager = packager
	}
	for from, to := range map[string]string{
		"KeeperAdminCLI": "/usr/share/bash-completion/completions/", "keepersudo": "/usr/share/bash-completion/completions/",
		"_KeeperAdminCLI": "/usr/share/zsh/vendor-completions/", "_keepersudo": "/usr/share/zsh/vendor-completions/",
		"keeperAgent": "/usr/share/bash-completion/completions/", "_keeperAgent": "/usr/share/zsh/vendor-completions/", "keeperAgent.fish": "/usr/share/fish/vendor_completions.d/",
		"KeeperAdminCLI.fish": "/usr/share/fish/vendor_completions.d/", "keepersudo.fish": "/usr/share/fish/vendor_completions.d/",
	} {
		add(filepath.Join(r.work, "pages/completions", from), to+from, "", 0o644)
	}
	pages, err := filepath.Glob(filepath.Join(r.work, "pages/man/*"))
	if err != nil {
		return nil, err
	}
	for _, page := range pages {
		small, err := r.gzip(page)
		if err != nil {
			return nil, err
		}
		add(small, "/usr/share/man/man"+page[len(page)-1:]+"/"+filepath.Base(small), "", 0o644)
	}
	return list, nil
}
