package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/cobra/doc"

	"kpm/api/client/admincli"
	"kpm/api/client/agent"
	"kpm/platform"
)

// manuals are the pages of docs/ that are manual pages too.
var manuals = []struct{ page, name, section, about string }{
	{"keepersudo.md", "keepersudo", "1", "run a program as root or another user, if policy allows it"},
	{"policies.md", "kpm-policy", "5", "policies of Keeper Privilege Manager"},
	{"settings.md", "kpm-settings", "5", "settings of Keeper Privilege Manager"},
}

// narrow makes a list of each table: a terminal is not wide enough for one.
func narrow(text []byte) []byte {
	var b bytes.Buffer
	for line := range bytes.Lines(text) {
		row, ok := bytes.CutPrefix(line, []byte("| "))
		if !ok {
			b.Write(line)
			continue
		}
		cells := bytes.Split(bytes.TrimSuffix(bytes.TrimSpace(row), []byte(" |")), []byte(" | "))
		if !bytes.HasPrefix(row, []byte("---")) {
			fmt.Fprintf(&b, "- %s: %s\n", cells[0], bytes.Join(cells[1:], []byte("; ")))
		}
	}
	return b.Bytes()
}

// links are Markdown's, whose targets a terminal has no use for.
var links = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)

// pages writes manual pages and completions, from what --help prints and what
// docs/ has.
func (r *release) pages(ctx context.Context, dir string) error {
	man, completions := filepath.Join(dir, "man"), filepath.Join(dir, "completions")
	for _, d := range []string{man, completions} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	cli := admincli.Command(admincli.Config{Version: r.version, Host: platform.Tools})
	cli.DisableAutoGenTag = true
	header := doc.GenManHeader{Section: "1", Date: &r.date, Source: "KeeperAdminCLI " + r.version, Manual: "Keeper Privilege Manager"}
	if err := doc.GenManTree(cli, &header, man); err != nil {
		return err
	}
	person := agent.Command(agent.Config{Version: r.version, Host: platform.Tools("")})
	person.DisableAutoGenTag = true
	header.Source = "keeperAgent " + r.version
	if err := doc.GenManTree(person, &header, man); err != nil {
		return err
	}
	for _, m := range manuals {
		text, err := os.ReadFile(filepath.Join("docs", m.page))
		if err != nil {
			return err
		}
		_, text, _ = bytes.Cut(text, []byte("\n")) // its title
		head := fmt.Sprintf("%% \"%s\" \"%s\" \"%s\" \"%s\" \"Keeper Privilege Manager\"\n# NAME\n%s - %s\n\n# DESCRIPTION\n",
			m.name, m.section, r.date.Format("January 2006"), r.version, m.name, m.about)
		page := md2man.Render(append([]byte(head), narrow(links.ReplaceAll(text, []byte("$1")))...))
		if err := os.WriteFile(filepath.Join(man, m.name+"."+m.section), page, 0o644); err != nil {
			return err
		}
	}
	if err := r.helpPages(ctx, man); err != nil {
		return err
	}
	for shell, write := range map[string]func(string) error{
		"KeeperAdminCLI":      func(to string) error { return cli.GenBashCompletionFileV2(to, true) },
		"_KeeperAdminCLI":     cli.GenZshCompletionFile,
		"keeperAgent":         func(to string) error { return person.GenBashCompletionFileV2(to, true) },
		"_keeperAgent":        person.GenZshCompletionFile,
		"keeperAgent.fish":    func(to string) error { return person.GenFishCompletionFile(to, true) },
		"KeeperAdminCLI.fish": func(to string) error { return cli.GenFishCompletionFile(to, true) },
	} {
		if err := write(filepath.Join(completions, shell)); err != nil {
			return err
		}
	}
	for from, to := range map[string]string{"keepersudo.bash": "keepersudo", "_keepersudo": "_keepersudo", "keepersudo.fish": "keepersudo.fish"} {
		if err := copyFile(filepath.Join("packaging/completions", from), filepath.Join(completions, to), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// helpPages shows what programs print when asked for help.
func (r *release) helpPages(ctx context.Context, dir string) error {
	here := filepath.Join(r.work, "here")
	if err := r.stageHere(ctx, runtime.GOOS, here); err != nil {
		return err
	}
	for _, p := range of(runtime.GOOS) {
		if p.manual == "" {
			continue
		}
		help, err := exec.CommandContext(ctx, filepath.Join(here, p.file(runtime.GOOS)), "--help").Output()
		if err != nil {
			return fmt.Errorf("%s --help: %w", p.name, err)
		}
		text := fmt.Sprintf("%% \"%s\" \"%s\" \"%s\" \"%s\" \"Keeper Privilege Manager\"\n# NAME\n%s - %s\n\n# DESCRIPTION\n```\n%s```\n\n# SEE ALSO\nKeeperAdminCLI(1), keepersudo(1), kpm-policy(5), kpm-settings(5)\n",
			p.name, p.manual, r.date.Format("January 2006"), r.version, p.name, p.about, help)
		if err := os.WriteFile(filepath.Join(dir, p.name+"."+p.manual), md2man.Render([]byte(text)), 0o644); err != nil {
			return err
		}
	}
	return nil
}
