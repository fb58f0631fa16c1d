package admincli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
)

// bundleNote begins a bundle: what is in it, and what is not.
const bundleNote = `Facts about an agent of Keeper Privilege Manager, for whoever helps with it.

In it: version and operating system; the service's state, counters and latencies;
states of plugins and jobs, by their ids; which settings are given, and of numbers
and switches what they are; how many policies there are, by type, status and
control; how far the journal goes and whether it is unbroken, with counts of its
records; the machine key's state.

Not in it: names of people and machines, commands and their arguments, reasons
that people gave, texts of policies, names of files, values of settings that are
text, keys, certificates, and the log, which names people. If the log is needed:
journalctl -u keeper-privilege-manager, read it first.
`

// bundled is what "support bundle --json" prints.
type bundled struct {
	File    string   `json:"file"`
	Entries []string `json:"entries"`
	// Missing says what could not be had, and why.
	Missing map[string]string `json:"missing,omitempty"`
}

func supportCommand(e *endpoint) *cobra.Command {
	return group(&cobra.Command{Use: "support", Short: "Collect facts for whoever helps"}, bundleCommand(e))
}

func bundleCommand(e *endpoint) *cobra.Command {
	var asJSON bool
	var output string
	cmd := &cobra.Command{
		Use:   "bundle",
		Short: "Write facts about the agent to a file that can be handed on",
		Long: `Write facts about the agent to a file that can be handed on: a .tar.gz of JSON
and text, which begins with what is in it and what is not. It names no people and
no machines, and has no commands, reasons, policies, texts of settings or keys.

Run this as root. It works without a running service, and then has less.`,
		Example: "  KeeperAdminCLI support bundle\n  KeeperAdminCLI support bundle --output /tmp/kpm.tar.gz\n  KeeperAdminCLI support bundle --output - | tar tz\n  KeeperAdminCLI support bundle --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			now := time.Now()
			if output == "" {
				output = "kpm-support-" + now.UTC().Format("20060102-150405") + ".tar.gz"
			}
			if output == "-" && asJSON {
				return errors.New("--json and --output - both want the standard output: name a file")
			}
			files, missing, err := e.collect(cmd.Context(), now)
			if err != nil {
				return err
			}
			text, err := packed(files, now)
			if err != nil {
				return err
			}
			if output == "-" {
				_, err := cmd.OutOrStdout().Write(text)
				return err
			}
			if err := writeBundle(output, text); err != nil {
				return err
			}
			made := bundled{File: output, Entries: []string{}, Missing: missing}
			for _, f := range files {
				made.Entries = append(made.Entries, f.name)
			}
			return made.print(cmd.OutOrStdout(), asJSON)
		},
	}
	jsonFlag(cmd, &asJSON)
	cmd.Flags().StringVarP(&output, "output", "o", "", "file to write, which must not be there yet; - is the standard output")
	return cmd
}

// bundleFile is one file of a bundle.
type bundleFile struct {
	name string
	text []byte
}

// packed is files as a .tar.gz.
func packed(files []bundleFile, now time.Time) ([]byte, error) {
	var b bytes.Buffer
	compressed := gzip.NewWriter(&b)
	archive := tar.NewWriter(compressed)
	for _, f := range files {
		if err := archive.WriteHeader(&tar.Header{Name: "kpm-support/" + f.name, Mode: 0o600, Size: int64(len(f.text)), ModTime: now.Truncate(time.Second)}); err != nil {
			return nil, err
		}
		if _, err := archive.Write(f.text); err != nil {
			return nil, err
		}
	}
	err := errors.Join(archive.Close(), compressed.Close())
	return b.Bytes(), err
}

// writeBundle writes a new file that its owner alone can read. Attack: root writes
// it in a folder where somebody has put a link of that name.
func writeBundle(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

func (m bundled) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(w, m)
	}
	if err := line(w, "%s", m.File); err != nil {
		return err
	}
	for _, p := range sortedMissing(m.Missing) {
		if err := line(w, "without %s: %s", p.File, p.Found); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(w, "It names nobody. README.txt in it says what it has.")
	return err
}

func sortedMissing(missing map[string]string) []problem {
	found := map[string][]string{}
	for name, why := range missing {
		found[name] = []string{why}
	}
	return sorted(found)
}
