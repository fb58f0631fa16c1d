package admincli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/view"
	"kpm/launcher/journal"
)

// unpacked returns the files of a bundle.
func unpacked(t *testing.T, data []byte) map[string]string {
	t.Helper()
	small, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for archive := tar.NewReader(small); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		// What an archive says of a file is read as well.
		files[strings.TrimPrefix(h.Name, "kpm-support/")] = string(text)
		files["about "+h.Name] = fmt.Sprint(h.Linkname, h.Uname, h.Gname, h.PAXRecords)
	}
}

// Attack: whoever gets a bundle learns who works there, what they typed and why, or
// a password. Every place that could hold such a thing has one, and none of them is
// in it.
func TestABundleNamesNobody(t *testing.T) {
	const planted = "pl4nted"
	r := newRunning(t, func(r *running) {
		r.problems = []string{"job of " + planted}
		r.plugins = []view.Plugin{{ID: "KeeperPolicy", Status: view.Failed, Detail: "ended: " + planted}}
		r.jobs = []view.Job{{ID: "nightly", Name: planted, Description: planted, Events: []string{planted}, Detail: planted, Enabled: true}}
		r.diagnoses = []view.Diagnosis{{Found: planted}}
	})
	j := open(t, r.root)
	for _, record := range []journal.Record{
		{Type: journal.Opened, Request: "R1", User: planted, UserID: planted, Target: planted, Directory: "/home/" + planted,
			Program: &core.Executable{Path: "/usr/bin/" + planted}, Argv: []string{planted, "--password=" + planted}},
		{Type: journal.Control, Request: "R1", Message: "because " + planted},
		{Type: journal.Denied, Request: "R1", Message: planted, Policies: []core.PolicyRef{{ID: planted, Name: planted}}},
	} {
		if err := j.Append(record); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	r.write(t, "appsettings.json", `{"Trust": {"Roots": ["`+planted+`.pem"]}, "Journal": {"MaskArguments": ["`+planted+`"], "KeepDays": 90}, "`+planted+`": 1}`)
	r.write(t, "Policies/"+planted+".json", strings.ReplaceAll(policyText("p", "JUSTIFY", "u", "/usr/bin/id"), `"p"`, `"`+planted+`"`))
	r.write(t, "Policies/broken.json", `{"PolicyId": "`+planted+`", "PolicyType": "`+planted+`", "Nonsense": 1}`)
	r.write(t, "Plugins/KeeperPolicy.json", `{"password": "`+planted+`"}`)

	file := filepath.Join(t.TempDir(), "b.tar.gz")
	code, out, diag := r.do(t, "support", "bundle", "--output", file, "--json")
	var made bundled
	if err := json.Unmarshal([]byte(out), &made); err != nil || code != exitOK || made.File != file {
		t.Fatalf("%d %q %q %v", code, out, diag, err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: others can read it", info, err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	files := unpacked(t, data)
	for _, name := range []string{"README.txt", "about.json", "status.json", "plugins.json", "jobs.json", "settings.json", "policies.json", "journal.json", "identity.json", "metrics.txt"} {
		if files[name] == "" {
			t.Errorf("it lacks %s: %v", name, made.Missing)
		}
	}
	for name, text := range files {
		for _, private := range []string{planted, r.root, "host.example"} {
			if strings.Contains(strings.ToLower(name+text), strings.ToLower(private)) {
				t.Errorf("%s says %q:\n%s", name, private, text)
			}
		}
	}
	// What it is for is there.
	for name, says := range map[string]string{
		"settings.json": `"key": "Journal:KeepDays",`, "journal.json": `"denied": 1`, "policies.json": `"JUSTIFY": 1`, "plugins.json": `"KeeperPolicy"`,
		"jobs.json": `"nightly"`, "status.json": `"httpsPort": 6889`, "metrics.txt": "kpm_healthy 1",
	} {
		if !strings.Contains(files[name], says) {
			t.Errorf("%s lacks %s:\n%s", name, says, files[name])
		}
	}
}

// A file that is there stays as it is, and a link leads nowhere.
func TestABundleOverwritesNothing(t *testing.T) {
	r := newRunning(t)
	dir := t.TempDir()
	theirs, link := filepath.Join(dir, "theirs"), filepath.Join(dir, "link")
	if err := os.WriteFile(theirs, []byte("theirs"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{theirs, link} {
		if code, _, diag := r.do(t, "support", "bundle", "-o", path); code != exitUsage || !strings.Contains(diag, "exists") {
			t.Errorf("%s: %d %q", path, code, diag)
		}
	}
	if text, err := os.ReadFile(theirs); string(text) != "theirs" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "elsewhere")); err == nil {
		t.Error("written through a link")
	}
}

// Without a service there is less, and it says so.
func TestABundleWithoutAService(t *testing.T) {
	r := newRunning(t)
	r.stop()
	code, out, diag := r.do(t, "support", "bundle", "-o", filepath.Join(t.TempDir(), "b.tar.gz"))
	if code != exitOK || !strings.Contains(out, "without status.json: the service does not answer\n") || !strings.Contains(out, "It names nobody.") || diag != "" {
		t.Errorf("%d %q %q", code, out, diag)
	}
	if code, _, diag := r.do(t, "support", "bundle", "-o", "-", "--json"); code != exitUsage || !strings.Contains(diag, "name a file") {
		t.Errorf("%d %q", code, diag)
	}
}
