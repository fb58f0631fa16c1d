//go:build linux

package corpus

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// kinds are the ends of names of files that may carry a signature.
var kinds = []string{"", ".dylib", ".exe", ".dll", ".node", ".msi", ".cab", ".cub", ".cat", ".ps1", ".psm1", ".psd1", ".ps1xml"}

// Every file of npm's packages that may have a signature, those that no table names
// too: osslsigncode, and relic of Mach-O, see as many signatures, of the same signers,
// and trust the same.
func TestOthersSeeTheSameOfEveryFile(t *testing.T) {
	differ := map[string]string{} // by package and format
	seen := map[Package]bool{}
	var all []string
	from := map[string]string{}
	for _, f := range files() {
		if f.of.From != "npm" {
			continue
		}
		dir := fetch(t, f.of)
		if f.differs != "" {
			differ[dir+" "+f.format] = f.differs
		}
		if seen[f.of] {
			continue
		}
		seen[f.of] = true
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() && slices.Contains(kinds, strings.ToLower(filepath.Ext(path))) {
				all, from[path] = append(all, path), dir
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	shared := published(t, map[string]string{"anchors.pem": explicitly(t, anchorsPEM(t, "")), "apple.pem": anchorsPEM(t, "Apple")})
	tool := buildMachoSigner(t)
	signed, trusts := 0, 0
	for i, v := range newInspector(t).inspect(t, all...) {
		if v.Format == "elf" || v.Format == "other" && filepath.Ext(all[i]) == "" { // it names no kind
			continue
		}
		row := file{differs: differ[from[all[i]]+" "+v.Format]}
		t.Run(strings.TrimPrefix(all[i], cache+"/"), func(t *testing.T) {
			var same bool
			if v.Format == "mach-o" {
				same = relic(t, tool, filepath.Join(shared, "apple.pem"), all[i], row, v)
			} else {
				same = sameSignatures(t, row, v, osslsigncode(t, filepath.Join(shared, "anchors.pem"), all[i]))
			}
			if same != (row.differs == "") {
				t.Errorf("same verdict: %v; docs/trust.md says why not: %q\nwe: %+v", same, row.differs, v.Evidence)
			}
		})
		if len(v.Evidence) > 0 {
			signed++
		}
		if v.Rank == "signed" {
			trusts++
		}
	}
	t.Logf("%d files, %d of them signed, %d trusted", len(all), signed, trusts)
	if signed < 100 {
		t.Errorf("%d signed files", signed)
	}
}

// A program of 384 MB, whose signature is newer and shorter than the linker's.
func TestALargeRealProgram(t *testing.T) {
	program := filepath.Join(fetch(t, claude), "package/claude")
	v := newInspector(t).inspect(t, program)[0]
	if len(v.Evidence) != 1 || v.Rank != "signed" || v.Format != "mach-o" {
		t.Fatalf("%+v", v)
	}
	e := v.Evidence[0]
	if e.Signer != "Anthropic PBC" || e.TeamID != "Q6L2SF6YDW" || e.SignedAt.Format(time.DateOnly) != "2026-11-24" {
		t.Errorf("%+v", e)
	}
	apple := published(t, map[string]string{"apple.pem": anchorsPEM(t, "Apple")})
	if !relic(t, buildMachoSigner(t), filepath.Join(apple, "apple.pem"), program, file{}, v) {
		t.Error("relic says something else")
	}
}
